"""The panel's part, pushed at by hand: moves that look legal and are not, and what time does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import NotifyDutyGroup
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import Amend, Answer, Ask, Conclude, Expire, Sign
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import Phase
from arbiter.model import MemberId, MemberStatus, VerdictKind
from tests.lifecycle.cases import (
    ANNA,
    ASK,
    IN_PHASE,
    SEATS,
    START,
    SUBMIT,
    answers,
    decided,
    deliberating,
    revealed,
    run,
)

# --- moves that look legal and are not ---------------------------------------------------------------------------


def test_an_answer_about_older_facts_is_refused() -> None:
    amended = run(Amend(), ASK, state=deliberating())
    with pytest.raises(IllegalMoveError, match="facts version 1, the case holds 2"):
        step(amended, answers()[0], START)


def test_a_second_answer_of_one_member_is_refused() -> None:
    once = run(answers()[0], state=deliberating())
    with pytest.raises(IllegalMoveError, match="answered already"):
        step(once, answers(MemberStatus.ABSTAINED)[0], START)


def test_an_answer_of_a_member_nobody_asked_is_refused() -> None:
    with pytest.raises(IllegalMoveError, match="not asked"):
        step(deliberating(), Answer(MemberId("stranger"), MemberStatus.VALID, 1), START)


def test_a_panel_of_nobody_or_with_one_member_twice_is_refused() -> None:
    for seats in ((), (SEATS[0], SEATS[0])):
        with pytest.raises(IllegalMoveError):
            step(run(SUBMIT), Ask(seats), START)


def test_concluding_before_everyone_answered_is_refused() -> None:
    with pytest.raises(IllegalMoveError, match="1 members have not answered"):
        step(run(*answers()[:2], state=deliberating()), Conclude(VerdictKind.DECIDE), START)


def test_no_wait_ends_early() -> None:
    for phase in (Phase.RECEIVED, Phase.AWAITING_FACTS, Phase.ESCALATED, Phase.CLAIMED, Phase.DECIDED):
        state = IN_PHASE[phase]
        assert state is not None
        assert state.wake_at is not None
        with pytest.raises(IllegalMoveError, match="not over"):
            step(state, Expire(), state.wake_at - timedelta(microseconds=1))


# --- what time does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.RECEIVED, Phase.DELIBERATING, Phase.AWAITING_FACTS])
def test_a_wait_that_is_over_escalates(phase: Phase) -> None:
    state = IN_PHASE[phase]
    assert state is not None
    assert state.wake_at is not None
    outcome = step(state, Expire(), state.wake_at)
    assert outcome.state.phase is Phase.ESCALATED
    assert NotifyDutyGroup() in outcome.effects


def test_a_panels_decision_that_nothing_seals_is_withdrawn_to_a_human() -> None:
    outcome = step(decided(), Expire(), START + timedelta(hours=1))
    assert outcome.state.phase is Phase.ESCALATED
    assert outcome.state.decided_by is None
    assert outcome.entries == (EntryType.WITHDRAWN,)


def test_a_humans_signed_decision_is_never_withdrawn_by_time() -> None:
    signed = run(Sign(ANNA), state=revealed())
    assert signed.wake_at is None
    with pytest.raises(IllegalMoveError):
        step(signed, Expire(), START + timedelta(days=365))
