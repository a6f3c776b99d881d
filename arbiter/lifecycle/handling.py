"""What a reviewer does with a case they hold beside judging it: hand it up, set it aside, ask for facts, step back, confer.

Whatever of this ends the claim, the case is with people afterwards: nothing here decides, and no wait has no end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.auditing import not_to_read
from arbiter.lifecycle.effects import NotifyDutyGroup, TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.escalating import given_back
from arbiter.lifecycle.events import Convene, DeclareConflict, Defer, Refer, RequestFacts
from arbiter.lifecycle.readers import seen
from arbiter.lifecycle.states import ENDS, CaseState, Ladder, Phase
from arbiter.lifecycle.steps import Step
from arbiter.model import ActorId

P, E = Phase, EntryType

LONGEST_DEFERRAL = timedelta(hours=8)
"""A shift: who sets a case aside answers for it still."""

MOST_ATTENDEES = 20


def handle(
    state: CaseState, event: Refer | Defer | RequestFacts | DeclareConflict | Convene, now: datetime
) -> Step:
    """Make a move of the case's holder, who has been checked to be it; raises IllegalMoveError."""
    match event:
        case Refer(reviewer):
            return _refer(state, reviewer, now)
        case Defer(_, until):
            return _defer(state, until, now)
        case RequestFacts(reviewer):
            waiting = replace(
                state,
                phase=P.AWAITING_FACTS,
                claim=None,
                facts_asked_by=reviewer,
                due_at=now + state.timers.facts,
                overdue=False,
            )
            return Step(waiting, (E.CLAIM_ENDED, E.FACTS_REQUESTED), (TellRequester(E.FACTS_REQUESTED),))
        case DeclareConflict(reviewer):
            return _step_back(state, reviewer, now)
        case Convene(reviewer, attendees):
            return _convene(state, reviewer, attendees)
        case _:
            assert_never(event)


def unanswered(state: CaseState, now: datetime) -> Step:
    """The facts that a reviewer asked for have not come in time: the case goes on with those it has, and with what was thought of them."""
    back = replace(
        given_back(state, now), due_at=now + state.timers.review, overdue=False, facts_asked_by=None
    )
    return Step(back, (E.FACTS_UNANSWERED,), (NotifyDutyGroup(), TellRequester(E.FACTS_UNANSWERED)))


def _refer(state: CaseState, reviewer: ActorId, now: datetime) -> Step:
    referred = replace(given_back(state, now), wants_arbiter=True, referrers=(*state.referrers, reviewer))
    return Step(referred, (E.CLAIM_ENDED, E.REFERRED), (NotifyDutyGroup(),))


def _defer(state: CaseState, until: datetime, now: datetime) -> Step:
    if until <= now:
        raise IllegalMoveError("a case is set aside until an instant in the future")
    if until > now + LONGEST_DEFERRAL:
        raise IllegalMoveError(f"a case is set aside for {LONGEST_DEFERRAL} at most")
    if state.overdue or state.due_at is None or until > state.due_at:
        raise IllegalMoveError("a case is not set aside beyond the time by which it is to be reviewed")
    aside = replace(
        state, phase=P.ESCALATED, claim=None, ladder=Ladder(state.ladder.waits, rung=-1, until=until)
    )
    return Step(aside, (E.CLAIM_ENDED, E.DEFERRED), ())


def _step_back(state: CaseState, reviewer: ActorId, now: datetime) -> Step:
    """End the claim for good. What somebody in conflict thought of the case counts for nothing."""
    without = replace(
        not_to_read(state, reviewer),
        claim=None,
        conflicted=(*state.conflicted, reviewer),
        readings=tuple(reader for reader in state.readings if reader != reviewer),
        arbiters=tuple(arbiter for arbiter in state.arbiters if arbiter != reviewer),
    )
    entries = (E.CLAIM_ENDED, E.CONFLICT)
    if state.phase in ENDS:
        return Step(without, entries, ())
    return Step(given_back(without, now), entries, (NotifyDutyGroup(),))


def _convene(state: CaseState, reviewer: ActorId, attendees: tuple[ActorId, ...]) -> Step:
    if not attendees or len(set(attendees)) != len(attendees) or reviewer in attendees:
        raise IllegalMoveError("those who attended are at least one beside the holder, each named once")
    if len(attendees) > MOST_ATTENDEES:
        raise IllegalMoveError(f"expected at most {MOST_ATTENDEES} who attended, came {len(attendees)}")
    if conflicted := sorted(set(attendees) & set(state.conflicted)):
        raise IllegalMoveError(f"{conflicted[0]} has a conflict of interest in this case")
    convened = seen(state, attendees)
    for attendee in attendees:
        convened = not_to_read(convened, attendee)
    return Step(convened, (E.CONVENED,), ())
