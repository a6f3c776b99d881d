"""Who reads a decision for an audit, on the real house: who may not, and of those who may the one who claims it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from arbiter.errors import ConflictError, ForbiddenError, NotFoundError
from arbiter.identity.accounts import account_principal, change_account, list_accounts
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import AuditStage, Phase
from arbiter.workflow import closing, reading, review, work_list
from arbiter.workflow.glass import break_glass
from arbiter.workflow.review import LEASE
from tests.houses import listed_for, types_of
from tests.workflow.watching.readers import OTHER, SAME, SOUTH, Readers, opinion

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- who may not read ------------------------------------------------------------------------------------------------


async def test_what_was_read_is_on_no_list_and_nobodys_to_read(ward: Readers) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.boris, SAME)
    assert await ward.stage(case) is AuditStage.AGREED
    assert await ward.listed(case) is None
    with pytest.raises(ConflictError):
        await review.claim(ward.house, ward.anna, case)


async def test_who_has_read_a_case_neither_finds_it_nor_reads_it_again(ward: Readers) -> None:
    case = await ward.drawn()
    await ward.read(case, ward.anna, OTHER)
    await review.claim(ward.house, ward.anna, case)
    await review.commit_opinion(ward.house, ward.anna, case, opinion(OTHER))
    await ward.sign(case, ward.anna, SAME)
    assert await ward.stage(case) is AuditStage.DOUBTED, "one's own second word counts for nothing"
    assert await ward.listed(case) is None
    assert (await work_list.standing(ward.house, ward.anna, case)).phase is Phase.RELEASED
    with pytest.raises(ConflictError, match="is not for"):
        await review.claim(ward.house, ward.anna, case)
    assert await ward.listed(case, "boris") is not None, "a second reader is still wanted"


async def test_another_sites_reviewer_does_not_know_of_it(ward: Readers) -> None:
    case = await ward.drawn()
    dora = await ward.person("dora", Role.REVIEWER, site=SOUTH)
    assert await listed_for(ward.house, dora) == ()
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
    before = (await work_list.look(ward.house, ward.boris)).counts.with_others
    await review.claim(ward.house, ward.anna, case)
    assert await ward.listed(case, "boris") is None
    counted = (await work_list.look(ward.house, ward.boris)).counts.with_others
    assert counted == before + 1, "it is only counted, as any that is held"
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
    shown = await ward.listed(case)
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
    shown = await ward.listed(case)
    assert shown is not None
    assert (shown.phase, shown.mine) == (Phase.ESCALATED, False)
    assert await ward.read(case, ward.boris, SAME)
    assert await ward.stage(case) is AuditStage.AGREED
