"""What a seat asks and what may sit in it: a published score, a model behind vLLM, an Arbiter at another hospital.

Guarantees: a member is handed everything it may know in one frozen value and nothing else, so it cannot see another
member's answer; what it returns is raw and believed by nobody until `arbiter.panels.grounding` has judged it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, TypeVar, cast

from arbiter.errors import ArbiterError
from arbiter.model import Evidence, FactSet, MemberId, MemberIdentity, MemberStatus, RerouteCause, RiskClass
from arbiter.question import FactSpec, Option, too_old

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One seat's question, with all that its member may look at.

    `asks` is `arbiter.question.QUESTION` or a facet's id, `text` its wording. `taken_at` is the instant from which the
    ages of facts are counted: the intake of this version of the case, not the time of asking, so that a repeated ask
    sees the same ages. `deadline` is when an answer stops counting. `seed` is this seat's own, for members that
    sample. `risk_class` is the case's: where there is not room for all, graver cases pass. `drafts` is what `drafted` keeps
    for all seats of a panel. All instants are aware UTC.
    """

    asks: str
    text: str
    options: tuple[Option, ...]
    specs: tuple[FactSpec, ...]
    facts: FactSet
    facts_hash: str
    taken_at: datetime
    deadline: datetime
    seed: int
    risk_class: RiskClass = RiskClass.ROUTINE
    drafts: dict[object, object] = field(default_factory=dict, compare=False, repr=False)

    def too_old(self) -> frozenset[str]:
        """Return the names of facts older at `taken_at` than the question allows."""
        return self.drafted("too old", lambda: too_old(self.specs, self.facts, self.taken_at))

    def drafted(self, what: object, make: Callable[[], _T]) -> _T:
        """Return what `make` makes of question and facts alone, made once for all seats of a panel that are asked alike.

        Nothing of a seat's own (its seed, what its member said) may go into it. It is gone with the last of those asked.
        """
        key = (what, self.text, self.taken_at, id(self.options), id(self.specs), id(self.facts))
        found = self.drafts.get(key)
        if found is None:
            # What the key names by its place is held beside it, so that no other thing can come to be there.
            found = self.drafts[key] = (make(), self.options, self.specs, self.facts)
        return cast(tuple[_T], found)[0]


@dataclass(frozen=True, slots=True)
class Sample:
    """One drawn answer: an option's id, or None to abstain, with the facts it cites and those it lacked."""

    option: str | None
    evidence: tuple[Evidence, ...]
    missing: tuple[str, ...]
    rationale: str


@dataclass(frozen=True, slots=True)
class Reroute:
    """One further request for the same ask: from which replica to which, and why. `slow` leaves the first under way."""

    from_replica: str
    to_replica: str
    cause: RerouteCause


def reroute_document(member: MemberId, reroute: Reroute) -> dict[str, str]:
    """Return the document `reroute`: names from the fleet file and fixed words, nothing of the case."""
    return {
        "member": member,
        "from": reroute.from_replica,
        "to": reroute.to_replica,
        "cause": reroute.cause.value,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """All samples a member drew, and the number of further draws that could not be read as an answer at all.

    `exchange` is the document of what a member behind HTTP was sent and what came back, to be kept sealed; `identity` is
    what was found to have answered, where that shows only when asked; `reroutes` tells of further requests for the ask.
    """

    samples: tuple[Sample, ...]
    unreadable: int = 0
    exchange: bytes | None = None
    identity: MemberIdentity | None = None
    reroutes: tuple[Reroute, ...] = ()


Failed: TypeAlias = Literal[MemberStatus.DOWN, MemberStatus.TIMED_OUT]


class NoAnswerError(ArbiterError):
    """A member gives no answer, and knows why: it is down, or its time was over.

    `cause` is in fixed words, never a server's or a patient's. What was sent, and whatever came back, goes with it.
    """

    def __init__(
        self,
        cause: str,
        status: Failed = MemberStatus.DOWN,
        exchange: bytes | None = None,
        identity: MemberIdentity | None = None,
        reroutes: tuple[Reroute, ...] = (),
    ) -> None:
        super().__init__(cause)
        self.status = status
        self.cause = cause
        self.exchange = exchange
        self.identity = identity
        self.reroutes = reroutes


class Member(Protocol):
    """Anything that answers a seat's question.

    A member that computes its answer must be quick and must not sleep or block: it runs on the event loop. One that
    waits (HTTP, another process) awaits, and may be cancelled at its deadline.
    """

    @property
    def identity(self) -> MemberIdentity:
        """What exactly answers; another identity is another member without a record."""
        ...

    async def answer(self, asked: Asked) -> Answer:
        """Return the member's answer; raise NoAnswerError, or anything else, which counts as `down`."""
        ...
