"""Asks a recorded case's members again, with the bytes that were sent then, and says whether they answer the same.

A replay proves that a decision follows from what was recorded; this tells whether the members would say it again. Models are
asked through their seats as the deployment serves them now, scores are computed again. The answers change nothing and are
not kept. Opening the case is an entry, as every reading of its content is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from arbiter.audit.entry import Entry
from arbiter.audit.openings import Disclosed, misfits
from arbiter.documents.canonical import decode
from arbiter.documents.opinions import opinion_from
from arbiter.documents.taken import TakenFacts
from arbiter.errors import VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId, MemberId, MemberStatus, Opinion
from arbiter.panels.member import Asked, Member
from arbiter.panels.panel import Returned, address, ask_panel
from arbiter.panels.vllm.again import AskedAgain, Words, read_exchange
from arbiter.panels.vllm.member import ModelMember
from arbiter.question import VLLM
from arbiter.store.log.chains import load_entries
from arbiter.workflow.acting import read_dossier
from arbiter.workflow.deliberation import seed_of
from arbiter.workflow.dossier import Document, Dossier
from arbiter.workflow.fleet_proving import proving
from arbiter.workflow.house import House

LEAST_PATIENCE: Final = timedelta(seconds=60)
"""Nobody waits for this as for a case: a member has so long at least, however short its panel's time was."""

_ANOTHERS: Final = "what came is no reply of this model to this request"
_SILENT: Final = frozenset({MemberStatus.DOWN, MemberStatus.TIMED_OUT})


class Outcome(StrEnum):
    """How an answer given again compares with the recorded one."""

    EQUAL = "equal"
    """The same words in every choice, read to the same state and option; from a score the same answer, evidence and all."""
    EQUAL_OPTION = "equal-option"
    """Other words, and the same state with the same leading option."""
    DIFFERENT = "different"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True)
class Told:
    """An opinion in short: its state, what leads, and how its samples fell."""

    status: MemberStatus
    leading: str | None
    votes: tuple[tuple[str, int], ...]
    samples: int


@dataclass(frozen=True, slots=True)
class Reproduced:
    """One recorded opinion asked for again.

    `entry` is the opinion's number in the case's chain. `now` is None where the member was not asked again, with the cause in
    fixed words. `changed` names what is another in the member's identity, such as `engine`.
    """

    entry: int
    member: MemberId
    kind: str
    outcome: Outcome
    then: Told
    now: Told | None
    changed: tuple[str, ...]
    cause: str


def could_have_been_asked(reproduced: Reproduced) -> bool:
    """Return whether the member answered then, so that there is something to compare with."""
    return reproduced.then.status not in _SILENT


async def reproduce_case(house: House, principal: Principal, case: CaseId) -> tuple[Reproduced, ...]:
    """Ask every recorded opinion's member again, all at once, and return what came of each, oldest first.

    Raises:
        ForbiddenError: for who is no auditor; NotFoundError: for a foreign site's case too; ErasedError: when its content is
        gone; VerificationError: when what is kept is not what the case's entries commit to.
    """
    principal.require(Permission.AUDIT_READ)
    principal.require(Permission.CASES_READ)
    dossier = await read_dossier(house, principal, case)
    await _check(house, dossier)
    given = [document for document in dossier.documents if document.name == "opinion"]
    async with proving(house, dossier.shelved.protocol):
        return tuple(await asyncio.gather(*(_reproduce(house, dossier, document) for document in given)))


async def _check(house: House, dossier: Dossier) -> None:
    """Raise VerificationError unless every document is what its entry commits to: else other bytes would be asked."""
    async with house.store.read() as transaction:
        entries = await load_entries(transaction, dossier.row.id)
    kept = [Disclosed(d.seq, d.name, d.salt, d.content) for d in dossier.documents]
    misfit = next(iter(misfits([Entry.from_bytes(body) for _, body, _ in entries], kept)), None)
    if misfit is not None:
        raise VerificationError(f"entry {misfit.seq}, {misfit.name}: {misfit.detail}")


async def _reproduce(house: House, dossier: Dossier, document: Document) -> Reproduced:
    opinion = opinion_from(decode(document.content))
    if opinion.status in _SILENT:
        return _not_asked(document, opinion, f"gave no answer then: {opinion.rationale}")
    sent = next((d for d in dossier.documents if d.name == "exchange" and d.seq == document.seq), None)
    member = dossier.shelved.members.get(opinion.member)
    if member is None or (sent is None and opinion.identity.kind == VLLM):
        return _not_asked(document, opinion, "what it was sent is not kept")
    recorded = None if sent is None else read_exchange(sent.content)
    if recorded is not None and isinstance(member, ModelMember):
        member = AskedAgain(member, recorded.request)
    returned = await _ask(house, member, opinion.member, _asked(house, dossier, document, opinion.member))
    again = returned.opinion
    if again.status in _SILENT:
        return _not_asked(document, opinion, again.rationale)
    words = None if returned.exchange is None else read_exchange(returned.exchange).words
    words_then = None if recorded is None else recorded.words
    return Reproduced(
        entry=document.seq,
        member=opinion.member,
        kind=opinion.identity.kind,
        outcome=_outcome(opinion, again, words_then, words),
        then=_told(opinion),
        now=_told(again),
        changed=_changed(opinion, again),
        cause=_ANOTHERS if words_then is not None and words is None else "",
    )


def _asked(house: House, dossier: Dossier, document: Document, member: MemberId) -> Asked:
    """Return what the member was asked then, with time to answer now."""
    facts = next(d for d in reversed(dossier.documents) if d.name == "facts" and d.seq < document.seq)
    taken = TakenFacts.decode(facts.content)
    protocol = dossier.shelved.protocol
    patience = max(protocol.timers(dossier.row.state.risk_class).panel, LEAST_PATIENCE)
    seed = seed_of(dossier.row.id, taken.facts.version)
    until = house.clock.now() + patience
    return address(protocol, taken.facts, taken.hash, taken.taken_at, until, seed)[member]


async def _ask(house: House, member: Member, name: MemberId, asked: Asked) -> Returned:
    (returned,) = [returned async for returned in ask_panel({name: member}, {name: asked}, house.clock)]
    return returned


def _outcome(then: Opinion, now: Opinion, words_then: Words | None, words_now: Words | None) -> Outcome:
    if then.identity.kind == VLLM:
        if words_now is None and words_then is not None:
            # Another model's reply, or to another request: that it too counts as invalid makes it no answer of the member's.
            return Outcome.DIFFERENT
        equal = words_then is not None and words_then == words_now
    else:
        # When it was asked, and by which code, are no part of what a score says.
        equal = (
            replace(now, identity=then.identity, asked_at=then.asked_at, answered_at=then.answered_at) == then
        )
    if (then.status, then.leading_option()) != (now.status, now.leading_option()):
        return Outcome.DIFFERENT
    return Outcome.EQUAL if equal else Outcome.EQUAL_OPTION


def _not_asked(document: Document, opinion: Opinion, cause: str) -> Reproduced:
    return Reproduced(
        document.seq,
        opinion.member,
        opinion.identity.kind,
        Outcome.NOT_ASKED,
        _told(opinion),
        None,
        (),
        cause,
    )


def _told(opinion: Opinion) -> Told:
    return Told(opinion.status, opinion.leading_option(), opinion.votes, opinion.samples)


def _changed(then: Opinion, now: Opinion) -> tuple[str, ...]:
    old, new = dict(then.identity.details), dict(now.identity.details)
    named = {"name": (then.identity.name, now.identity.name)}
    named |= {"version": (then.identity.version, now.identity.version)}
    named |= {name: (old.get(name, ""), new.get(name, "")) for name in sorted(old.keys() | new.keys())}
    differ = tuple(name for name, (before, after) in named.items() if before != after)
    if not differ and then.identity.digest != now.identity.digest:
        return ("digest",)
    return differ
