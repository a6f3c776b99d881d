"""Asks the seats the fixed cases, the way a case asks them, and counts what each draw said.

Guarantees: every draw goes through the seat's own member and is judged as a case's would be; a case counts for a seat only
when all draws wanted of it came, so that a server in trouble is told as such and never as a change of answers; a seat that
keeps failing is let alone for this run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from arbiter.model import MemberId, MemberIdentity, MemberStatus, Opinion, RiskClass
from arbiter.panels.grounding import fault_of
from arbiter.panels.member import Answer, Asked, Member
from arbiter.panels.panel import address, ask_panel
from arbiter.ports import Clock
from arbiter.question import Protocol
from arbiter.workflow.canary.cases import CanaryCase

ABSTAINED: Final = "(abstained)"
INVALID: Final = "(invalid)"
"""What draws are counted as that vote for nothing, or do not count; no option is spelt so."""

GIVEN_UP_AFTER: Final = 3
"""Failures in a row after which a seat is let alone."""


@dataclass(slots=True)
class Heard:
    """What one seat answered: its draws by case, who answered, and what its failures said, the newest last."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    identities: dict[str, MemberIdentity] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    causes: list[str] = field(default_factory=list)
    failures_in_a_row: int = 0

    @property
    def is_given_up(self) -> bool:
        """True when the seat failed so often in a row that it is not asked any more."""
        return self.failures_in_a_row >= GIVEN_UP_AFTER

    def wants(self, case: str, draws: int) -> bool:
        """Return whether the seat is to be asked (again) about this case."""
        return not self.is_given_up and case not in self.spoilt and self._drawn(case) < draws

    def whole(self, draws: int) -> dict[str, dict[str, int]]:
        """Return the counts of the cases of which so many draws came at least."""
        return {
            case: dict(sorted(counts.items()))
            for case, counts in self.counts.items()
            if case not in self.spoilt and counts.total() >= draws
        }

    def take(self, case: str, opinion: Opinion, said: Counter[str]) -> None:
        """Note what came of asking once."""
        if opinion.status in {MemberStatus.DOWN, MemberStatus.TIMED_OUT} or not said:
            self.spoilt.add(case)
            self.causes.append(opinion.rationale)
            self.failures_in_a_row += 1
            return
        self.failures_in_a_row = 0
        self.identities[opinion.identity.digest] = opinion.identity
        self.counts.setdefault(case, Counter()).update(said)

    def _drawn(self, case: str) -> int:
        return self.counts[case].total() if case in self.counts else 0


@dataclass(frozen=True, slots=True)
class Round:
    """What a run asks with: the panel, the clock, and the word from which its seeds are made: another one each run."""

    protocol: Protocol
    members: Mapping[MemberId, Member]
    clock: Clock
    word: str


async def ask_seats(
    asking: Round,
    heard: Mapping[MemberId, Heard],
    cases: Iterable[CanaryCase],
    draws: int,
    go_on: Callable[[], Awaitable[None]],
) -> None:
    """Ask these seats until each has so many draws of each case, one case after another, and add them to `heard`.

    `go_on` is awaited before each asking, and may raise to end the run.
    """
    for case in cases:
        turn = 0
        while wanting := [name for name, so_far in heard.items() if so_far.wants(case.id, draws)]:
            await go_on()
            # Draws that are there already were made with other turns: no seed comes twice in a run.
            await _ask_once(asking, {name: heard[name] for name in wanting}, case, f"{draws}/{turn}")
            turn += 1


def panel_time(protocol: Protocol) -> timedelta:
    """Return how long the seats have for one asking: as long as for a case that is not urgent."""
    return protocol.timers(RiskClass.ROUTINE).panel


async def _ask_once(asking: Round, heard: Mapping[MemberId, Heard], case: CanaryCase, turn: str) -> None:
    deadline = asking.clock.now() + panel_time(asking.protocol)
    digest = hashlib.sha256(f"{asking.word}/{case.id}/{turn}".encode()).digest()
    put = address(
        asking.protocol,
        case.taken.facts,
        case.taken.hash,
        case.taken.taken_at,
        deadline,
        int.from_bytes(digest[:8]),
    )
    listening = {name: _Listening(asking.members[name]) for name in heard}
    asked = {name: put[name] for name in heard}
    async for returned in ask_panel(listening, asked, asking.clock):
        name = returned.opinion.member
        heard[name].take(case.id, returned.opinion, _said(listening[name].answered, asked[name]))


@dataclass(slots=True)
class _Listening:
    """A seat's member, whose answer is kept beside the opinion made of it: an opinion tells its votes and not the rest."""

    member: Member
    answered: Answer | None = None

    @property
    def identity(self) -> MemberIdentity:
        return self.member.identity

    async def answer(self, asked: Asked) -> Answer:
        self.answered = await self.member.answer(asked)
        return self.answered


def _said(answer: object, asked: Asked) -> Counter[str]:
    """Return how often each option, abstaining, and nothing that counts were drawn; empty when nothing came."""
    if not isinstance(answer, Answer):
        return Counter()
    said = Counter(
        INVALID if fault_of(sample, asked) is not None else sample.option or ABSTAINED
        for sample in answer.samples
    )
    if answer.unreadable:
        said[INVALID] += answer.unreadable
    return said
