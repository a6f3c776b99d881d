"""Reading a decision for an audit, on the real house: what moves under a reader's hands, what the reading says and sets going."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.errors import ConflictError, RefusedError
from arbiter.lifecycle.states import AuditStage, Phase
from arbiter.workflow import amending, closing, reading, review, work_list
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.watching import reading as watched_reading
from tests.houses import a_client, facts, settle, settled, types_of
from tests.workflow.watching.readers import OTHER, SAME, Readers, opinion

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- what moves under a reader's hands ---------------------------------------------------------------------------------


async def test_a_case_entered_in_error_meanwhile_is_claimed_anew_and_read(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    await closing.retract(ward.house, ward.client, case, "another patient's")
    for move in (review.open_case, review.renew):
        with pytest.raises(ConflictError):
            await move(ward.house, ward.anna, case)
    with pytest.raises(ConflictError):
        await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    assert await ward.stage(case) is AuditStage.DRAWN
    assert await ward.listed(case) is not None
    await review.claim(ward.house, ward.anna, case)
    assert await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    assert await ward.stage(case) is AuditStage.DOUBTED
    assert (await work_list.standing(ward.house, ward.anna, case)).phase is Phase.ENTERED_IN_ERROR


async def test_a_decision_is_read_on_the_facts_that_it_was_made_on(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.boris, case)
    assert await review.commit_opinion(ward.house, ward.boris, case, opinion(OTHER))
    now = ward.house.clock.now()
    await amending.amend(ward.house, ward.client, case, facts(now, heart_rate=(Decimal(111), "/min")))
    await settled(ward.house, ward.client, case)
    await review.claim(ward.house, ward.boris, case)
    await review.commit_opinion(ward.house, ward.boris, case, opinion(OTHER))
    await review.reveal(ward.house, ward.boris, case)
    await review.sign(ward.house, ward.boris, case, OTHER, "")
    await settle(ward.house)
    assert await ward.stage(case) is AuditStage.DOUBTED
    await review.claim(ward.house, ward.anna, case)
    shown = await review.open_case(ward.house, ward.anna, case)
    assert {fact.name: fact.value for fact in shown.facts}["heart_rate"] == "72"
    assert shown.view.facts_version == 1
    assert await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    assert await ward.stage(case) is AuditStage.WRONG


async def test_who_was_shown_the_panel_since_does_not_find_the_case_on_the_list_again(ward: Readers) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.anna, OTHER)
    now = ward.house.clock.now()
    await amending.amend(ward.house, ward.client, case, facts(now, heart_rate=(Decimal(111), "/min")))
    await settled(ward.house, ward.client, case)
    await ward.read(case, ward.boris, OTHER)
    await ward.sign(case, ward.boris, OTHER)
    assert await ward.stage(case) is AuditStage.DOUBTED
    assert [await ward.listed(case, login) is not None for login in ("anna", "boris", "clara")] == [
        False, False, True,
    ]  # fmt: skip
    assert (await work_list.standing(ward.house, ward.boris, case)).phase is Phase.RELEASED


async def test_a_case_contested_meanwhile_is_claimed_anew_and_reviewed(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    await closing.contest(ward.house, ward.client, case, "the family asks")
    with pytest.raises(ConflictError):
        await review.commit_opinion(ward.house, ward.anna, case, opinion())
    assert await ward.stage(case) is AuditStage.DRAWN
    await review.claim(ward.house, ward.anna, case)
    assert not await review.commit_opinion(ward.house, ward.anna, case, opinion())
    assert await ward.stage(case) is AuditStage.AGREED
    assert (await ward.row(case)).state.phase is Phase.OPINION_COMMITTED


@pytest.mark.parametrize(
    "own",
    [
        opinion("nonsense"),
        replace(opinion(), rests_on=("lactate",)),
        replace(opinion(), confidence=101),
        replace(opinion(), note="x" * 4001),
    ],
    ids=["unknown option", "unknown fact", "more than certain", "too long"],
)
async def test_an_opinion_that_does_not_fit_the_case_moves_nothing(ward: Readers, own: OwnOpinion) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    with pytest.raises(RefusedError):
        await review.commit_opinion(ward.house, ward.anna, case, own)
    assert await ward.stage(case) is AuditStage.DRAWN
    assert not await review.has_read(ward.house, ward.anna, case)


async def test_a_reader_neither_sees_the_panel_nor_signs(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    for option in (SAME, OTHER, "nonsense"):
        with pytest.raises(ConflictError):
            await review.sign(ward.house, ward.anna, case, option, "")
    with pytest.raises(ConflictError):
        await review.reveal(ward.house, ward.anna, case)
    await review.commit_opinion(ward.house, ward.anna, case, opinion())
    with pytest.raises(ConflictError):
        await review.reveal(ward.house, ward.anna, case)
    with pytest.raises(ConflictError):
        await review.signed_case(ward.house, ward.anna, case)
    types = await types_of(ward.house, case)
    assert not {"panel.revealed", "decision.signed"} & set(types)


# --- what a reading says -----------------------------------------------------------------------------------------------


async def test_a_reader_who_agrees_closes_the_audit_and_the_log_holds_the_opinion(ward: Readers) -> None:
    case = await ward.drawn()
    assert await ward.read(case, ward.anna, SAME)
    assert await ward.documents(case, "reading") == [
        {
            "confidence": 80,
            "format": "arbiter/reading/v1",
            "note": "as I see it",
            "option": SAME,
            "rests_on": ["heart_rate", "spo2"],
            "reviewer": ward.anna.id,
        }
    ]
    assert (await types_of(ward.house, case))[-2:] == ["case.claimed", "audit.read"]
    assert await ward.stage(case) is AuditStage.AGREED
    assert (await ward.row(case)).state.phase is Phase.RELEASED
    assert await review.has_read(ward.house, ward.anna, case)
    assert not await review.has_read(ward.house, ward.boris, case)
    assert await review.is_committed(ward.house, ward.anna, case, opinion())
    assert not await review.is_committed(ward.house, ward.anna, case, opinion(OTHER))


async def test_a_reader_who_differs_sends_the_case_back_and_says_why_without_saying_what(
    ward: Readers,
) -> None:
    case = await ward.drawn()
    assert await ward.read(case, ward.anna, OTHER)
    assert (await types_of(ward.house, case))[-2:] == ["audit.read", "case.contested"]
    assert await ward.documents(case, "reason") == [{"reason": watched_reading.CONTESTED_BECAUSE}]
    row = await ward.row(case)
    assert (row.state.phase, row.state.decided_by) == (Phase.ESCALATED, None)
    with pytest.raises(ConflictError):
        await reading.decision(ward.house, ward.client, case)
    shown = await ward.listed(case, "boris")
    assert shown is not None
    assert shown.due_at == row.state.due_at, "from here on it is urgent as any contested case"


async def test_the_reviewer_of_what_was_contested_is_compared_with_the_panel(ward: Readers) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.anna, OTHER)
    await review.claim(ward.house, ward.boris, case)
    assert not await review.commit_opinion(ward.house, ward.boris, case, opinion(SAME))
    assert await ward.stage(case) is AuditStage.UNCONFIRMED
    assert await ward.documents(case, "reading") != await ward.documents(case, "review")
    await ward.sign(case, ward.boris, OTHER)
    assert (await ward.row(case)).state.phase is Phase.RELEASED


async def test_a_second_reader_is_compared_with_the_panel_and_not_with_who_has_decided_since(
    ward: Readers,
) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.anna, OTHER)
    await review.claim(ward.house, ward.anna, case)
    await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    await ward.sign(case, ward.anna, OTHER)
    assert await ward.read(case, ward.clara, OTHER)
    assert await ward.stage(case) is AuditStage.WRONG
    row = await ward.row(case)
    assert row.state.phase is Phase.RELEASED, "a clinician has decided since: nothing is contested twice"
    assert (await types_of(ward.house, case))[-1] == "audit.read"
    assert len(await ward.documents(case, "reason")) == 1
    assert all(step.same for step in await replay_case(ward.house, case))
    await settle(ward.house)
    assert (await verify_log(ward.house, None)).entries > 0


async def test_a_case_that_nobody_audits_is_reviewed_as_ever(ward: Readers) -> None:
    case = await ward.escalated()
    await review.claim(ward.house, ward.anna, case)
    assert not await review.commit_opinion(ward.house, ward.anna, case, opinion())
    assert await ward.stage(case) is None
    (kept,) = await ward.documents(case, "review")
    assert "format" not in kept
    await ward.sign(case, ward.anna, SAME)
    assert not await review.has_read(ward.house, ward.anna, case)
    other, _ = await a_client(ward.house, "another system")
    assert (await reading.decision(ward.house, other, case)).option == SAME
