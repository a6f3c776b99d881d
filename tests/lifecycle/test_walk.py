"""The reducer against its table, walked at random: what is accepted is in the table, what is refused changes nothing."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.entries import CLOSING, EntryType
from arbiter.lifecycle.events import (
    Acknowledge,
    Amend,
    Answer,
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
    RequestFacts,
    Retract,
    Reveal,
    Sign,
    Submit,
    Supersede,
    TakeUp,
    Witness,
)
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import ENDS, UNDER_REVIEW, AuditStage, CaseState, DecidedBy, Phase
from arbiter.lifecycle.table import MOVES
from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, VerdictKind
from tests.lifecycle.cases import (
    ANNA,
    ASK,
    BORIS,
    CLARA,
    DAVID,
    MINUTE,
    SEATS,
    START,
    SUBMIT,
    SUBMIT_WITH_LADDER,
    answers,
)

REACHED: set[Phase] = set()
PEOPLE = (ANNA, BORIS, CLARA, DAVID)
ARBITERS = {CLARA, DAVID}


class Walk(RuleBasedStateMachine):
    """Any events in any order at any pace: what is accepted is in the table, what is refused changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.state: CaseState | None = None
        self.now = START
        self.entries: list[EntryType] = []
        self.read: set[ActorId] = set()
        self.shown: set[ActorId] = set()

    @initialize(submit=st.sampled_from([SUBMIT, SUBMIT_WITH_LADDER]))
    def submit(self, submit: Submit) -> None:
        self.attempt(submit)

    def attempt(self, event: Event) -> None:
        before = self.state
        erased = before is not None and before.erasure is not None
        move = next(move for move in MOVES if move.event is type(event))
        try:
            outcome = step(before, event, self.now)
        except IllegalMoveError:
            return
        assert (None if before is None else before.phase) in move.sources
        assert not erased or isinstance(event, CompleteErasure), "an erased case is left alone"
        assert outcome.state.phase in move.targets
        assert outcome.entries
        assert set(outcome.entries) <= move.entries
        assert {type(effect) for effect in outcome.effects} <= move.effects
        assert outcome == step(before, event, self.now), "the same inputs give the same step"
        if before is not None and before.human_required:
            assert outcome.state.human_required
            assert outcome.state.decided_by is not DecidedBy.PANEL or before.decided_by is DecidedBy.PANEL
        self.look(event, outcome.state)
        self.state = outcome.state
        self.entries.extend(outcome.entries)
        REACHED.add(outcome.state.phase)

    def look(self, event: Event, after: CaseState) -> None:
        """Keep who has read and seen what, apart from what the state says of it, and hold accepted moves against that."""
        match event:
            case Amend():
                self.read, self.shown = set(), set()
            case Contest() | ReadForAudit() if after.phase is Phase.ESCALATED:
                self.read = set()
            case CommitOpinion(reviewer):
                assert reviewer not in self.shown, "who has seen the panel gives no blind opinion"
                assert reviewer not in self.read, "nobody gives two opinions on the same facts"
                self.read.add(reviewer)
            case Reveal(reviewer) | Correct(reviewer):
                self.shown.add(reviewer)
            case Convene(reviewer, attendees):
                self.shown |= {reviewer, *attendees}
            case DeclareConflict(reviewer):
                self.read.discard(reviewer)
            case Sign(reviewer):
                assert reviewer in self.shown
                assert after.readers_needed == 1 or len(self.read) >= 2, "two have read what two must read"
            case _:
                pass

    @rule(seconds=st.integers(0, 4000))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.RECEIVED)
    @rule(kind=st.sampled_from(VerdictKind), audited=st.booleans(), twice=st.booleans())
    def asked_answered_and_concluded(self, kind: VerdictKind, audited: bool, twice: bool) -> None:
        assert self.state is not None
        conclude = Conclude(kind, audited=audited and kind is VerdictKind.DECIDE, second_reader=twice)
        events: tuple[Event, ...] = (ASK, *answers(version=self.state.facts_version), conclude)
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

    @rule(reviewer=st.sampled_from(PEOPLE), minutes=st.integers(-1, 30))
    def taken_up(self, reviewer: ActorId, minutes: int) -> None:
        self.attempt(TakeUp(reviewer, self.now + minutes * MINUTE, reviewer in ARBITERS))

    @rule(
        reviewer=st.sampled_from(PEOPLE),
        kind=st.sampled_from([HandBack, CommitOpinion, Reveal, Sign, Refer, RequestFacts, DeclareConflict]),
    )
    def reviewed(self, reviewer: ActorId, kind: type[HandBack | CommitOpinion | Reveal | Sign]) -> None:
        self.attempt(kind(reviewer))

    @precondition(lambda self: self.state is not None and self.state.claim is not None)
    @rule(concurs=st.sampled_from([True, False, None]), departs=st.booleans())
    def reviewed_to_the_end(self, concurs: bool | None, departs: bool) -> None:
        assert self.state is not None
        assert self.state.claim is not None
        reviewer = self.state.claim.reviewer
        for event in (CommitOpinion(reviewer, concurs=concurs), Reveal(reviewer), Sign(reviewer, departs)):
            self.attempt(event)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.ESCALATED)
    @rule(reviewer=st.sampled_from(PEOPLE), concurs=st.sampled_from([True, False, None]))
    def taken_up_and_read(self, reviewer: ActorId, concurs: bool | None) -> None:
        self.attempt(TakeUp(reviewer, self.now + 10 * MINUTE, reviewer in ARBITERS))
        self.attempt(CommitOpinion(reviewer, concurs=concurs))

    @precondition(lambda self: self.state is not None and self.state.claim is not None)
    @rule(minutes=st.integers(-1, 40), other=st.sampled_from(PEOPLE), which=st.integers(0, 5))
    def handled(self, minutes: int, other: ActorId, which: int) -> None:
        assert self.state is not None
        assert self.state.claim is not None
        holder = self.state.claim.reviewer
        until = self.now + minutes * MINUTE
        moves: tuple[Event, ...] = (
            Refer(holder), RequestFacts(holder), DeclareConflict(holder), HandBack(holder), Defer(holder, until),
            Convene(holder, (other,)),
        )  # fmt: skip
        self.attempt(moves[which])

    @rule(reviewer=st.sampled_from(PEOPLE))
    def corrected(self, reviewer: ActorId) -> None:
        self.attempt(Correct(reviewer, self.now + 20 * MINUTE, reviewer in ARBITERS))

    @precondition(lambda self: self.state is not None and self.state.audit is not None)
    @rule(reader=st.sampled_from(PEOPLE), agrees=st.booleans())
    def audited(self, reader: ActorId, agrees: bool) -> None:
        before = self.state
        assert before is not None
        assert before.audit is not None
        self.attempt(TakeUp(reader, self.now + 30 * MINUTE, reader in ARBITERS))
        self.attempt(CommitOpinion(reader, agrees))
        self.attempt(ReadForAudit(reader, agrees))
        assert self.state is not None
        assert self.state.audit is not None
        if self.state.audit != before.audit:
            assert before.audit.is_open, "what is closed stays so"
            assert reader not in before.audit.readers, "nobody reads twice"
            wrong = self.state.audit.stage is AuditStage.WRONG
            assert not wrong or (len(set(self.state.audit.readers)) >= 2 and not agrees)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.DECIDED)
    @rule(event=st.sampled_from([Release(), Release(witnessed=False), Witness(), Expire()]))
    def sealed_or_not(self, event: Event) -> None:
        self.attempt(event)

    @rule(
        event=st.sampled_from(
            [
                SUBMIT,
                Exclude(),
                Park(),
                Amend(),
                Expire(),
                Acknowledge(ANNA),
                Release(),
                Read(),
                Contest(),
                RecordOutcome(),
                Witness(),
            ]
        )
    )
    def happens(self, event: Event) -> None:
        self.attempt(event)

    @rule(event=st.sampled_from([Hold(), LiftHold(), Erase(), CompleteErasure()]))
    def kept_or_erased(self, event: Event) -> None:
        before = self.state
        self.attempt(event)
        if self.state is not before and isinstance(event, Erase):
            assert before is not None
            assert before.phase in ENDS, "nothing under way is erased"
            assert not before.held, "nothing is erased under a legal hold"

    @rule(event=st.sampled_from([Cancel(), Retract(), Supersede(CaseId("c_new"))]), rare=st.integers(0, 9))
    def ended(self, event: Event, rare: int) -> None:
        if rare == 0:
            self.attempt(event)

    @invariant()
    def the_state_makes_sense(self) -> None:
        state = self.state
        if state is None:
            return
        assert state.claim is None or state.claim.reviewer not in state.conflicted
        assert set(state.readings) == self.read, "what the state says of readers is what happened"
        assert self.shown <= set(state.seen_by), "who was shown the panel is remembered"
        assert state.correcting <= (state.decided_by is None), (
            "no decision is out while it is being corrected"
        )
        reading = state.phase in ENDS and state.audit is not None and state.audit.is_open
        assert (state.phase in UNDER_REVIEW) <= (state.claim is not None)
        assert (state.claim is not None) <= (state.phase in UNDER_REVIEW or reading)
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
        assert state.unwitnessed <= (state.decided_by is DecidedBy.REVIEWER), "a panel's decision waits"
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
