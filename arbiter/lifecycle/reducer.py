"""The one pure reducer: every move a case can make, and what the log and the world must hear of it.

`step(state, event, now)` returns the next state, the entries the log must carry and the effects the workflow must
perform. Whatever the arms below do, nothing outside the table leaves it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.auditing import voided
from arbiter.lifecycle.correcting import correct
from arbiter.lifecycle.deliberating import answer, ask, check_awaited, conclude
from arbiter.lifecycle.effects import (
    DropSafetyNet,
    Effect,
    NotifyDutyGroup,
    ScheduleSafetyNet,
    TellRequester,
)
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.escalating import acknowledge, contest, escalate, given_back, untaken, with_humans
from arbiter.lifecycle.events import (
    Acknowledge,
    Amend,
    Answer,
    Ask,
    BreakGlass,
    Cancel,
    CommitOpinion,
    CompleteErasure,
    Conclude,
    Contest,
    Convene,
    Correct,
    DeclareConflict,
    Defer,
    Erase,
    Event,
    Exclude,
    Expire,
    HandBack,
    Hold,
    LiftHold,
    Park,
    Read,
    ReadForAudit,
    RecordOutcome,
    Refer,
    Release,
    Renew,
    RequestFacts,
    Reroute,
    Retract,
    Reveal,
    Sign,
    Submit,
    Supersede,
    TakeUp,
    Witness,
)
from arbiter.lifecycle.handling import handle, unanswered
from arbiter.lifecycle.readers import read_anew
from arbiter.lifecycle.reviewing import check_claim, ended_claim, read_for_audit, review, take_up
from arbiter.lifecycle.states import UNDER_REVIEW, CaseState, DecidedBy, Erasure, Ladder, Phase
from arbiter.lifecycle.steps import Step
from arbiter.lifecycle.table import MOVES

P, E = Phase, EntryType
_BY_EVENT = {move.event: move for move in MOVES}
_CONCLUDE_WITHIN = 2
"""Panel times after which a case without a verdict goes to a human, whatever became of its members."""


def step(state: CaseState | None, event: Event, now: datetime) -> Step:
    """Make one move.

    Args:
        state: the case as it stands, None before it exists.
        event: what happened.
        now: aware UTC; read once by the use case.

    Raises:
        IllegalMoveError: when the table has no such move, the mover holds no claim, a wait is not over, or an answer
            comes twice, unasked or about other facts (a re-route likewise).
    """
    move = _BY_EVENT[type(event)]
    phase = None if state is None else state.phase
    if phase not in move.sources:
        raise IllegalMoveError(f"{_name(event)} is not possible when a case is {phase or 'not there yet'}")
    if state is not None and state.erasure is not None and not isinstance(event, CompleteErasure):
        raise IllegalMoveError(f"{_name(event)} is not possible when a case is erased")
    outcome = _enter(event, now) if state is None else _advance(state, event, now)
    # INVARIANT: whatever the handlers do, nothing outside the table leaves this function.
    assert outcome.state.phase in move.targets, (event, outcome.state.phase)
    assert outcome.entries, event
    assert set(outcome.entries) <= move.entries, (event, outcome.entries)
    assert {type(effect) for effect in outcome.effects} <= move.effects, (event, outcome.effects)
    return outcome


def _enter(event: Event, now: datetime) -> Step:
    assert isinstance(event, Submit)
    state = CaseState(
        phase=P.RECEIVED,
        risk_class=event.risk_class,
        timers=event.timers,
        due_at=now + _CONCLUDE_WITHIN * event.timers.panel,
        facts_version=1,
        seats=(),
        answered=(),
        human_required=False,
        shows_panel_first=False,
        overdue=False,
        claim=None,
        decided_by=None,
        successor=None,
        ladder=Ladder(event.ladder),
        training=event.training,
        planted=event.planted,
    )
    return Step(state, (E.RECEIVED,), (ScheduleSafetyNet(),))


def _advance(  # noqa: C901, PLR0911, PLR0912 - one arm an event
    state: CaseState, event: Event, now: datetime
) -> Step:
    match event:
        case Submit():
            raise IllegalMoveError("a case is submitted once")
        case Exclude() | Park():
            return escalate(state, now, (DropSafetyNet(),))
        case Ask():
            return ask(state, event, now)
        case Reroute():
            check_awaited(state, event.member, event.facts_version)
            return Step(state, (E.REROUTED,), ())
        case Answer():
            return answer(state, event)
        case Conclude():
            return conclude(state, event, now)
        case Amend():
            return _amend(state, now)
        case Expire():
            return _expire(state, now)
        case Acknowledge(by):
            return acknowledge(state, by)
        case TakeUp():
            return take_up(state, event, now)
        case Renew() | HandBack() | CommitOpinion() | Reveal() | Sign():
            return review(state, event, now)
        case Refer() | Defer() | RequestFacts() | DeclareConflict() | Convene():
            check_claim(state, event.reviewer, now)
            return handle(state, event, now)
        case Correct():
            return correct(state, event, ended_claim(state), now)
        case ReadForAudit():
            return read_for_audit(state, event, now)
        case RecordOutcome():
            return Step(state, (E.OUTCOME,), ())
        case Release(witnessed):
            return _release(state, witnessed=witnessed)
        case Witness():
            return _witness(state)
        case Cancel():
            return _close(state, P.CANCELLED, E.CANCELLED)
        case Contest():
            return contest(state, ended_claim(state), now)
        case Retract():
            return _close(state, P.ENTERED_IN_ERROR, E.RETRACTED)
        case Supersede(successor):
            return _close(replace(state, successor=successor), P.SUPERSEDED, E.SUPERSEDED)
        case Read():
            return Step(state, (E.READ,), ())
        case BreakGlass():
            return Step(state, (E.GLASS_BROKEN,), (TellRequester(E.GLASS_BROKEN),))
        case Hold() | LiftHold() | Erase() | CompleteErasure():
            return _keep_or_erase(state, event)
        case _:
            assert_never(event)


def _keep_or_erase(state: CaseState, event: Hold | LiftHold | Erase | CompleteErasure) -> Step:
    match event:
        case Hold():
            if state.held:
                raise IllegalMoveError("a legal hold is in force already")
            return Step(replace(state, held=True), (E.HOLD_PLACED,), ())
        case LiftHold():
            if not state.held:
                raise IllegalMoveError("no legal hold is in force")
            return Step(replace(state, held=False), (E.HOLD_LIFTED,), ())
        case Erase():
            if state.held:
                raise IllegalMoveError("a legal hold forbids erasing this case")
            return Step(replace(voided(state), claim=None, erasure=Erasure.KEY_DESTROYED), (E.ERASED,), ())
        case CompleteErasure():
            if state.erasure is not Erasure.KEY_DESTROYED:
                raise IllegalMoveError("no erasure of this case is under way")
            return Step(replace(state, erasure=Erasure.COMPLETE), (E.ERASURE_COMPLETED,), ())
        case _:
            assert_never(event)


def _amend(state: CaseState, now: datetime) -> Step:
    """Begin again with new facts. A reviewer at work loses the claim: an opinion binds the facts it saw."""
    amended = replace(
        read_anew(state),
        phase=P.RECEIVED,
        facts_version=state.facts_version + 1,
        due_at=now + _CONCLUDE_WITHIN * state.timers.panel,
        seats=(),
        answered=(),
        overdue=False,
        claim=None,
        shows_panel_first=False,
        ladder=Ladder(state.ladder.waits),
    )
    return Step(amended, (*ended_claim(state), E.AMENDED), (ScheduleSafetyNet(),))


def _expire(state: CaseState, now: datetime) -> Step:
    if state.wake_at is None or now < state.wake_at:
        raise IllegalMoveError(f"the wait of a case that is {state.phase} is not over")
    if state.phase in UNDER_REVIEW:
        return Step(given_back(state, now), (E.CLAIM_ENDED,), (NotifyDutyGroup(),))
    if state.phase is P.ESCALATED:
        return untaken(state, now)
    if state.phase is P.AWAITING_FACTS and state.facts_asked_by is not None:
        return unanswered(state, now)
    if state.phase is P.DECIDED:
        # A panel's decision that no checkpoint covers in time is withdrawn, and a human decides. A human's waits.
        withdrawn = replace(with_humans(voided(state), now), decided_by=None)
        return Step(withdrawn, (E.WITHDRAWN,), (NotifyDutyGroup(), TellRequester(E.WITHDRAWN)))
    return escalate(state, now, (DropSafetyNet(),))


def _release(state: CaseState, *, witnessed: bool) -> Step:
    if not witnessed and state.decided_by is not DecidedBy.REVIEWER:
        raise IllegalMoveError("a panel's decision waits for its witnesses")
    released = replace(state, phase=P.RELEASED, due_at=None, unwitnessed=not witnessed)
    return Step(released, (E.RELEASED,), (TellRequester(E.RELEASED),))


def _witness(state: CaseState) -> Step:
    if not state.unwitnessed:
        raise IllegalMoveError("the decision lacks no witness")
    return Step(replace(state, unwitnessed=False), (E.WITNESSED,), (TellRequester(E.WITNESSED),))


def _close(state: CaseState, phase: Phase, entry: EntryType) -> Step:
    effects: tuple[Effect, ...] = (TellRequester(entry),)
    if state.phase in {P.RECEIVED, P.DELIBERATING}:
        effects = (DropSafetyNet(), *effects)
    closed = replace(state, phase=phase, claim=None, due_at=None, ladder=Ladder(state.ladder.waits))
    return Step(closed, (*ended_claim(state), entry), effects)


def _name(event: Event) -> str:
    return type(event).__name__.lower()
