"""An escalation that nobody takes: it climbs, is acknowledged or not, falls due once, and never closes by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import NotifyDutyGroup, TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import Acknowledge, Exclude, Expire, HandBack, TakeUp
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import CaseState, Ladder, Phase
from tests.lifecycle.cases import ANNA, BORIS, LADDER, MINUTE, START, SUBMIT_WITH_LADDER, escalated, run


def test_an_escalation_nobody_takes_is_overdue_once() -> None:
    late = run(Expire(), state=escalated(), now=START + 2 * 30 * MINUTE)
    assert late.overdue
    assert late.wake_at is None
    with pytest.raises(IllegalMoveError):
        step(late, Expire(), START + timedelta(days=30))
    assert run(TakeUp(ANNA, START + timedelta(days=31)), state=late).phase is Phase.CLAIMED


def climbing() -> CaseState:
    return run(SUBMIT_WITH_LADDER, Exclude())


def test_an_escalation_nobody_takes_climbs_its_ladder_and_ends_unattended() -> None:
    state, told = climbing(), []
    while state.ladder.until is not None:
        assert state.wake_at == state.ladder.until
        outcome = step(state, Expire(), state.ladder.until)
        told.append((outcome.entries, outcome.effects))
        state = outcome.state
    assert told == [
        ((EntryType.CLIMBED,), (NotifyDutyGroup(1),)),
        ((EntryType.CLIMBED,), (NotifyDutyGroup(2),)),
        ((EntryType.UNATTENDED,), (TellRequester(EntryType.UNATTENDED),)),
    ]
    assert state.ladder == Ladder(LADDER, 2, unattended=True)
    assert state.phase is Phase.ESCALATED, "it stays on the work list"
    assert state.wake_at == state.due_at


def test_an_acknowledgement_stops_the_ladder_until_the_review_is_overdue() -> None:
    state = run(Acknowledge(BORIS), state=climbing())
    assert state.ladder == Ladder(LADDER, 0, acknowledged_by=BORIS)
    assert state.wake_at == state.due_at
    assert state.due_at is not None
    outcome = step(state, Expire(), state.due_at)
    assert outcome.entries == (EntryType.OVERDUE, EntryType.CLIMBED)
    assert outcome.effects == (TellRequester(EntryType.OVERDUE), NotifyDutyGroup(1))
    assert outcome.state.ladder.acknowledged_by is None


def test_an_escalation_is_acknowledged_once() -> None:
    with pytest.raises(IllegalMoveError, match="usr_boris has acknowledged"):
        step(run(Acknowledge(BORIS), state=climbing()), Acknowledge(ANNA), START)


def test_an_unattended_escalation_can_still_be_acknowledged_and_taken() -> None:
    state = climbing()
    while state.ladder.until is not None:
        state = step(state, Expire(), state.ladder.until).state
    late = START + timedelta(minutes=20)
    acknowledged = step(state, Acknowledge(ANNA), late).state
    assert not acknowledged.ladder.unattended
    assert step(acknowledged, TakeUp(ANNA, late + MINUTE), late).state.phase is Phase.CLAIMED


def test_a_claim_stops_the_ladder_and_its_end_begins_it_anew() -> None:
    climbed = step(climbing(), Expire(), START + 3 * MINUTE).state
    held = step(climbed, TakeUp(ANNA, START + 10 * MINUTE), START + 4 * MINUTE).state
    assert held.ladder == Ladder(LADDER)
    for event, at in ((HandBack(ANNA), START + 5 * MINUTE), (Expire(), START + 10 * MINUTE)):
        outcome = step(held, event, at)
        assert outcome.effects == (NotifyDutyGroup(0),)
        assert outcome.state.ladder == Ladder(LADDER, 0, at + LADDER[0])


def test_a_ladder_that_is_overdue_at_its_end_tells_both_once() -> None:
    state = climbing()
    assert state.due_at is not None
    outcome = step(replace(state, ladder=Ladder(LADDER, 2, state.due_at)), Expire(), state.due_at)
    assert outcome.entries == (EntryType.OVERDUE, EntryType.UNATTENDED)
    assert outcome.state.wake_at is None
