"""Referring, setting aside, asking for facts, conflicts of interest, sitting together, correcting: what each may not do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import NotifyDutyGroup, TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import (
    Acknowledge,
    Amend,
    CommitOpinion,
    Conclude,
    Contest,
    Convene,
    Correct,
    DeclareConflict,
    Defer,
    Event,
    Expire,
    HandBack,
    ReadForAudit,
    Refer,
    Release,
    RequestFacts,
    Reveal,
    Sign,
    TakeUp,
)
from arbiter.lifecycle.handling import LONGEST_DEFERRAL, MOST_ATTENDEES
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import UNDER_REVIEW, CaseState, Phase
from arbiter.model import ActorId, VerdictKind
from tests.lifecycle.cases import (
    ANNA,
    ASK,
    BORIS,
    CLARA,
    IN_PHASE,
    LADDER,
    MINUTE,
    START,
    SUBMIT_WITH_LADDER,
    answers,
    claimed,
    committed,
    drawn,
    released,
    revealed,
    run,
    signed_and_released,
)

UNTIL = START + 20 * MINUTE
E = EntryType


def refused(state: CaseState, event: Event, match: str, now: datetime = START) -> None:
    with pytest.raises(IllegalMoveError, match=match):
        step(state, event, now)


def held(phase: Phase) -> CaseState:
    state = IN_PHASE[phase]
    assert state is not None
    return state


ENDING: tuple[tuple[Refer | Defer | RequestFacts | DeclareConflict, EntryType], ...] = (
    (Refer(ANNA), E.REFERRED),
    (Defer(ANNA, START + 5 * MINUTE), E.DEFERRED),
    (RequestFacts(ANNA), E.FACTS_REQUESTED),
    (DeclareConflict(ANNA), E.CONFLICT),
)


@pytest.mark.parametrize("phase", sorted(UNDER_REVIEW))
@pytest.mark.parametrize(("event", "entry"), ENDING, ids=lambda value: str(value).partition("(")[0])
def test_each_ends_the_claim_and_says_so_and_is_the_holders_alone(
    phase: Phase, event: Refer | Defer | RequestFacts | DeclareConflict, entry: EntryType
) -> None:
    outcome = step(held(phase), event, START)
    assert outcome.entries == (E.CLAIM_ENDED, entry)
    assert outcome.state.claim is None
    assert outcome.state.wake_at is not None, "somebody always ends the wait"
    refused(held(phase), replace(event, reviewer=BORIS), "does not hold")
    refused(held(phase), event, "has ended", START + 10 * MINUTE)


# --- referring ---------------------------------------------------------------------------------------------------------


def test_a_referred_case_is_an_arbiters_and_never_the_referrers() -> None:
    referred = run(Refer(ANNA), state=committed())
    refused(referred, TakeUp(BORIS, UNTIL), "waits for an arbiter")
    refused(referred, TakeUp(ANNA, UNTIL, arbitrates=True), "has referred")
    assert referred.readings == (ANNA,), "the opinion is kept for the arbiter"
    assert run(TakeUp(CLARA, UNTIL, arbitrates=True), state=referred).phase is Phase.CLAIMED


def test_new_facts_end_a_referral() -> None:
    amended = run(
        Refer(ANNA), Amend(), ASK, *answers(version=2), Conclude(VerdictKind.ESCALATE), state=claimed()
    )
    assert run(TakeUp(ANNA, UNTIL), state=amended).phase is Phase.CLAIMED


# --- setting aside -----------------------------------------------------------------------------------------------------


def laddered() -> CaseState:
    return run(SUBMIT_WITH_LADDER, ASK, *answers(), Conclude(VerdictKind.ESCALATE), TakeUp(ANNA, UNTIL))


def test_a_case_set_aside_calls_nobody_until_then_and_everybody_afterwards() -> None:
    aside = step(laddered(), Defer(ANNA, START + 9 * MINUTE), START + MINUTE)
    assert aside.effects == ()
    assert (aside.state.wake_at, aside.state.ladder.set_aside_until) == (START + 9 * MINUTE,) * 2
    refused(aside.state, Expire(), "not over", START + 8 * MINUTE)
    woken = step(aside.state, Expire(), START + 9 * MINUTE)
    assert (woken.entries, woken.effects) == ((E.CLIMBED,), (NotifyDutyGroup(0),))
    assert woken.state.ladder.until == START + 9 * MINUTE + LADDER[0]
    assert woken.state.ladder.set_aside_until is None


def test_a_case_without_a_ladder_is_heard_of_too_when_its_time_is_over() -> None:
    aside = run(Defer(ANNA, START + 5 * MINUTE), state=claimed())
    woken = step(aside, Expire(), START + 5 * MINUTE)
    assert (woken.entries, woken.effects) == ((E.CLIMBED,), (NotifyDutyGroup(0),))
    assert woken.state.wake_at == aside.due_at


def test_setting_aside_puts_off_no_deadline() -> None:
    due = claimed().due_at
    assert due is not None
    refused(claimed(), Defer(ANNA, due + timedelta(seconds=1)), "beyond the time")
    aside = run(Defer(ANNA, due), state=claimed())
    assert aside.due_at == due
    assert E.OVERDUE in step(aside, Expire(), due).entries


@pytest.mark.parametrize(
    ("until", "match"),
    [(START, "future"), (START - MINUTE, "future"), (START + LONGEST_DEFERRAL + MINUTE, "at most")],
)
def test_a_case_is_not_set_aside_into_the_past_or_past_a_shift(until: datetime, match: str) -> None:
    refused(claimed(), Defer(ANNA, until), match)


def test_an_overdue_case_is_not_set_aside() -> None:
    late = step(run(HandBack(ANNA), state=claimed()), Expire(), START + 40 * MINUTE).state
    again = run(TakeUp(ANNA, START + 60 * MINUTE), state=late, now=START + 41 * MINUTE)
    refused(again, Defer(ANNA, START + 50 * MINUTE), "beyond the time", START + 42 * MINUTE)


def test_nobody_acknowledges_a_call_that_is_not_made() -> None:
    refused(run(Defer(ANNA, START + 5 * MINUTE), state=claimed()), Acknowledge(BORIS), "set this case aside")


def test_anybody_may_take_what_was_set_aside() -> None:
    aside = run(Defer(ANNA, START + 5 * MINUTE), state=committed())
    assert run(TakeUp(ANNA, UNTIL), state=aside).phase is Phase.OPINION_COMMITTED
    assert run(TakeUp(BORIS, UNTIL), state=aside).phase is Phase.CLAIMED


# --- asking for facts --------------------------------------------------------------------------------------------------


def test_facts_asked_for_are_told_to_the_requester_and_come_back_to_people() -> None:
    asked = step(committed(), RequestFacts(ANNA), START)
    assert asked.effects == (TellRequester(E.FACTS_REQUESTED),)
    assert asked.state.due_at == START + 10 * MINUTE
    again = run(Amend(), ASK, *answers(version=2), state=asked.state)
    refused(again, Conclude(VerdictKind.DECIDE), "no panel decides")
    assert run(Conclude(VerdictKind.ESCALATE), state=again).phase is Phase.ESCALATED


def test_facts_that_do_not_come_leave_the_opinions_and_their_blindness_as_they_were() -> None:
    asked = run(RequestFacts(ANNA), state=revealed())
    refused(asked, Expire(), "not over", START + 9 * MINUTE)
    back = step(asked, Expire(), START + 10 * MINUTE + timedelta(seconds=1))
    assert back.entries == (E.FACTS_UNANSWERED,)
    assert back.effects == (NotifyDutyGroup(), TellRequester(E.FACTS_UNANSWERED))
    assert back.state.facts_asked_by is None
    late = START + 12 * MINUTE
    assert run(TakeUp(ANNA, late + 9 * MINUTE), state=back.state, now=late).phase is Phase.REVEALED


def test_a_panel_that_asked_for_facts_itself_is_escalated_as_before() -> None:
    assert step(held(Phase.AWAITING_FACTS), Expire(), START + 20 * MINUTE).entries == (E.ESCALATED,)


def test_nobody_claims_a_case_that_waits_for_facts() -> None:
    refused(run(RequestFacts(ANNA), state=claimed()), TakeUp(ANNA, UNTIL), "not possible")


# --- conflicts of interest ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arbitrates", [True, False])
def test_a_conflict_of_interest_outlasts_new_facts_disputes_and_roles(arbitrates: bool) -> None:
    conflicted = run(DeclareConflict(ANNA), state=committed())
    assert conflicted.readings == ()
    refused(conflicted, TakeUp(ANNA, UNTIL, arbitrates), "conflict")
    amended = run(Amend(), ASK, *answers(version=2), Conclude(VerdictKind.ESCALATE), state=conflicted)
    refused(amended, TakeUp(ANNA, UNTIL, arbitrates), "conflict")
    assert run(TakeUp(BORIS, UNTIL), state=amended).phase is Phase.CLAIMED


def test_who_declares_a_conflict_reads_no_decision_of_the_case_for_an_audit() -> None:
    reading = run(TakeUp(ANNA, UNTIL), state=drawn())
    outcome = step(reading, DeclareConflict(ANNA), START)
    assert (outcome.state.phase, outcome.state.claim, outcome.effects) == (Phase.RELEASED, None, ())
    refused(outcome.state, TakeUp(ANNA, UNTIL), "conflict")
    other = run(TakeUp(BORIS, UNTIL), ReadForAudit(BORIS, agrees=True), state=outcome.state)
    assert other.audit is not None
    assert not other.audit.is_open, "one reader who agrees is enough still"


# --- sitting together --------------------------------------------------------------------------------------------------


def test_who_sat_in_has_seen_the_panel() -> None:
    together = run(Convene(ANNA, (BORIS, CLARA)), state=revealed())
    assert together.seen_by == (ANNA, BORIS, CLARA)
    back = run(HandBack(ANNA), state=together)
    assert run(TakeUp(BORIS, UNTIL), state=back).phase is Phase.REVEALED, (
        "no blind opinion of theirs is left to give"
    )


@pytest.mark.parametrize(
    ("attendees", "match"),
    [
        ((), "at least one"),
        ((ANNA,), "at least one"),
        ((BORIS, BORIS), "named once"),
        (tuple(ActorId(f"usr_{n}") for n in range(MOST_ATTENDEES + 1)), "at most"),
    ],
)
def test_an_attendance_of_nobody_else_of_one_twice_or_of_a_crowd_is_refused(
    attendees: tuple[ActorId, ...], match: str
) -> None:
    refused(revealed(), Convene(ANNA, attendees), match)


def test_nobody_in_conflict_sits_in() -> None:
    conflicted = run(DeclareConflict(BORIS), state=claimed(BORIS))
    shown = run(TakeUp(ANNA, UNTIL), CommitOpinion(ANNA), Reveal(ANNA), state=conflicted)
    refused(shown, Convene(ANNA, (CLARA, BORIS)), "conflict")


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.REVEALED}))
def test_nobody_sits_together_over_what_is_not_revealed(phase: Phase) -> None:
    refused(held(phase), Convene(ANNA, (BORIS,)), "not possible")


# --- correcting --------------------------------------------------------------------------------------------------------


def test_a_decision_taken_back_is_told_at_once_and_signed_anew() -> None:
    outcome = step(signed_and_released(), Correct(ANNA, UNTIL), START)
    assert (outcome.entries, outcome.effects) == ((E.CORRECTED,), (TellRequester(E.CORRECTED),))
    assert (outcome.state.phase, outcome.state.decided_by, outcome.state.correcting) == (
        Phase.REVEALED,
        None,
        True,
    )
    again = run(Sign(ANNA), Release(), state=outcome.state)
    assert (again.phase, again.correcting) == (Phase.RELEASED, False)


@pytest.mark.parametrize("ending", ["lapse", "hand back"])
def test_a_correction_left_halfway_is_released_by_nobody(ending: str) -> None:
    correcting = run(Correct(ANNA, UNTIL), state=signed_and_released())
    event, at = (Expire(), UNTIL) if ending == "lapse" else (HandBack(ANNA), START)
    left = step(correcting, event, at).state
    assert (left.phase, left.decided_by, left.correcting) == (Phase.ESCALATED, None, True)
    assert left.due_at is not None
    refused(left, Release(), "not possible", at)


def test_what_the_panel_decided_is_not_corrected() -> None:
    refused(released(), Correct(ANNA, UNTIL), "contested")


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.RELEASED}))
def test_nothing_but_a_released_decision_is_corrected(phase: Phase) -> None:
    refused(held(phase), Correct(ANNA, UNTIL, arbitrates=True), "not possible")


def test_who_has_a_conflict_or_referred_the_case_does_not_correct_it() -> None:
    referred = run(Refer(BORIS), TakeUp(CLARA, UNTIL, arbitrates=True), state=claimed(BORIS))
    signed = step(
        step(referred, DeclareConflict(CLARA), START).state, TakeUp(ANNA, UNTIL, arbitrates=True), START
    ).state
    done = finished(signed)
    for who in (BORIS, CLARA):
        refused(done, Correct(who, UNTIL, arbitrates=True), "conflict")


def finished(state: CaseState) -> CaseState:
    return run(CommitOpinion(ANNA), Reveal(ANNA), Sign(ANNA), Release(), state=state)


def test_a_correction_that_ends_in_the_past_is_refused() -> None:
    refused(signed_and_released(), Correct(ANNA, START), "future")


def test_an_arbiter_who_corrects_lets_only_arbiters_go_on() -> None:
    left = run(Correct(CLARA, UNTIL, arbitrates=True), HandBack(CLARA), state=signed_and_released())
    refused(left, TakeUp(BORIS, UNTIL), "waits for an arbiter")
    refused(left, TakeUp(ANNA, UNTIL, arbitrates=True), "no arbiter")
    assert run(TakeUp(CLARA, UNTIL, arbitrates=True), state=left).phase is Phase.REVEALED


def test_a_reader_who_may_arbitrate_corrects_as_the_reader_they_were() -> None:
    corrected = run(Correct(ANNA, UNTIL, arbitrates=True), state=signed_and_released())
    assert not corrected.wants_arbiter


def test_a_dispute_during_no_correction_stays_a_dispute() -> None:
    refused(run(Correct(ANNA, UNTIL), state=signed_and_released()), Contest(), "not possible")
