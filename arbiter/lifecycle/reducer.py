"""The one pure reducer: every move a case can make, and what the log and the world must hear of it.

`step(state, event, now)` returns the next state, the entries the log must carry and the effects the workflow must
perform. Whatever the arms below do, nothing outside the table leaves it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.auditing import drawn, voided
from arbiter.lifecycle.effects import (
    AskPanel,
    DropSafetyNet,
    Effect,
    NotifyDutyGroup,
    ScheduleSafetyNet,
    SealAndRelease,
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
    Release,
    Renew,
    Reroute,
    Retract,
    Reveal,
    Sign,
    Submit,
    Supersede,
    TakeUp,
    Witness,
)
from arbiter.lifecycle.reviewing import ended_claim, read_for_audit, review, take_up
from arbiter.lifecycle.states import UNDER_REVIEW, CaseState, DecidedBy, Erasure, Ladder, Phase
from arbiter.lifecycle.steps import Step
from arbiter.lifecycle.table import MOVES
from arbiter.model import MemberId, VerdictKind

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
            return _ask(state, event, now)
        case Reroute():
            _check_awaited(state, event.member, event.facts_version)
            return Step(state, (E.REROUTED,), ())
        case Answer():
            return _answer(state, event)
        case Conclude():
            return _conclude(state, event, now)
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


def _ask(state: CaseState, event: Ask, now: datetime) -> Step:
    if not event.seats or len(set(event.seats)) != len(event.seats):
        raise IllegalMoveError("a panel is at least one member, each asked once")
    asked = replace(state, phase=P.DELIBERATING, seats=event.seats, answered=())
    until = now + state.timers.panel
    return Step(asked, (E.ASKED,), (AskPanel(event.seats, state.facts_version, until),))


def _check_awaited(state: CaseState, member: MemberId, facts_version: int) -> None:
    if facts_version != state.facts_version:
        raise IllegalMoveError(
            f"{member} answered about facts version {facts_version}, the case holds {state.facts_version}"
        )
    if member not in state.unanswered:
        raise IllegalMoveError(f"{member} was not asked or has answered already")


def _answer(state: CaseState, event: Answer) -> Step:
    _check_awaited(state, event.member, event.facts_version)
    answered = (*state.answered, (event.member, event.status))
    return Step(replace(state, answered=answered), (E.OPINION,), ())


def _conclude(state: CaseState, event: Conclude, now: datetime) -> Step:
    if state.unanswered:
        raise IllegalMoveError(f"{len(state.unanswered)} members have not answered")
    if event.audited and event.verdict is not VerdictKind.DECIDE:
        raise IllegalMoveError("only what the panel decides is audited")
    state = replace(state, shows_panel_first=event.shows_panel_first)
    drop: tuple[Effect, ...] = (DropSafetyNet(),)
    match event.verdict:
        case VerdictKind.ESCALATE:
            return escalate(state, now, drop)
        case VerdictKind.ASK_FACTS:
            waiting = replace(state, phase=P.AWAITING_FACTS, due_at=now + state.timers.facts)
            return Step(waiting, (E.FACTS_WANTED,), (*drop, TellRequester(E.FACTS_WANTED)))
        case VerdictKind.DECIDE:
            if state.human_required:
                raise IllegalMoveError("a clinician is involved: no panel decides this case alone")
            decided = replace(
                state,
                phase=P.DECIDED,
                decided_by=DecidedBy.PANEL,
                due_at=now + state.timers.release,
                audit=drawn(state, now) if event.audited else None,
            )
            return Step(decided, (E.DECIDED,), (*drop, SealAndRelease()))
        case _:
            assert_never(event.verdict)


def _amend(state: CaseState, now: datetime) -> Step:
    """Begin again with new facts. A reviewer at work loses the claim: an opinion binds the facts it saw."""
    amended = replace(
        state,
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
