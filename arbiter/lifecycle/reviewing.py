"""The moves of whoever holds a case: to judge it, or to read one that has ended for an audit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.auditing import check_may_read, contests, not_to_read, read
from arbiter.lifecycle.effects import NotifyDutyGroup, SealAndRelease
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.escalating import contest, given_back
from arbiter.lifecycle.events import CommitOpinion, HandBack, ReadForAudit, Renew, Reveal, Sign, TakeUp
from arbiter.lifecycle.readers import awaits_arbiter, goes_on, resumed, seen, why_not_to_take_up, with_reading
from arbiter.lifecycle.states import ENDS, CaseState, Claim, DecidedBy, Ladder, Phase
from arbiter.lifecycle.steps import Step
from arbiter.model import ActorId

P, E = Phase, EntryType


def take_up(state: CaseState, event: TakeUp, now: datetime) -> Step:
    """Let a reviewer hold a case, one that has ended as well where it waits to be read for an audit; raises IllegalMoveError."""
    _check_lease(event.until, now)
    held = replace(state, claim=Claim(event.reviewer, event.until))
    if state.phase in ENDS:
        # What an audit's reader lets lapse, nobody has to be told of: the next one takes it over.
        check_may_read(state, event.reviewer, now)
        return Step(held, (*ended_claim(state), E.CLAIMED), ())
    if (why := why_not_to_take_up(state, event.reviewer, arbitrates=event.arbitrates)) is not None:
        raise IllegalMoveError(why)
    claimed = replace(
        held, phase=resumed(state, event.reviewer), human_required=True, ladder=Ladder(state.ladder.waits)
    )
    return Step(claimed, (E.CLAIMED,), ())


def review(state: CaseState, event: Renew | HandBack | CommitOpinion | Reveal | Sign, now: datetime) -> Step:
    """Make a move that only the holder of the claim can make; raises IllegalMoveError for anybody else."""
    check_claim(state, event.reviewer, now)
    match event:
        case Renew():
            _check_lease(event.until, now)
            return Step(replace(state, claim=Claim(event.reviewer, event.until)), (E.RENEWED,), ())
        case HandBack():
            return _hand_back(state, event, now)
        case CommitOpinion():
            return _commit(state, event, now)
        case Reveal():
            if state.phase is P.CLAIMED and not state.shows_panel_first:
                raise IllegalMoveError("the reviewer's own opinion is committed before the panel is shown")
            shown = seen(not_to_read(state, event.reviewer), (event.reviewer,))
            return Step(replace(shown, phase=P.REVEALED), (E.REVEALED,), ())
        case Sign():
            if event.departs and state.readers_needed > 1 and not state.wants_arbiter:
                raise IllegalMoveError("what no reader has said is decided by an arbiter")
            decided = replace(
                state,
                phase=P.DECIDED,
                decided_by=DecidedBy.REVIEWER,
                claim=None,
                due_at=None,
                correcting=False,
            )
            return Step(decided, (E.SIGNED, E.DECIDED), (SealAndRelease(),))
        case _:
            assert_never(event)


def read_for_audit(state: CaseState, event: ReadForAudit, now: datetime) -> Step:
    """Keep a reader's opinion on a case that has ended, and end the claim; raises IllegalMoveError."""
    check_claim(state, event.reviewer, now)
    check_may_read(state, event.reviewer, now)
    heard = replace(read(state, event.reviewer, agrees=event.agrees), claim=None)
    if contests(state, agrees=event.agrees):
        return contest(heard, (E.AUDIT_READ,), now)
    return Step(heard, (E.AUDIT_READ,), ())


def ended_claim(state: CaseState) -> tuple[EntryType, ...]:
    """Return the entry by which a claim ends with the move, where there is one."""
    return (E.CLAIM_ENDED,) if state.claim is not None else ()


def _commit(state: CaseState, event: CommitOpinion, now: datetime) -> Step:
    """Keep the opinion; whoever is not to see the panel now gives the case on in the same step."""
    committed = replace(with_reading(state, event.reviewer), phase=P.OPINION_COMMITTED)
    about = None if state.audit is None else state.audit.facts_version
    if event.agrees is not None and about == state.facts_version:
        committed = read(committed, event.reviewer, agrees=event.agrees)
    if goes_on(committed, event.reviewer, concurs=event.concurs):
        return Step(committed, (E.COMMITTED,), ())
    passed_on = replace(given_back(committed, now), wants_arbiter=awaits_arbiter(committed))
    return Step(passed_on, (E.COMMITTED, E.CLAIM_ENDED), (NotifyDutyGroup(),))


def _hand_back(state: CaseState, event: HandBack, now: datetime) -> Step:
    if state.phase in ENDS:
        left = not_to_read(state, event.reviewer) if event.for_good else state
        return Step(replace(left, claim=None), (E.CLAIM_ENDED,), ())
    return Step(given_back(state, now), (E.CLAIM_ENDED,), (NotifyDutyGroup(),))


def _check_lease(until: datetime, now: datetime) -> None:
    if until <= now:
        raise IllegalMoveError("a lease must end in the future")


def check_claim(state: CaseState, reviewer: ActorId, now: datetime) -> None:
    """Refuse whoever does not hold the case now; raises IllegalMoveError."""
    if state.claim is None or state.claim.reviewer != reviewer:
        raise IllegalMoveError(f"reviewer {reviewer} does not hold this case")
    if now >= state.claim.until:
        raise IllegalMoveError(f"the claim of reviewer {reviewer} has ended")
