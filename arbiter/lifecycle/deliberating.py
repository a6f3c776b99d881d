"""The panel's moves: it is asked, its members answer, adjudication concludes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.auditing import drawn
from arbiter.lifecycle.effects import AskPanel, DropSafetyNet, Effect, SealAndRelease, TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.escalating import escalate
from arbiter.lifecycle.events import Answer, Ask, Conclude
from arbiter.lifecycle.states import CaseState, DecidedBy, Phase
from arbiter.lifecycle.steps import Step
from arbiter.model import MemberId, VerdictKind

P, E = Phase, EntryType


def ask(state: CaseState, event: Ask, now: datetime) -> Step:
    """Ask the panel about the present facts."""
    if not event.seats or len(set(event.seats)) != len(event.seats):
        raise IllegalMoveError("a panel is at least one member, each asked once")
    asked = replace(state, phase=P.DELIBERATING, seats=event.seats, answered=())
    until = now + state.timers.panel
    return Step(asked, (E.ASKED,), (AskPanel(event.seats, state.facts_version, until),))


def check_awaited(state: CaseState, member: MemberId, facts_version: int) -> None:
    """Raise IllegalMoveError unless that member is still to answer about facts of that version."""
    if facts_version != state.facts_version:
        raise IllegalMoveError(
            f"{member} answered about facts version {facts_version}, the case holds {state.facts_version}"
        )
    if member not in state.unanswered:
        raise IllegalMoveError(f"{member} was not asked or has answered already")


def answer(state: CaseState, event: Answer) -> Step:
    """Keep what became of asking one member."""
    check_awaited(state, event.member, event.facts_version)
    answered = (*state.answered, (event.member, event.status))
    return Step(replace(state, answered=answered), (E.OPINION,), ())


def conclude(state: CaseState, event: Conclude, now: datetime) -> Step:
    """Do what adjudication says once everyone has answered; raises IllegalMoveError before."""
    if state.unanswered:
        raise IllegalMoveError(f"{len(state.unanswered)} members have not answered")
    if event.audited and event.verdict is not VerdictKind.DECIDE:
        raise IllegalMoveError("only what the panel decides is audited")
    state = replace(
        state,
        # Two readers who both saw the panel would be no two readers.
        shows_panel_first=event.shows_panel_first and not event.second_reader,
        readers_needed=2 if event.second_reader else 1,
    )
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
