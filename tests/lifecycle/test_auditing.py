"""The audit of a decision: one reader at a time, nobody twice, wrong only by two, and whatever becomes of the case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arbiter.errors import IllegalMoveError
from arbiter.lifecycle.effects import NotifyDutyGroup, TellRequester
from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.events import (
    Amend,
    Cancel,
    CommitOpinion,
    Conclude,
    Contest,
    Erase,
    Event,
    Expire,
    HandBack,
    ReadForAudit,
    Release,
    Renew,
    Retract,
    Reveal,
    Sign,
    Supersede,
    TakeUp,
)
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import AuditStage, CaseState, Phase
from arbiter.model import ActorId, CaseId, VerdictKind
from tests.lifecycle.cases import ANNA, ASK, BORIS, MINUTE, START, SUBMIT, answers, drawn, released, run

CLARA = ActorId("usr_clara")


def taken(reader: ActorId = ANNA, state: CaseState | None = None) -> CaseState:
    return run(TakeUp(reader, START + 15 * MINUTE), state=drawn() if state is None else state)


def doubted() -> CaseState:
    """A first reader would have decided otherwise: the case is back with the clinicians."""
    return run(ReadForAudit(ANNA, agrees=False), state=taken())


def stage(state: CaseState) -> AuditStage:
    assert state.audit is not None
    return state.audit.stage


# --- who may read, and when ------------------------------------------------------------------------------------------


def test_a_released_case_that_was_not_drawn_is_nobodys_to_take_up() -> None:
    with pytest.raises(IllegalMoveError, match="waits to be audited"):
        step(released(), TakeUp(ANNA, START + MINUTE), START)


def test_a_case_that_another_reads_cannot_be_taken_up() -> None:
    with pytest.raises(IllegalMoveError, match="holds this case"):
        step(taken(ANNA), TakeUp(BORIS, START + 15 * MINUTE), START)


def test_a_reading_that_was_let_lapse_is_taken_over() -> None:
    outcome = step(taken(ANNA), TakeUp(BORIS, START + 40 * MINUTE), START + 15 * MINUTE)
    assert outcome.entries == (EntryType.CLAIM_ENDED, EntryType.CLAIMED)
    assert outcome.state.claim is not None
    assert outcome.state.claim.reviewer == BORIS


def test_nobody_reads_without_a_claim_nor_on_one_that_has_ended() -> None:
    with pytest.raises(IllegalMoveError, match="does not hold"):
        step(drawn(), ReadForAudit(ANNA, agrees=True), START)
    with pytest.raises(IllegalMoveError, match="has ended"):
        step(taken(), ReadForAudit(ANNA, agrees=True), START + 15 * MINUTE)


def test_what_was_read_is_not_read_again() -> None:
    agreed = run(ReadForAudit(ANNA, agrees=True), state=taken())
    with pytest.raises(IllegalMoveError, match="waits to be audited"):
        step(agreed, TakeUp(BORIS, START + 15 * MINUTE), START)


def test_nothing_of_the_panel_is_shown_to_who_reads() -> None:
    for event in (Reveal(ANNA), Sign(ANNA), CommitOpinion(ANNA)):
        with pytest.raises(IllegalMoveError):
            step(taken(), event, START)


def test_a_reader_holds_on_or_hands_back_and_nobody_is_called() -> None:
    held = step(taken(), Renew(ANNA, START + 20 * MINUTE), START)
    assert held.state.phase is Phase.RELEASED
    back = step(held.state, HandBack(ANNA), START)
    assert (back.state.claim, back.effects, stage(back.state)) == (None, (), AuditStage.DRAWN)


def test_what_is_not_decided_by_the_panel_is_never_drawn() -> None:
    ready = run(SUBMIT, ASK, *answers())
    for kind in (VerdictKind.ESCALATE, VerdictKind.ASK_FACTS):
        with pytest.raises(IllegalMoveError, match="audited"):
            step(ready, Conclude(kind, audited=True), START)


# --- what a reading says ---------------------------------------------------------------------------------------------


def test_a_reader_who_agrees_closes_the_audit_and_nobody_hears() -> None:
    outcome = step(taken(), ReadForAudit(ANNA, agrees=True), START)
    assert stage(outcome.state) is AuditStage.AGREED
    assert outcome.entries == (EntryType.AUDIT_READ,)
    assert (outcome.effects, outcome.state.phase, outcome.state.claim) == ((), Phase.RELEASED, None)


def test_a_reader_who_does_not_contests_the_decision_at_once() -> None:
    outcome = step(taken(), ReadForAudit(ANNA, agrees=False), START)
    assert stage(outcome.state) is AuditStage.DOUBTED
    assert outcome.entries == (EntryType.AUDIT_READ, EntryType.CONTESTED)
    assert outcome.effects == (NotifyDutyGroup(), TellRequester(EntryType.CONTESTED))
    assert outcome.state.phase is Phase.ESCALATED
    assert outcome.state.human_required
    assert outcome.state.claim is None
    assert not outcome.state.shows_panel_first


@pytest.mark.parametrize(("agrees", "expected"), [(True, AuditStage.UNCONFIRMED), (False, AuditStage.WRONG)])
def test_the_reviewer_of_the_contested_case_is_the_second_reader(agrees: bool, expected: AuditStage) -> None:
    again = run(TakeUp(BORIS, START + 15 * MINUTE), CommitOpinion(BORIS, agrees), state=doubted())
    assert stage(again) is expected
    assert again.audit is not None
    assert again.audit.readers == (ANNA, BORIS)


def test_the_first_reader_may_review_the_case_and_is_no_second_reader() -> None:
    own = run(
        TakeUp(ANNA, START + 15 * MINUTE),
        CommitOpinion(ANNA, agrees=False),
        Reveal(ANNA),
        Sign(ANNA),
        Release(),
        state=doubted(),
    )
    assert stage(own) is AuditStage.DOUBTED
    with pytest.raises(IllegalMoveError, match="has read this case already"):
        step(own, TakeUp(ANNA, START + 15 * MINUTE), START)
    second = run(TakeUp(CLARA, START + 15 * MINUTE), ReadForAudit(CLARA, agrees=False), state=own)
    assert stage(second) is AuditStage.WRONG
    assert second.phase is Phase.RELEASED, "a clinician has decided since: nothing is contested twice"


def test_a_reviewer_of_a_case_contested_otherwise_is_the_first_reader() -> None:
    contested = run(Contest(), TakeUp(ANNA, START + 15 * MINUTE), CommitOpinion(ANNA, False), state=drawn())
    assert stage(contested) is AuditStage.DOUBTED
    assert contested.phase is Phase.OPINION_COMMITTED


def test_where_a_clinician_has_decided_since_a_reader_contests_nothing() -> None:
    """The reviewer had seen the panel's decision before, so the opinion given on the way said nothing of it."""
    decided_again = run(
        Contest(), TakeUp(BORIS, START + 15 * MINUTE), CommitOpinion(BORIS), Reveal(BORIS), Sign(BORIS), Release(),
        state=drawn(),
    )  # fmt: skip
    assert stage(decided_again) is AuditStage.DRAWN
    outcome = step(taken(state=decided_again), ReadForAudit(ANNA, agrees=False), START)
    assert outcome.entries == (EntryType.AUDIT_READ,)
    assert (outcome.state.phase, stage(outcome.state)) == (Phase.RELEASED, AuditStage.DOUBTED)


def test_an_opinion_on_other_facts_says_nothing_of_the_decision() -> None:
    amended = replace(doubted(), facts_version=2)
    read = run(TakeUp(BORIS, START + 15 * MINUTE), CommitOpinion(BORIS, agrees=False), state=amended)
    assert read.audit == amended.audit


# --- whatever becomes of the case ------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [Retract(), Supersede(CaseId("c_new"))])
def test_a_decision_that_fell_is_still_read(event: Event) -> None:
    """Who could end an audit by it, once a first reader has had doubts, could keep the alarm from ever coming."""
    fallen = run(event, state=taken())
    assert (stage(fallen), fallen.claim) == (AuditStage.DRAWN, None)
    read = run(TakeUp(ANNA, START + 15 * MINUTE), ReadForAudit(ANNA, agrees=False), state=fallen)
    assert (stage(read), read.phase) == (AuditStage.DOUBTED, fallen.phase), "there is nothing left to contest"
    second = run(TakeUp(BORIS, START + 15 * MINUTE), ReadForAudit(BORIS, agrees=False), state=read)
    assert stage(second) is AuditStage.WRONG


def test_a_case_cancelled_after_a_doubt_is_read_a_second_time() -> None:
    cancelled = run(Cancel(), state=doubted())
    assert (stage(cancelled), cancelled.phase) == (AuditStage.DOUBTED, Phase.CANCELLED)
    second = run(TakeUp(BORIS, START + 15 * MINUTE), ReadForAudit(BORIS, agrees=True), state=cancelled)
    assert stage(second) is AuditStage.UNCONFIRMED


def test_new_facts_end_no_audit_and_an_opinion_on_them_is_none_on_the_decision() -> None:
    amended = run(
        Amend(), ASK, *answers(version=2), Conclude(VerdictKind.ESCALATE), TakeUp(BORIS, START + 15 * MINUTE),
        CommitOpinion(BORIS, agrees=False), Reveal(BORIS), Sign(BORIS), Release(),
        state=doubted(),
    )  # fmt: skip
    assert stage(amended) is AuditStage.DOUBTED
    second = run(TakeUp(CLARA, START + 15 * MINUTE), ReadForAudit(CLARA, agrees=False), state=amended)
    assert stage(second) is AuditStage.WRONG, "it was read on the facts of the decision"


def test_who_was_shown_the_panel_since_is_not_waited_for() -> None:
    """With new facts: an opinion on these says nothing of the decision, and the panel is seen all the same."""
    amended = run(
        Amend(), ASK, *answers(version=2), Conclude(VerdictKind.ESCALATE), TakeUp(BORIS, START + 15 * MINUTE),
        CommitOpinion(BORIS, agrees=False), Reveal(BORIS), Sign(BORIS), Release(),
        state=doubted(),
    )  # fmt: skip
    assert amended.audit is not None
    assert (amended.audit.stage, amended.audit.readers) == (AuditStage.DOUBTED, (ANNA, BORIS))
    for nobody in (ANNA, BORIS):
        with pytest.raises(IllegalMoveError, match="seen its panel"):
            step(amended, TakeUp(nobody, START + 15 * MINUTE), START)


def test_a_contest_ends_the_reading_and_not_the_audit() -> None:
    outcome = step(taken(), Contest(), START)
    assert outcome.entries == (EntryType.CLAIM_ENDED, EntryType.CONTESTED)
    assert stage(outcome.state) is AuditStage.DRAWN


def test_what_is_erased_is_read_by_nobody() -> None:
    erased = run(Erase(), state=taken())
    assert (stage(erased), erased.claim) == (AuditStage.VOID, None)
    with pytest.raises(IllegalMoveError):
        step(erased, TakeUp(BORIS, START + 15 * MINUTE), START)


def test_a_decision_that_nobody_saw_is_read_by_nobody() -> None:
    unseen = run(SUBMIT, ASK, *answers(), Conclude(VerdictKind.DECIDE, audited=True))
    withdrawn = step(unseen, Expire(), START + 30 * MINUTE).state
    assert stage(withdrawn) is AuditStage.VOID


def test_an_audit_that_is_closed_stays_closed() -> None:
    agreed = run(ReadForAudit(ANNA, agrees=True), state=taken())
    assert stage(run(Erase(), state=agreed)) is AuditStage.AGREED
    contested = run(Contest(), TakeUp(BORIS, START + 15 * MINUTE), CommitOpinion(BORIS, False), state=agreed)
    assert stage(contested) is AuditStage.AGREED
