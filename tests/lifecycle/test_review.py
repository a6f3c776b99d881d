"""The reviewer's part: one at a time, on a claim that ends, own opinion first; and no panel decides alone after it."""

from __future__ import annotations

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import (
    Amend,
    CommitOpinion,
    Conclude,
    Contest,
    Event,
    Expire,
    HandBack,
    Renew,
    Reveal,
    Sign,
    TakeUp,
)
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import UNDER_REVIEW, Phase
from arbiter.model import VerdictKind
from tests.lifecycle.cases import (
    ANNA,
    ASK,
    BORIS,
    IN_PHASE,
    MINUTE,
    START,
    SUBMIT,
    answers,
    claimed,
    committed,
    escalated,
    released,
    revealed,
    run,
)

# --- claims ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [Renew(BORIS, START + 20 * MINUTE), HandBack(BORIS), CommitOpinion(BORIS)])
def test_a_reviewer_cannot_act_on_another_reviewers_claim(event: Event) -> None:
    with pytest.raises(IllegalMoveError, match="does not hold"):
        step(claimed(ANNA), event, START)


def test_a_claimed_case_cannot_be_claimed_again() -> None:
    with pytest.raises(IllegalMoveError):
        step(claimed(ANNA), TakeUp(BORIS, START + 20 * MINUTE), START)


def test_a_claim_that_has_run_out_carries_no_opinion() -> None:
    with pytest.raises(IllegalMoveError, match="has ended"):
        step(claimed(), CommitOpinion(ANNA), START + 10 * MINUTE)


def test_a_lease_that_ends_now_or_earlier_is_refused() -> None:
    for until in (START, START - MINUTE):
        with pytest.raises(IllegalMoveError, match="future"):
            step(escalated(), TakeUp(ANNA, until), START)


@pytest.mark.parametrize("phase", sorted(UNDER_REVIEW))
def test_a_lease_that_runs_out_gives_the_case_back(phase: Phase) -> None:
    state = IN_PHASE[phase]
    assert state is not None
    outcome = step(state, Expire(), START + 10 * MINUTE)
    assert (outcome.state.phase, outcome.state.claim) == (Phase.ESCALATED, None)
    assert outcome.entries == (EntryType.CLAIM_ENDED,)


# --- the order of a review ---------------------------------------------------------------------------------------


def test_the_panel_is_not_revealed_before_the_reviewers_own_opinion() -> None:
    with pytest.raises(IllegalMoveError, match="own opinion"):
        step(claimed(), Reveal(ANNA), START)


def test_policy_may_show_the_panel_first() -> None:
    shown = run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.ESCALATE, shows_panel_first=True))
    assert run(TakeUp(ANNA, START + 10 * MINUTE), Reveal(ANNA), state=shown).phase is Phase.REVEALED


def test_nobody_signs_before_seeing_the_panel() -> None:
    with pytest.raises(IllegalMoveError):
        step(committed(), Sign(ANNA), START)


# --- once a clinician is involved --------------------------------------------------------------------------------


def test_no_panel_decides_alone_once_a_clinician_has_had_the_case() -> None:
    again = run(HandBack(ANNA), Amend(), ASK, *answers(version=2), state=claimed())
    with pytest.raises(IllegalMoveError, match="no panel decides"):
        step(again, Conclude(VerdictKind.DECIDE), START)


def test_a_contested_decision_goes_to_a_human_and_stays_there() -> None:
    contested = run(Contest(), state=released())
    assert contested.phase is Phase.ESCALATED
    assert contested.human_required
    assert contested.decided_by is None


def test_amending_takes_the_case_from_the_reviewer_and_says_so() -> None:
    outcome = step(revealed(), Amend(), START)
    assert outcome.entries == (EntryType.CLAIM_ENDED, EntryType.AMENDED)
    assert outcome.state.claim is None
    assert outcome.state.facts_version == 2
