"""Who has seen more of a case than a blind reader may, told from its entries; and what a mask leaves of where a case stands."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from arbiter.audit.entry import FIRST_PREV, Entry
from arbiter.lifecycle.auditing import contests
from arbiter.lifecycle.entries import EntryType as E
from arbiter.lifecycle.events import ReadForAudit, TakeUp
from arbiter.lifecycle.reducer import step
from arbiter.lifecycle.states import Audit, CaseState, DecidedBy, Phase
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.store.cases.heads import CaseRow
from arbiter.workflow.watching.reading import as_it_waits, has_seen_more
from tests.lifecycle.cases import ANNA, MINUTE, START, drawn, escalated, run

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DECIDED = [(E.RECEIVED, "client"), (E.DECIDED, "arbiter"), (E.RELEASED, "arbiter")]


def entries(*told: tuple[E, str]) -> list[Entry]:
    return [
        Entry(kind.value, "c_1", seq, "a" * 64 if seq else FIRST_PREV, AT, actor, "", (), ())
        for seq, (kind, actor) in enumerate(told)
    ]


@pytest.mark.parametrize(
    "told",
    [
        [(E.READ, "anna")],
        [(E.CLAIMED, "boris"), (E.READ, "anna")],
        [(E.CLAIMED, "anna"), (E.READ, "anna"), (E.CLAIM_ENDED, "anna"), (E.READ, "anna")],
        [(E.CLAIMED, "anna"), (E.CLAIM_ENDED, "boris"), (E.CLAIMED, "boris"), (E.READ, "anna")],
        [(E.CLAIMED, "anna"), (E.AUDIT_READ, "anna"), (E.READ, "anna")],
        [(E.CLAIMED, "anna"), (E.COMMITTED, "anna"), (E.REVEALED, "anna")],
        [(E.CLAIMED, "anna"), (E.SIGNED, "anna")],
        [(E.GLASS_BROKEN, "anna"), (E.READ, "anna")],
    ],
)
def test_who_saw_more_than_a_blind_case_is_told_by_the_entries(told: list[tuple[E, str]]) -> None:
    assert has_seen_more(entries(*DECIDED, *told), "anna")


@pytest.mark.parametrize(
    "told",
    [
        [],
        [(E.READ, "client"), (E.CLAIMED, "boris"), (E.READ, "boris"), (E.AUDIT_READ, "boris")],
        [(E.CLAIMED, "anna"), (E.READ, "anna"), (E.RENEWED, "anna"), (E.READ, "anna")],
        [(E.CLAIMED, "anna"), (E.READ, "anna"), (E.CLAIM_ENDED, "anna"), (E.CLAIMED, "anna")],
        [(E.CLAIMED, "boris"), (E.CLAIM_ENDED, "anna"), (E.CLAIMED, "anna"), (E.READ, "anna")],
        [(E.ACKNOWLEDGED, "anna")],
    ],
)
def test_who_saw_a_case_blind_or_not_at_all_is_blind(told: list[tuple[E, str]]) -> None:
    assert not has_seen_more(entries(*DECIDED, *told), "anna")


@pytest.mark.parametrize("agrees", [True, False])
def test_a_reading_says_it_contests_exactly_where_the_reducer_does(agrees: bool) -> None:
    first = run(TakeUp(ANNA, START + 15 * MINUTE), state=drawn())
    outcome = step(first, ReadForAudit(ANNA, agrees), START)
    assert (E.CONTESTED in outcome.entries) is contests(first, agrees=agrees)
    second = replace(first, decided_by=DecidedBy.REVIEWER)
    outcome = step(second, ReadForAudit(ANNA, agrees), START)
    assert (E.CONTESTED in outcome.entries) is contests(second, agrees=agrees) is False


def row(state: CaseState) -> CaseRow:
    who = ActorId("client")
    return CaseRow(
        CaseId("c_1"), "north", who, "s_1", "p", "a" * 64, state, 3, 9, b"", 7, None, AT, AT, "k", b"w"
    )


def test_of_where_a_drawn_case_stands_nothing_is_left_that_an_escalation_has_not() -> None:
    told = replace(
        drawn(),
        risk_class=RiskClass.EMERGENCY,
        shows_panel_first=True,
        unwitnessed=True,
        human_required=False,
    )
    masked = as_it_waits(row(told), START, timedelta(days=14)).state
    plain = replace(escalated(), risk_class=RiskClass.ROUTINE)
    differ = {
        name.name for name in fields(CaseState) if getattr(masked, name.name) != getattr(plain, name.name)
    }
    # What a panel said stands in none of these; they are not shown.
    assert differ <= {"due_at", "human_required"}
    assert isinstance(told.audit, Audit)
    assert masked.due_at == told.audit.drawn_at + timedelta(days=14)


@pytest.mark.parametrize(
    ("minutes", "phase"), [(14, Phase.CLAIMED), (15, Phase.ESCALATED), (60, Phase.ESCALATED)]
)
def test_a_lease_holds_a_case_until_it_ends(minutes: int, phase: Phase) -> None:
    held = run(TakeUp(ANNA, START + 15 * MINUTE), state=drawn())
    masked = as_it_waits(row(held), START + minutes * MINUTE, timedelta(days=14)).state
    assert masked.phase is phase
    assert (masked.claim is None) is (phase is Phase.ESCALATED)
