"""Asks a whole panel at once and blind, and turns whatever comes back into opinions as it comes.

Guarantees: every member asked yields exactly one opinion; its state says what truly happened (valid, abstained,
invalid, timed out, down) and the states are never merged; an answer after the deadline counts as none; one member's
failure, silence or malice changes nothing for the others. A member that blocks the event loop cannot be stopped here:
such a one belongs behind HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from arbiter.model import FactSet, MemberId, MemberIdentity, MemberStatus, Opinion, RiskClass
from arbiter.panels.grounding import fault_of
from arbiter.panels.member import Answer, Asked, Member, NoAnswerError, Reroute, Sample
from arbiter.ports import Clock
from arbiter.question import QUESTION, Protocol, Seat
from arbiter.telemetry.members import MemberCall

SAMPLES_LIMIT: Final = 64
REROUTES_LIMIT: Final = 32
NOT_IN_TIME: Final = "no answer by its deadline"
LAST_WORDS_SECONDS: Final = 0.05
"""How long a member out of time is waited for: its answer no longer counts, and what it was sent is still kept."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of asking one member: its opinion, the exchange to be kept with it where there was one, and its re-routes."""

    opinion: Opinion
    exchange: bytes | None
    reroutes: tuple[Reroute, ...] = ()


def address(
    protocol: Protocol,
    facts: FactSet,
    facts_hash: str,
    taken_at: datetime,
    deadline: datetime,
    seed: int,
    risk_class: RiskClass = RiskClass.ROUTINE,
) -> dict[MemberId, Asked]:
    """Return what each seat of the protocol is asked.

    Each seat gets a seed of its own, derived from `seed` and the member's id, so that adding a seat changes no other
    member's draws.
    """
    drafts: dict[object, object] = {}
    return {
        seat.member: Asked(
            asks=seat.asks,
            text=_text(protocol, seat),
            options=protocol.options_for(seat.asks),
            specs=protocol.question.facts,
            facts=facts,
            facts_hash=facts_hash,
            taken_at=taken_at,
            deadline=deadline,
            seed=_seed(seed, seat.member),
            risk_class=risk_class,
            drafts=drafts,
        )
        for seat in protocol.seats
    }


def _text(protocol: Protocol, seat: Seat) -> str:
    if seat.asks == QUESTION:
        return protocol.question.text
    return next(facet.text for facet in protocol.facets if facet.id == seat.asks)


def _seed(seed: int, member: MemberId) -> int:
    digest = hashlib.sha256(f"{seed}/{member}".encode()).digest()
    # 31 bits: what every model server takes as a seed.
    return int.from_bytes(digest[:4]) >> 1


async def ask_panel(
    members: Mapping[MemberId, Member], asked: Mapping[MemberId, Asked], clock: Clock
) -> AsyncGenerator[Returned, None]:
    """Ask every member in `asked` at the same time and yield what each returned as soon as it is there.

    How long the caller takes between two of them does not count against the members.

    Raises:
        KeyError: when a member asked has no seat in `members`; nobody is asked then.
    """
    turns = [_Turn(name, members[name].identity, put, clock.now()) for name, put in asked.items()]
    late = [turn for turn in turns if turn.is_late]
    calls = {turn.name: MemberCall(turn.name, turn.identity) for turn in turns}
    waiting = {
        asyncio.create_task(_answer(members[turn.name], turn.asked, calls[turn.name])): turn
        for turn in turns
        if not turn.is_late
    }
    answered_at: dict[asyncio.Task[Answer], datetime] = {}
    for task in waiting:
        task.add_done_callback(lambda done: answered_at.setdefault(done, clock.now()))
    try:
        for turn in late:
            calls[turn.name].end(MemberStatus.TIMED_OUT)
            yield Returned(
                turn.without(MemberStatus.TIMED_OUT, "asked after its deadline", turn.asked_at), None
            )
        while waiting:
            soonest = min(turn.asked.deadline for turn in waiting.values())
            patience = max(0.0, (soonest - clock.now()).total_seconds())
            # wait() never awaits a task it gives up on, so one that swallows its cancellation holds nobody.
            await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            now = clock.now()
            overdue = [
                task for task, turn in waiting.items() if not task.done() and now > turn.asked.deadline
            ]
            if overdue:
                await asyncio.wait(overdue, timeout=LAST_WORDS_SECONDS)
            for task, turn in list(waiting.items()):
                if task.done() or task in overdue:
                    del waiting[task]
                    returned = _returned(task, turn, answered_at.get(task, now))
                    calls[turn.name].end(returned.opinion.status)
                    yield returned
    finally:
        for task, turn in waiting.items():
            _give_up(task)
            calls[turn.name].abandon()


async def ask_member(name: MemberId, member: Member, asked: Asked, clock: Clock) -> Opinion:
    """Ask one member and return its opinion; never raises for anything the member does."""
    (returned,) = [returned async for returned in ask_panel({name: member}, {name: asked}, clock)]
    return returned.opinion


async def _answer(member: Member, asked: Asked, call: MemberCall) -> Answer:
    """Await the member inside the task, so that one that raises before its first await is caught like any other."""
    with call.under_way():
        return await member.answer(asked)


def _returned(task: asyncio.Task[Answer], turn: _Turn, at: datetime) -> Returned:
    """Return what came of a member that is through or out of time."""
    if not task.done():
        _give_up(task)
        return Returned(turn.without(MemberStatus.TIMED_OUT, NOT_IN_TIME, at), None)
    fault = asyncio.CancelledError() if task.cancelled() else task.exception()
    known = task.result() if fault is None else fault
    turn, exchange, reroutes = turn.found(known), _exchange_of(known), _reroutes_of(known)
    if at > turn.asked.deadline:
        return Returned(turn.without(MemberStatus.TIMED_OUT, NOT_IN_TIME, at), exchange, reroutes)
    match fault:
        case None:
            return Returned(turn.judge(task.result(), at), exchange, reroutes)
        case NoAnswerError():
            return Returned(turn.without(fault.status, fault.cause, at), exchange, reroutes)
        case _:
            # The class alone: an exception's text may quote the case.
            return Returned(turn.without(MemberStatus.DOWN, f"failed with {type(fault).__name__}", at), None)


def _exchange_of(known: object) -> bytes | None:
    exchange = known.exchange if isinstance(known, Answer | NoAnswerError) else None
    return exchange if isinstance(exchange, bytes) else None


def _reroutes_of(known: object) -> tuple[Reroute, ...]:
    reroutes: object = known.reroutes if isinstance(known, Answer | NoAnswerError) else ()
    if not isinstance(reroutes, tuple) or not all(isinstance(reroute, Reroute) for reroute in reroutes):
        return ()
    return reroutes[:REROUTES_LIMIT]


def _give_up(task: asyncio.Task[Answer]) -> None:
    """Cancel a member and collect whatever it still comes to, so that nothing is logged about it."""
    task.cancel()
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Answer]) -> None:
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True, slots=True)
class _Turn:
    """One member's turn: who was asked what and when. Every opinion is made here."""

    name: MemberId
    identity: MemberIdentity
    asked: Asked
    asked_at: datetime

    def found(self, known: object) -> _Turn:
        """Return the turn with the identity that answering brought to light, if it did."""
        identity = known.identity if isinstance(known, Answer | NoAnswerError) else None
        return replace(self, identity=identity) if isinstance(identity, MemberIdentity) else self

    @property
    def is_late(self) -> bool:
        """True when the deadline had passed before the member could be asked."""
        return self.asked_at >= self.asked.deadline

    def judge(self, answer: Answer, answered_at: datetime) -> Opinion:
        """Return the opinion in an answer: valid when at least half of all samples vote and are sound."""
        drawn = _drawn(answer)
        if drawn is None:
            return self.without(
                MemberStatus.INVALID, f"refused: expected 1 to {SAMPLES_LIMIT} samples", answered_at
            )
        faults = [fault_of(sample, self.asked) for sample in answer.samples]
        sound = [sample for sample, fault in zip(answer.samples, faults, strict=True) if fault is None]
        votes = Counter(sample.option for sample in sound if sample.option is not None)
        if 2 * votes.total() >= drawn:
            return self._opinion(
                MemberStatus.VALID, answered_at, drawn, _spokesman(sound, votes), sound, votes
            )
        if 2 * len(sound) >= drawn:
            silent = next(sample for sample in sound if sample.option is None)
            return self._opinion(MemberStatus.ABSTAINED, answered_at, drawn, silent, sound, Counter())
        cause = next((fault for fault in faults if fault is not None), "answers that cannot be read")
        return self.without(MemberStatus.INVALID, f"refused: {cause}", answered_at, drawn)

    def without(self, status: MemberStatus, cause: str, answered_at: datetime, drawn: int = 0) -> Opinion:
        """Return the opinion of a member that gave none that counts, with the cause in fixed words."""
        return self._opinion(status, answered_at, drawn, Sample(None, (), (), cause), [], Counter())

    def _opinion(
        self,
        status: MemberStatus,
        answered_at: datetime,
        drawn: int,
        spoken: Sample,
        sound: list[Sample],
        votes: Counter[str],
    ) -> Opinion:
        return Opinion(
            member=self.name,
            asks=self.asked.asks,
            status=status,
            facts_hash=self.asked.facts_hash,
            votes=tuple(sorted(votes.items())),
            samples=drawn,
            evidence=spoken.evidence,
            missing=tuple(sorted({fact for sample in sound for fact in sample.missing})),
            rationale=spoken.rationale,
            identity=self.identity,
            asked_at=self.asked_at,
            answered_at=answered_at,
        )


def _drawn(answer: object) -> int | None:
    """Return how many samples were drawn, or None when this is no answer or has too many or no samples."""
    if not isinstance(answer, Answer):
        return None
    samples: object = answer.samples
    unreadable: object = answer.unreadable
    if not isinstance(samples, tuple) or not isinstance(unreadable, int) or unreadable < 0:
        return None
    drawn = len(samples) + unreadable
    return drawn if 1 <= drawn <= SAMPLES_LIMIT else None


def _spokesman(sound: list[Sample], votes: Counter[str]) -> Sample:
    """Return the first sample that votes with the most; of options level with each other, the first by name."""
    leader = min(votes, key=lambda option: (-votes[option], option))
    return next(sample for sample in sound if sample.option == leader)
