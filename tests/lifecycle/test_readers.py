"""Second readers and arbiters: each blind, each somebody else, and no opinion given twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import NotifyDutyGroup
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import (
    Amend,
    CommitOpinion,
    Conclude,
    Contest,
    DeclareConflict,
    Event,
    Expire,
    HandBack,
    Refer,
    Release,
    Reveal,
    Sign,
    TakeUp,
)
from arbiter.lifecycle.readers import may_take_up
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId, VerdictKind
from tests.lifecycle.cases import (
    ANNA,
    ASK,
    BORIS,
    CLARA,
    DAVID,
    MINUTE,
    START,
    SUBMIT,
    answers,
    committed,
    escalated,
    read_once,
    read_twice,
    revealed,
    run,
)

UNTIL = START + 20 * MINUTE


def taken(state: CaseState, reviewer: ActorId, *, arbitrates: bool = False) -> CaseState:
    return run(TakeUp(reviewer, UNTIL, arbitrates), state=state)


def refused(state: CaseState, event: Event, match: str) -> None:
    with pytest.raises(IllegalMoveError, match=match):
        step(state, event, START)


# --- opinions outlive the claim ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [HandBack(ANNA), Expire()], ids=["handed back", "lapsed"])
def test_who_has_seen_the_panel_gives_no_blind_opinion_after_taking_the_case_again(ending: Event) -> None:
    back = step(revealed(), ending, START + 10 * MINUTE if isinstance(ending, Expire) else START).state
    again = run(TakeUp(ANNA, START + 30 * MINUTE), state=back, now=START + 11 * MINUTE)
    assert again.phase is Phase.REVEALED
    with pytest.raises(IllegalMoveError):
        step(again, CommitOpinion(ANNA), START + 12 * MINUTE)


def test_who_has_given_an_opinion_goes_on_behind_it() -> None:
    again = taken(run(HandBack(ANNA), state=committed()), ANNA)
    assert again.phase is Phase.OPINION_COMMITTED
    refused(again, CommitOpinion(ANNA), "not possible")


def test_another_reviewer_begins_blind_whoever_has_read_before() -> None:
    assert taken(run(HandBack(ANNA), state=revealed()), BORIS).phase is Phase.CLAIMED


def test_an_opinion_in_a_damaged_phase_is_refused_all_the_same() -> None:
    bent = replace(taken(run(HandBack(ANNA), state=committed()), ANNA), phase=Phase.CLAIMED)
    refused(bent, CommitOpinion(ANNA), "opinion on these facts already")


def test_new_facts_are_read_anew_by_everybody() -> None:
    amended = run(Amend(), ASK, *answers(version=2), Conclude(VerdictKind.ESCALATE), state=revealed())
    assert (amended.readings, amended.seen_by) == ((), ())
    assert taken(amended, ANNA).phase is Phase.CLAIMED


def test_a_dispute_does_not_make_who_has_seen_the_panel_blind_again() -> None:
    contested = run(Sign(ANNA), Release(), Contest(), state=revealed())
    assert contested.readings == ()
    assert taken(contested, ANNA).phase is Phase.REVEALED
    assert taken(contested, BORIS).phase is Phase.CLAIMED


# --- the second reader -------------------------------------------------------------------------------------------------


def test_the_first_reader_gives_the_case_on_without_seeing_the_panel() -> None:
    first = run(
        TakeUp(ANNA, UNTIL),
        state=run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.ESCALATE, second_reader=True)),
    )
    outcome = step(first, CommitOpinion(ANNA), START)
    assert outcome.entries == (EntryType.COMMITTED, EntryType.CLAIM_ENDED)
    assert outcome.effects == (NotifyDutyGroup(),)
    assert (outcome.state.phase, outcome.state.claim, outcome.state.seen_by) == (Phase.ESCALATED, None, ())
    assert outcome.state.due_at == first.due_at, "it is due when it was"


def test_the_first_reader_is_not_the_second() -> None:
    refused(read_once(), TakeUp(ANNA, UNTIL), "somebody else")
    refused(read_once(), TakeUp(ANNA, UNTIL, arbitrates=True), "somebody else")


@pytest.mark.parametrize("event", [CommitOpinion(ANNA), Reveal(ANNA), Sign(ANNA)])
def test_the_first_reader_holds_nothing_any_more(event: Event) -> None:
    refused(read_once(), event, "not possible")
    refused(taken(read_once(), BORIS), event, r"does not hold|not possible")


def test_the_second_reader_sees_no_panel_before_an_own_opinion() -> None:
    refused(taken(read_once(), BORIS), Reveal(BORIS), "own opinion")


def test_two_who_agree_decide_and_the_second_signs() -> None:
    agreed = read_twice(concurs=True)
    assert agreed.phase is Phase.OPINION_COMMITTED
    assert run(Reveal(BORIS), Sign(BORIS), state=agreed).phase is Phase.DECIDED


def test_what_neither_reader_said_is_not_for_the_second_to_sign() -> None:
    refused(run(Reveal(BORIS), state=read_twice(concurs=True)), Sign(BORIS, departs=True), "arbiter")


@pytest.mark.parametrize("concurs", [False, None])
def test_two_who_do_not_agree_leave_it_to_an_arbiter(concurs: bool | None) -> None:
    state = run(TakeUp(BORIS, UNTIL), state=read_once())
    outcome = step(state, CommitOpinion(BORIS, concurs=concurs), START)
    assert outcome.entries == (EntryType.COMMITTED, EntryType.CLAIM_ENDED), (
        "no other words than after a first reading"
    )
    assert (outcome.state.phase, outcome.state.wants_arbiter) == (Phase.ESCALATED, True)


def test_policy_that_shows_the_panel_first_gives_way_to_two_readers() -> None:
    both = Conclude(VerdictKind.ESCALATE, shows_panel_first=True, second_reader=True)
    state = run(TakeUp(ANNA, UNTIL), state=run(SUBMIT, ASK, *answers(), both))
    refused(state, Reveal(ANNA), "own opinion")


def test_a_case_that_needs_two_readers_needs_them_after_a_dispute_too() -> None:
    signed = run(Reveal(BORIS), Sign(BORIS), Release(), Contest(), state=read_twice(concurs=True))
    refused(signed, TakeUp(BORIS, UNTIL), "seen the panel")
    again = taken(signed, CLARA)
    assert run(CommitOpinion(CLARA), state=again).phase is Phase.ESCALATED


def test_a_second_reader_who_leaves_can_be_followed_by_either_reader_or_a_third() -> None:
    left = run(HandBack(BORIS), state=read_twice(concurs=True))
    assert taken(left, ANNA).phase is Phase.OPINION_COMMITTED
    assert taken(left, BORIS).phase is Phase.OPINION_COMMITTED
    third = taken(left, CLARA)
    assert run(CommitOpinion(CLARA, concurs=True), state=third).phase is Phase.OPINION_COMMITTED
    assert run(CommitOpinion(CLARA, concurs=False), state=third).wants_arbiter


def test_a_reading_of_somebody_in_conflict_leaves_the_first_place_open() -> None:
    stepped_back = run(DeclareConflict(BORIS), state=taken(read_once(), BORIS))
    assert stepped_back.readings == (ANNA,)
    agreed = run(DeclareConflict(BORIS), state=read_twice(concurs=True))
    assert agreed.readings == (ANNA,)
    refused(agreed, TakeUp(ANNA, UNTIL), "somebody else")
    refused(agreed, TakeUp(BORIS, UNTIL), "conflict")


def test_a_case_that_nobody_reads_second_runs_late_and_is_decided_by_nobody() -> None:
    late = step(read_once(), Expire(), START + 31 * MINUTE)
    assert EntryType.OVERDUE in late.entries
    assert (late.state.phase, late.state.overdue) == (Phase.ESCALATED, True)
    refused(late.state, TakeUp(ANNA, START + 90 * MINUTE), "somebody else")


# --- the arbiter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [ANNA, BORIS])
def test_no_reader_is_the_arbiter_of_their_own_case(reader: ActorId) -> None:
    refused(read_twice(concurs=False), TakeUp(reader, UNTIL, arbitrates=True), "no arbiter")


def test_who_may_not_arbitrate_does_not() -> None:
    refused(read_twice(concurs=False), TakeUp(CLARA, UNTIL), "waits for an arbiter")


def test_the_arbiter_judges_blind_too_and_then_decides_whatever_is_right() -> None:
    held = taken(read_twice(concurs=False), CLARA, arbitrates=True)
    refused(held, Reveal(CLARA), "own opinion")
    judged = run(CommitOpinion(CLARA, concurs=False), state=held)
    assert judged.phase is Phase.OPINION_COMMITTED
    assert run(Reveal(CLARA), Sign(CLARA, departs=True), state=judged).phase is Phase.DECIDED


def test_an_arbiter_who_lets_the_case_go_may_take_it_again_and_another_begins_blind() -> None:
    judged = run(
        CommitOpinion(CLARA, concurs=False),
        HandBack(CLARA),
        state=taken(read_twice(concurs=False), CLARA, arbitrates=True),
    )
    assert taken(judged, CLARA, arbitrates=True).phase is Phase.OPINION_COMMITTED
    assert taken(judged, DAVID, arbitrates=True).phase is Phase.CLAIMED


def test_a_case_that_needs_two_readers_and_was_handed_up_unread_is_still_read_by_two() -> None:
    referred = run(Refer(ANNA), state=run(TakeUp(ANNA, UNTIL), state=replace(escalated(), readers_needed=2)))
    once = run(CommitOpinion(CLARA), state=taken(referred, CLARA, arbitrates=True))
    assert (once.phase, once.readings, once.arbiters) == (Phase.ESCALATED, (CLARA,), ())
    refused(once, TakeUp(CLARA, UNTIL, arbitrates=True), "somebody else")


def test_the_list_leaves_out_exactly_what_would_be_refused() -> None:
    states = (
        escalated(),
        read_once(),
        read_twice(concurs=False),
        run(HandBack(BORIS), state=read_twice(concurs=True)),
    )
    outcomes = set()
    for state in states:
        for reviewer in (ANNA, BORIS, CLARA):
            for arbitrates in (True, False):
                try:
                    step(state, TakeUp(reviewer, UNTIL, arbitrates), START)
                    taken_up = True
                except IllegalMoveError:
                    taken_up = False
                assert taken_up is may_take_up(state, reviewer, arbitrates=arbitrates)
                outcomes.add(taken_up)
    assert outcomes == {True, False}
