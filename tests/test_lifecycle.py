"""The reducer against the table it promises, walked at random and pushed at by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import (
    AskPanel,
    DropSafetyNet,
    NotifyDutyGroup,
    ScheduleSafetyNet,
    SealAndRelease,
    TellRequester,
)
from arbiter.lifecycle.entries import CLOSING, DOCUMENTS, EntryType
from arbiter.lifecycle.events import (
    Acknowledge,
    Amend,
    Answer,
    Ask,
    BreakGlass,
    Cancel,
    CommitOpinion,
    Conclude,
    Contest,
    Event,
    Exclude,
    Expire,
    HandBack,
    Park,
    Read,
    Release,
    Renew,
    Retract,
    Reveal,
    Sign,
    Submit,
    Supersede,
    TakeUp,
)
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import ENDS, UNDER_REVIEW, CaseState, DecidedBy, Ladder, Phase
from arbiter.lifecycle.table import MOVES
from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, RiskClass, VerdictKind
from arbiter.question import Timers

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIMERS = Timers(panel=MINUTE, facts=10 * MINUTE, review=30 * MINUTE, release=MINUTE)
SEATS = (MemberId("news2"), MemberId("mews"), MemberId("cart"))
ANNA, BORIS = ActorId("usr_anna"), ActorId("usr_boris")
SUBMIT = Submit(RiskClass.URGENT, TIMERS)
LADDER = (2 * MINUTE, 3 * MINUTE, 5 * MINUTE)
SUBMIT_WITH_LADDER = Submit(RiskClass.URGENT, TIMERS, LADDER)
ASK = Ask(SEATS)


def run(*events: Event, state: CaseState | None = None, now: datetime = START) -> CaseState:
    """Apply events one after another, a second apart."""
    for at, event in enumerate(events):
        state = step(state, event, now + timedelta(seconds=at)).state
    assert state is not None
    return state


def answers(status: MemberStatus = MemberStatus.VALID, version: int = 1) -> tuple[Answer, ...]:
    return tuple(Answer(member, status, version) for member in SEATS)


def deliberating() -> CaseState:
    return run(SUBMIT, ASK)


def escalated() -> CaseState:
    return run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.ESCALATE))


def claimed(reviewer: ActorId = ANNA) -> CaseState:
    return run(TakeUp(reviewer, START + 10 * MINUTE), state=escalated())


def committed() -> CaseState:
    return run(CommitOpinion(ANNA), state=claimed())


def revealed() -> CaseState:
    return run(Reveal(ANNA), state=committed())


def decided() -> CaseState:
    return run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.DECIDE))


def released() -> CaseState:
    return run(Release(), state=decided())


IN_PHASE: dict[Phase | None, CaseState | None] = {
    None: None,
    Phase.RECEIVED: run(SUBMIT),
    Phase.DELIBERATING: deliberating(),
    Phase.AWAITING_FACTS: run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.ASK_FACTS)),
    Phase.ESCALATED: escalated(),
    Phase.CLAIMED: claimed(),
    Phase.OPINION_COMMITTED: committed(),
    Phase.REVEALED: revealed(),
    Phase.DECIDED: decided(),
    Phase.RELEASED: released(),
    Phase.CANCELLED: run(SUBMIT, Cancel()),
    Phase.SUPERSEDED: run(SUBMIT, Supersede(CaseId("c_new"))),
    Phase.ENTERED_IN_ERROR: run(SUBMIT, Retract()),
}

SAMPLE: dict[type[Event], Event] = {
    Submit: SUBMIT,
    Exclude: Exclude(),
    Ask: ASK,
    Answer: Answer(SEATS[0], MemberStatus.VALID, 1),
    Conclude: Conclude(VerdictKind.ESCALATE),
    Park: Park(),
    Amend: Amend(),
    Expire: Expire(),
    Acknowledge: Acknowledge(ANNA),
    TakeUp: TakeUp(ANNA, START + 20 * MINUTE),
    Renew: Renew(ANNA, START + 20 * MINUTE),
    HandBack: HandBack(ANNA),
    CommitOpinion: CommitOpinion(ANNA),
    Reveal: Reveal(ANNA),
    Sign: Sign(ANNA),
    Release: Release(),
    Cancel: Cancel(),
    Contest: Contest(),
    Retract: Retract(),
    Supersede: Supersede(CaseId("c_new")),
    Read: Read(),
    BreakGlass: BreakGlass(),
}


def test_the_table_names_every_event_and_every_phase_entry_and_effect() -> None:
    assert {move.event for move in MOVES} == set(SAMPLE)
    assert len(MOVES) == len(SAMPLE)
    assert set().union(*(move.targets for move in MOVES)) == set(Phase)
    assert set().union(*(move.entries for move in MOVES)) == set(EntryType)
    assert set().union(*(move.effects for move in MOVES)) == {
        AskPanel, ScheduleSafetyNet, DropSafetyNet, NotifyDutyGroup, TellRequester, SealAndRelease,
    }  # fmt: skip
    assert set(IN_PHASE) == {None, *Phase}


ILLEGAL = [(phase, SAMPLE[move.event]) for move in MOVES for phase in IN_PHASE if phase not in move.sources]


@pytest.mark.parametrize(("phase", "event"), ILLEGAL, ids=lambda value: str(value).partition("(")[0])
def test_what_is_not_in_the_table_is_refused(phase: Phase | None, event: Event) -> None:
    with pytest.raises(IllegalMoveError):
        step(IN_PHASE[phase], event, START + timedelta(days=1))


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


def test_the_panel_is_not_revealed_before_the_reviewers_own_opinion() -> None:
    with pytest.raises(IllegalMoveError, match="own opinion"):
        step(claimed(), Reveal(ANNA), START)


def test_policy_may_show_the_panel_first() -> None:
    shown = run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.ESCALATE, shows_panel_first=True))
    assert run(TakeUp(ANNA, START + 10 * MINUTE), Reveal(ANNA), state=shown).phase is Phase.REVEALED


def test_nobody_signs_before_seeing_the_panel() -> None:
    with pytest.raises(IllegalMoveError):
        step(committed(), Sign(ANNA), START)


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


@pytest.mark.parametrize("phase", sorted(UNDER_REVIEW))
def test_a_lease_that_runs_out_gives_the_case_back(phase: Phase) -> None:
    state = IN_PHASE[phase]
    assert state is not None
    outcome = step(state, Expire(), START + 10 * MINUTE)
    assert (outcome.state.phase, outcome.state.claim) == (Phase.ESCALATED, None)
    assert outcome.entries == (EntryType.CLAIM_ENDED,)


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


# --- at random ---------------------------------------------------------------------------------------------------

REACHED: set[Phase] = set()


class Walk(RuleBasedStateMachine):
    """Any events in any order at any pace: what is accepted is in the table, what is refused changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.state: CaseState | None = None
        self.now = START
        self.entries: list[EntryType] = []

    @initialize(submit=st.sampled_from([SUBMIT, SUBMIT_WITH_LADDER]))
    def submit(self, submit: Submit) -> None:
        self.attempt(submit)

    def attempt(self, event: Event) -> None:
        before = self.state
        move = next(move for move in MOVES if move.event is type(event))
        try:
            outcome = step(before, event, self.now)
        except IllegalMoveError:
            return
        assert (None if before is None else before.phase) in move.sources
        assert outcome.state.phase in move.targets
        assert outcome.entries
        assert set(outcome.entries) <= move.entries
        assert {type(effect) for effect in outcome.effects} <= move.effects
        assert outcome == step(before, event, self.now), "the same inputs give the same step"
        if before is not None and before.human_required:
            assert outcome.state.human_required
            assert outcome.state.decided_by is not DecidedBy.PANEL or before.decided_by is DecidedBy.PANEL
        self.state = outcome.state
        self.entries.extend(outcome.entries)
        REACHED.add(outcome.state.phase)

    @rule(seconds=st.integers(0, 4000))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.RECEIVED)
    @rule(kind=st.sampled_from(VerdictKind))
    def asked_answered_and_concluded(self, kind: VerdictKind) -> None:
        assert self.state is not None
        events: tuple[Event, ...] = (ASK, *answers(version=self.state.facts_version), Conclude(kind))
        for event in events:
            self.attempt(event)

    @rule()
    def asked(self) -> None:
        self.attempt(ASK)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.DELIBERATING)
    @rule(status=st.sampled_from(MemberStatus))
    def everyone_left_answers(self, status: MemberStatus) -> None:
        assert self.state is not None
        for member in self.state.unanswered:
            self.attempt(Answer(member, status, self.state.facts_version))

    @rule(member=st.sampled_from(SEATS), version=st.integers(1, 3))
    def one_answers(self, member: MemberId, version: int) -> None:
        self.attempt(Answer(member, MemberStatus.VALID, version))

    @rule(kind=st.sampled_from(VerdictKind), first=st.booleans())
    def concluded(self, kind: VerdictKind, first: bool) -> None:
        self.attempt(Conclude(kind, first))

    @rule(reviewer=st.sampled_from([ANNA, BORIS]), minutes=st.integers(-1, 30))
    def taken_up(self, reviewer: ActorId, minutes: int) -> None:
        self.attempt(TakeUp(reviewer, self.now + minutes * MINUTE))

    @rule(
        reviewer=st.sampled_from([ANNA, BORIS]),
        kind=st.sampled_from([HandBack, CommitOpinion, Reveal, Sign]),
    )
    def reviewed(self, reviewer: ActorId, kind: type[HandBack | CommitOpinion | Reveal | Sign]) -> None:
        self.attempt(kind(reviewer))

    @precondition(lambda self: self.state is not None and self.state.claim is not None)
    @rule()
    def reviewed_to_the_end(self) -> None:
        assert self.state is not None
        assert self.state.claim is not None
        reviewer = self.state.claim.reviewer
        for event in (CommitOpinion(reviewer), Reveal(reviewer), Sign(reviewer)):
            self.attempt(event)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.DECIDED)
    @rule(event=st.sampled_from([Release(), Expire()]))
    def sealed_or_not(self, event: Event) -> None:
        self.attempt(event)

    @rule(
        event=st.sampled_from(
            [SUBMIT, Exclude(), Park(), Amend(), Expire(), Acknowledge(ANNA), Release(), Read(), Contest()]
        )
    )
    def happens(self, event: Event) -> None:
        self.attempt(event)

    @rule(event=st.sampled_from([Cancel(), Retract(), Supersede(CaseId("c_new"))]), rare=st.integers(0, 9))
    def ended(self, event: Event, rare: int) -> None:
        if rare == 0:
            self.attempt(event)

    @invariant()
    def the_state_makes_sense(self) -> None:
        state = self.state
        if state is None:
            return
        assert (state.claim is not None) == (state.phase in UNDER_REVIEW)
        assert (state.phase in ENDS) <= (state.wake_at is None)
        assert (state.ladder.until is not None) <= (state.phase is Phase.ESCALATED), "only who waits calls"
        assert state.ladder.until is None or (
            state.ladder.acknowledged_by is None and not state.ladder.unattended
        )
        called = Phase.ESCALATED is state.phase and state.ladder.waits and not state.ladder.acknowledged_by
        assert not called or state.ladder.until is not None or state.ladder.unattended, (
            "somebody is called, or told"
        )
        assert (state.phase in {Phase.DECIDED, Phase.RELEASED}) <= (state.decided_by is not None)
        assert (state.successor is not None) == (state.phase is Phase.SUPERSEDED)
        waiting = {Phase.RECEIVED, Phase.DELIBERATING, Phase.AWAITING_FACTS, *UNDER_REVIEW}
        assert state.phase not in waiting or state.wake_at is not None, "somebody always ends the wait"
        assert self.entries.count(EntryType.RECEIVED) == 1
        assert (state.phase in ENDS) <= any(entry in CLOSING for entry in self.entries)


Walk.TestCase.settings = settings(
    max_examples=500, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


TestWalk = Walk.TestCase


def test_every_phase_is_reached_by_the_random_walk() -> None:
    if not REACHED:
        Walk.TestCase("runTest").runTest()
    assert set(Phase) == REACHED


def test_every_way_out_of_a_case_carries_the_count_of_its_entries() -> None:
    for move in MOVES:
        for end in move.targets & ENDS:
            assert move.event in {Read, BreakGlass} or move.entries & CLOSING, (
                f"{move.event.__name__} ends in {end} uncounted"
            )


def test_entries_that_tell_of_content_commit_to_it() -> None:
    silent = {entry for entry in EntryType if not DOCUMENTS.get(entry)}
    assert silent == {
        EntryType.ASKED, EntryType.OVERDUE, EntryType.CLAIMED, EntryType.RENEWED, EntryType.CLAIM_ENDED,
        EntryType.REVEALED, EntryType.RELEASED, EntryType.CLIMBED, EntryType.ACKNOWLEDGED, EntryType.UNATTENDED, EntryType.SUPERSEDED, EntryType.READ,
    }  # fmt: skip
