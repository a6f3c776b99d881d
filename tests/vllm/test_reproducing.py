"""Fifty recorded cases before a real vLLM on one thread, asked again with the recorded bytes: the same words, every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from arbiter.identity.accounts import create_account
from arbiter.identity.roles import Role
from arbiter.model import CaseId, MemberStatus
from arbiter.store.database import Database
from arbiter.workflow.reproducing import Outcome, Reproduced, reproduce_case
from tests.houses import PASSWORD, SITE
from tests.system.service import case_body
from tests.vllm.server import VllmServer
from tests.vllm.wards import UNHURRIED, ModelWard, a_model_ward

CASES = 50

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(
    vllm: VllmServer, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ModelWard]:
    async with a_model_ward(tmp_path_factory.mktemp("ward") / "data", module_database, vllm) as opened:
        yield opened


async def handed_in(ward: ModelWard, number: int) -> CaseId:
    """One of fifty patients, no two with the same heart rate and temperature."""
    body = case_body(f"made-up-{number}", protocol=UNHURRIED)
    body["facts"]["heart_rate"]["value"] = 60 + number
    answer = await ward.caller.submit(body, key=f"key-reproduced-{number}")
    assert answer.status_code == 202, answer.text
    case = CaseId(answer.json()["id"])
    await ward.settled(case)
    return case


async def test_fifty_recorded_cases_are_answered_in_the_same_words(ward: ModelWard, vllm: VllmServer) -> None:
    house = ward.house
    auditor = await create_account(
        house.identities, house.clock, house.chance, "ada", "Ada", PASSWORD, frozenset({Role.AUDITOR}), frozenset({SITE})
    )  # fmt: skip
    # One case after another: as many adapters share a batch then as now, or nearly.
    found = [await reproduce_case(house, auditor, await handed_in(ward, number)) for number in range(CASES)]
    models = [each for case in found for each in case if each.kind == "vllm"]
    assert len(models) == CASES * len(vllm.adapters)
    assert Counter(each.outcome for case in found for each in case) == {
        Outcome.EQUAL: sum(len(case) for case in found)
    }, [each for each in models if each.outcome is not Outcome.EQUAL]
    assert all(not each.changed for each in models)
    statuses = Counter((each.member, each.then.status) for each in models)
    assert statuses["voting", MemberStatus.VALID] == CASES
    # The model that writes noise is the one that could differ: else equal words would say little.
    assert statuses["unchanged", MemberStatus.INVALID] > CASES / 2
