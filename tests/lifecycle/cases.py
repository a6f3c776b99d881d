"""A case in every phase, an event of every kind, and people and times for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId, CaseId, MemberId, MemberStatus, RiskClass, VerdictKind
from arbiter.question import Timers

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIMERS = Timers(panel=MINUTE, facts=10 * MINUTE, review=30 * MINUTE, release=MINUTE)
SEATS = (MemberId("news2"), MemberId("mews"), MemberId("cart"))
ANNA, BORIS = ActorId("usr_anna"), ActorId("usr_boris")
CLARA, DAVID = ActorId("usr_clara"), ActorId("usr_david")
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


def drawn() -> CaseState:
    """Return a released case whose decision was drawn for an audit."""
    return run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.DECIDE, audited=True), Release())


def read_once() -> CaseState:
    """Return a case that needs two readers and has been read by Anna."""
    needs_two = Conclude(VerdictKind.ESCALATE, second_reader=True)
    waits = run(SUBMIT, ASK, *answers(), needs_two)
    return run(TakeUp(ANNA, START + 10 * MINUTE), CommitOpinion(ANNA), state=waits)


def read_twice(*, concurs: bool) -> CaseState:
    """Return it once Boris has read it too."""
    return run(TakeUp(BORIS, START + 10 * MINUTE), CommitOpinion(BORIS, concurs=concurs), state=read_once())


def signed_and_released() -> CaseState:
    """Return a released case that Anna has decided."""
    return run(Sign(ANNA), Release(), state=revealed())


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
    Reroute: Reroute(SEATS[0], 1),
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
    ReadForAudit: ReadForAudit(ANNA, agrees=True),
    RecordOutcome: RecordOutcome(),
    Reveal: Reveal(ANNA),
    Refer: Refer(ANNA),
    Defer: Defer(ANNA, START + 5 * MINUTE),
    RequestFacts: RequestFacts(ANNA),
    DeclareConflict: DeclareConflict(ANNA),
    Convene: Convene(ANNA, (BORIS,)),
    Correct: Correct(ANNA, START + 20 * MINUTE),
    Sign: Sign(ANNA),
    Release: Release(),
    Cancel: Cancel(),
    Contest: Contest(),
    Retract: Retract(),
    Supersede: Supersede(CaseId("c_new")),
    Witness: Witness(),
    Read: Read(),
    BreakGlass: BreakGlass(),
    Hold: Hold(),
    LiftHold: LiftHold(),
    Erase: Erase(),
    CompleteErasure: CompleteErasure(),
}
