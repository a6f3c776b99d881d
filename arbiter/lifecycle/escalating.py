"""The moves by which a case comes to clinicians, and what calls them until somebody takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import Effect, NotifyDutyGroup, TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import CaseState, Ladder, Phase
from arbiter.lifecycle.steps import Step
from arbiter.model import ActorId

P, E = Phase, EntryType


def with_humans(state: CaseState, now: datetime) -> CaseState:
    """Return the state of a case that nobody has taken yet, its first rung called."""
    return replace(
        state,
        phase=P.ESCALATED,
        due_at=now + state.timers.review,
        overdue=False,
        claim=None,
        ladder=called(state.ladder, now),
    )


def escalate(state: CaseState, now: datetime, effects: tuple[Effect, ...] = ()) -> Step:
    """Hand a case to the clinicians; `effects` are the step's that come first."""
    return Step(
        with_humans(state, now), (E.ESCALATED,), (*effects, NotifyDutyGroup(), TellRequester(E.ESCALATED))
    )


def untaken(state: CaseState, now: datetime) -> Step:
    """Nobody has taken the case in time: the next rung is called. An acknowledgement holds until the review is overdue."""
    ladder, entries, effects = _climb(state.ladder, now)
    if state.overdue or state.due_at is None or now < state.due_at:
        return Step(replace(state, ladder=ladder), entries, effects)
    late = replace(state, overdue=True, ladder=ladder)
    return Step(late, (E.OVERDUE, *entries), (TellRequester(E.OVERDUE), *effects))


def acknowledge(state: CaseState, by: ActorId) -> Step:
    """Somebody has heard the call: it goes no further, and the case still waits to be taken."""
    if state.ladder.set_aside_until is not None:
        raise IllegalMoveError("a reviewer has set this case aside: nobody is being called")
    if state.ladder.acknowledged_by is not None:
        raise IllegalMoveError(f"{state.ladder.acknowledged_by} has acknowledged this escalation already")
    ladder = Ladder(state.ladder.waits, state.ladder.rung, acknowledged_by=by)
    return Step(replace(state, ladder=ladder), (E.ACKNOWLEDGED,), (TellRequester(E.ACKNOWLEDGED),))


def given_back(state: CaseState, now: datetime) -> CaseState:
    """Return the state without its claim, its first rung called anew; the review is due when it was."""
    return replace(state, phase=P.ESCALATED, claim=None, ladder=called(state.ladder, now))


def contest(state: CaseState, before: tuple[EntryType, ...], now: datetime) -> Step:
    """Take a released decision back to the clinicians; `before` are the step's entries that come first."""
    contested = replace(
        with_humans(state, now),
        human_required=True,
        decided_by=None,
        shows_panel_first=False,
        unwitnessed=False,
        # Who has seen this panel has seen it, whatever is disputed since: read anew is by those who have not.
        readings=(),
        referrers=(),
        arbiters=(),
        wants_arbiter=False,
    )
    return Step(contested, (*before, E.CONTESTED), (NotifyDutyGroup(), TellRequester(E.CONTESTED)))


def called(ladder: Ladder, now: datetime) -> Ladder:
    """Return the ladder with its first rung called."""
    return Ladder(ladder.waits, until=now + ladder.waits[0] if ladder.waits else None)


def _climb(ladder: Ladder, now: datetime) -> tuple[Ladder, tuple[EntryType, ...], tuple[Effect, ...]]:
    """Call the next rung; past the last one nobody is left, and the requester hears so."""
    if ladder.set_aside_until is not None:
        return called(ladder, now), (E.CLIMBED,), (NotifyDutyGroup(),)
    following = ladder.rung + 1
    if following < len(ladder.waits):
        climbed = Ladder(ladder.waits, following, now + ladder.waits[following])
        return climbed, (E.CLIMBED,), (NotifyDutyGroup(following),)
    if ladder.unattended or not ladder.waits:
        return ladder, (), (NotifyDutyGroup(ladder.rung),)
    return Ladder(ladder.waits, ladder.rung, unattended=True), (E.UNATTENDED,), (TellRequester(E.UNATTENDED),)
