"""Reading a decision for an audit, on the real house: who may, what a reader sees, and what the reading says and sets going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from arbiter.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError
from arbiter.identity.accounts import account_principal, change_account, list_accounts
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import AuditStage, Phase
from arbiter.model import RiskClass
from arbiter.store.database import Database
from arbiter.workflow import amending, closing, reading, review, work_list
from arbiter.workflow.auditing import replay_case, verify_log
from arbiter.workflow.downtime import everything_waiting
from arbiter.workflow.glass import break_glass
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import LEASE
from arbiter.workflow.watching import reading as watched_reading
from arbiter.workflow.work_list import WorkItem
from tests.houses import a_client, facts, settle, settled, types_of
from tests.workflow.watching.readers import OTHER, SAME, SOUTH, Readers, opinion, readers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Readers]:
    async with readers(tmp_path_factory.mktemp("reading") / "data", module_database) as made:
        yield made


async def listed(ward: Readers, case: str, who: str = "anna") -> WorkItem | None:
    items = await work_list.waiting(ward.house, getattr(ward, who))
    return next((item for item in items if item.case == case), None)


# --- who may not read ------------------------------------------------------------------------------------------------


async def test_what_was_read_is_on_no_list_and_nobodys_to_read(ward: Readers) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.boris, SAME)
    assert await ward.stage(case) is AuditStage.AGREED
    assert await listed(ward, case) is None
    with pytest.raises(ConflictError):
        await review.claim(ward.house, ward.anna, case)


async def test_who_has_read_a_case_neither_finds_it_nor_reads_it_again(ward: Readers) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.anna, OTHER)
    await review.claim(ward.house, ward.anna, case)
    await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    await ward.sign(case, ward.anna, SAME)
    assert await ward.stage(case) is AuditStage.DOUBTED, "one's own second word counts for nothing"
    assert await listed(ward, case) is None
    assert (await work_list.standing(ward.house, ward.anna, case)).phase is Phase.RELEASED
    with pytest.raises(ConflictError, match="is not for"):
        await review.claim(ward.house, ward.anna, case)
    assert await listed(ward, case, "boris") is not None, "a second reader is still wanted"


async def test_another_sites_reviewer_does_not_know_of_it(ward: Readers) -> None:
    case = await ward.drawn()
    dora = await ward.person("dora", Role.REVIEWER, site=SOUTH)
    assert await work_list.waiting(ward.house, dora) == ()
    for move in (review.claim, review.open_case, review.renew, review.hand_back, review.reveal):
        with pytest.raises(NotFoundError):
            await move(ward.house, dora, case)
    with pytest.raises(NotFoundError):
        await review.commit_opinion(ward.house, dora, case, opinion())


async def test_glass_is_broken_for_a_patient_and_not_for_an_audit(ward: Readers) -> None:
    case = await ward.drawn()
    emil = await ward.person("emil", Role.REVIEWER, Role.EMERGENCY_ACCESS, site=SOUTH)
    await break_glass(ward.house, emil, case, "brought to us")
    with pytest.raises(ConflictError):
        await review.claim(ward.house, emil, case)
    assert (await work_list.standing(ward.house, emil, case)).phase is Phase.RELEASED
    assert (await ward.row(case)).state.claim is None


async def test_who_read_the_decision_in_another_role_does_not_audit_it(ward: Readers) -> None:
    frieda = await ward.person("frieda", Role.AUDITOR)
    seen, unseen, contested = [await ward.drawn() for _ in range(3)]
    for case in (seen, contested):
        await reading.decision(ward.house, frieda, case)
    await closing.contest(ward.house, ward.client, contested, "the family asks")
    row = next(row for row in await list_accounts(ward.house.identities) if row.id == frieda.id)
    await change_account(ward.house.identities, row, [Role.REVIEWER], row.sites)
    now = account_principal(replace(row, roles=(Role.REVIEWER.value,)))
    with pytest.raises(ConflictError, match="is not for"):
        await review.claim(ward.house, now, seen)
    await review.claim(ward.house, now, unseen)
    await review.claim(ward.house, now, contested)
    await review.commit_opinion(ward.house, now, contested, opinion(OTHER))
    assert await ward.stage(contested) is AuditStage.DRAWN, "an opinion that is not blind says nothing"


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.POLICY_APPROVER, Role.FLEET_OPERATOR])
async def test_only_reviewers_read(ward: Readers, role: Role) -> None:
    case = await ward.drawn()
    other = await ward.person(f"other-{role}", role)
    for forbidden in (
        review.claim(ward.house, other, case),
        review.open_case(ward.house, other, case),
        review.commit_opinion(ward.house, other, case, opinion()),
        review.has_read(ward.house, other, case),
    ):
        with pytest.raises(ForbiddenError):
            await forbidden


# --- claims ----------------------------------------------------------------------------------------------------------


async def test_what_one_reads_another_neither_claims_nor_opens(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    shown = await listed(ward, case, "boris")
    assert shown is not None
    assert (shown.phase, shown.mine) == (Phase.CLAIMED, False)
    for move in (review.claim, review.open_case, review.renew, review.hand_back):
        with pytest.raises(ConflictError):
            await move(ward.house, ward.boris, case)
    with pytest.raises(ConflictError):
        await review.commit_opinion(ward.house, ward.boris, case, opinion())
    assert await ward.stage(case) is AuditStage.DRAWN


async def test_of_readers_who_claim_at_once_one_reads(ward: Readers) -> None:
    case = await ward.drawn()
    claims = [review.claim(ward.house, reader, case) for reader in (ward.anna, ward.boris, ward.clara)]
    results = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert all(result is None or isinstance(result, ConflictError) for result in results)


async def test_an_opinion_sent_twice_at_once_is_read_once(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    sent = [review.commit_opinion(ward.house, ward.anna, case, opinion()) for _ in range(6)]
    results = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(result is True for result in results) == 1
    assert all(result is True or isinstance(result, ConflictError) for result in results)
    assert (await types_of(ward.house, case)).count("audit.read") == 1


async def test_a_lapsed_claim_opens_nothing_and_the_next_reader_takes_over(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    ward.clock.advance(LEASE)
    shown = await listed(ward, case)
    assert shown is not None
    assert (shown.phase, shown.mine) == (Phase.ESCALATED, False)
    for move in (review.open_case, review.renew, review.hand_back):
        with pytest.raises(ConflictError):
            await move(ward.house, ward.anna, case)
    with pytest.raises(ConflictError):
        await review.commit_opinion(ward.house, ward.anna, case, opinion())
    await review.claim(ward.house, ward.boris, case)
    assert (await types_of(ward.house, case))[-3:] == ["case.claimed", "claim.ended", "case.claimed"]


async def test_a_case_handed_back_is_read_by_whoever_comes_next(ward: Readers) -> None:
    case = await ward.drawn()
    await review.claim(ward.house, ward.anna, case)
    await review.renew(ward.house, ward.anna, case)
    await review.hand_back(ward.house, ward.anna, case)
    shown = await listed(ward, case)
    assert shown is not None
    assert (shown.phase, shown.mine) == (Phase.ESCALATED, False)
    assert await ward.read(case, ward.boris, SAME)
    assert await ward.stage(case) is AuditStage.AGREED


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
    assert await listed(ward, case) is not None
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
    assert [await listed(ward, case, login) is not None for login in ("anna", "boris", "clara")] == [
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


# --- what a reader sees ------------------------------------------------------------------------------------------------


async def test_an_audit_is_listed_as_a_routine_escalation_is(ward: Readers) -> None:
    drawn, waiting = await ward.drawn(RiskClass.URGENT), await ward.escalated()
    own = {"case": "", "waiting_since": None, "due_at": None, "calls_on_at": None, "called": None}
    audit, escalation = await listed(ward, drawn), await listed(ward, waiting)
    assert audit is not None
    assert escalation is not None
    assert asdict(audit) | own == asdict(escalation) | own
    assert (audit.called, audit.calls_on_at) == (False, None), "nobody is called about what can wait"
    draw = (await ward.row(drawn)).state.audit
    assert draw is not None
    assert audit.due_at == draw.drawn_at + timedelta(days=ward.house.settings.audit_days)


async def test_an_audit_opens_as_a_routine_escalation_does(ward: Readers) -> None:
    pages = []
    for case in (await ward.drawn(RiskClass.URGENT), await ward.escalated()):
        await review.claim(ward.house, ward.anna, case)
        page = asdict(await review.open_case(ward.house, ward.anna, case))
        for own in ("facts", "missing", "subject_value", "claim_until", "as_of"):
            page.pop(own)
        for own in ("id", "created_at", "changed_at", "due_at", "entries"):
            page["view"].pop(own)
        pages.append(page)
    assert pages[0] == pages[1]


async def test_a_reader_sees_the_facts_as_old_as_they_were_when_the_panel_saw_them(ward: Readers) -> None:
    case = await ward.drawn()
    ward.clock.advance(timedelta(days=2))
    await review.claim(ward.house, ward.anna, case)
    blind = await review.open_case(ward.house, ward.anna, case)
    assert blind.as_of == (await ward.dossier(case)).taken_facts().taken_at
    assert {fact.age_minutes for fact in blind.facts} == {5}
    assert not any(fact.stale for fact in blind.facts)
    assert blind.view.due_at is not None
    assert not blind.view.overdue
    await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    await review.claim(ward.house, ward.boris, case)
    contested = await review.open_case(ward.house, ward.boris, case)
    assert min(fact.age_minutes for fact in contested.facts) >= 2 * 24 * 60, (
        "what is decided now, is about now"
    )


async def test_what_can_wait_is_not_on_the_list_for_a_downtime(ward: Readers) -> None:
    drawn, waiting = await ward.drawn(), await ward.escalated()
    cases = {item.case for item in (await everything_waiting(ward.house)).cases}
    assert waiting in cases
    assert drawn not in cases


async def test_a_list_has_room_for_the_oldest_audits_and_for_ones_own(
    ward: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_list, "AUDITS_LISTED", 2)
    gina = await ward.person("gina", Role.REVIEWER)
    cases = [await ward.drawn() for _ in range(3)]

    async def audits() -> list[str]:
        items = await work_list.waiting(ward.house, gina)
        rows = [await ward.row(item.case) for item in items]
        return [row.id for row in rows if row.state.phase is Phase.RELEASED]

    oldest = await audits()
    assert len(oldest) == 2
    assert cases[-1] not in oldest
    await review.claim(ward.house, gina, cases[-1])
    assert cases[-1] in await audits()
    monkeypatch.setattr(work_list, "LIST_LIMIT", 1)
    await ward.escalated()
    assert await audits() == [], "who waits for a decision comes first"


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
    shown = await listed(ward, case, "boris")
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
