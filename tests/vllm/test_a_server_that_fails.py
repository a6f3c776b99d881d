"""vLLM frozen and killed in mid-panel: the case ends in time with a human, each model in its own state, the log whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, MemberStatus
from arbiter.store.database import Database
from arbiter.workflow.dossier import Dossier
from tests.system.service import until
from tests.vllm.server import VllmServer, a_vllm
from tests.vllm.wards import (
    HURRIED,
    PANEL_SECONDS,
    UNHURRIED,
    ModelWard,
    a_model_ward,
    ask_again,
    by_adapter,
    exchanges,
    words,
)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

SCORES = 5


@pytest.fixture(scope="module")
def doomed(vllm_python: Path, models: Path) -> Iterator[VllmServer]:
    """A server of this module's own, with the same models; the tests go by their order."""
    with a_vllm(vllm_python, models) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(
    doomed: VllmServer, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ModelWard]:
    async with a_model_ward(tmp_path_factory.mktemp("ward") / "data", module_database, doomed) as opened:
        yield opened


async def until_only_models_are_waited_for(ward: ModelWard, case: CaseId) -> None:
    async def the_scores_have_answered() -> bool:
        assert await ward.phase(case) is Phase.DELIBERATING
        return len((await ward.dossier(case)).opinions()) == SCORES

    await until(the_scores_have_answered)
    # The requests are on their way by now; give them the time to be there.
    await asyncio.sleep(0.5)


def took_seconds(dossier: Dossier) -> float:
    told = json.loads(dossier.latest("certificate").content)["concluded_at"]
    return (datetime.fromisoformat(told) - dossier.taken_facts().taken_at).total_seconds()


async def test_two_processes_with_the_same_weights_answer_in_the_same_words(
    ward: ModelWard, vllm: VllmServer
) -> None:
    case = await ward.post(UNHURRIED, "made-up-twin")
    assert await ward.settled(case) is Phase.ESCALATED
    for name, sent in exchanges(await ward.dossier(case)).items():
        assert words(await ask_again(vllm, sent.request)) == words(sent.reply), name


async def test_a_server_that_hangs_costs_the_case_no_more_than_the_panels_time(
    ward: ModelWard, doomed: VllmServer
) -> None:
    doomed.freeze()
    try:
        case = await ward.post(HURRIED, "made-up-frozen")
        assert await ward.settled(case) is Phase.ESCALATED
    finally:
        doomed.thaw()
    dossier = await ward.dossier(case)
    assert {opinion.status for opinion in by_adapter(dossier).values()} == {MemberStatus.TIMED_OUT}
    assert {sent.ending for sent in exchanges(dossier).values()} == {"out-of-time"}
    assert took_seconds(dossier) < PANEL_SECONDS[HURRIED] + 1
    await ward.check_everything(case)


async def test_a_server_that_goes_on_after_hanging_is_asked_again_as_if_nothing_had_been(
    ward: ModelWard,
) -> None:
    case = await ward.post(UNHURRIED, "made-up-thawed")
    assert await ward.settled(case) is Phase.ESCALATED
    assert by_adapter(await ward.dossier(case))["voting"].status is MemberStatus.VALID


async def test_a_server_killed_in_mid_panel_leaves_its_members_down_and_the_case_with_a_human(
    ward: ModelWard, doomed: VllmServer
) -> None:
    doomed.freeze()
    case = await ward.post(UNHURRIED, "made-up-killed")
    await until_only_models_are_waited_for(ward, case)
    doomed.kill()
    assert await ward.settled(case) is Phase.ESCALATED
    dossier = await ward.dossier(case)
    assert {opinion.status for opinion in by_adapter(dossier).values()} == {MemberStatus.DOWN}
    assert {sent.ending for sent in exchanges(dossier).values()} == {"broken"}
    assert all(not sent.reply for sent in exchanges(dossier).values())
    assert took_seconds(dossier) < PANEL_SECONDS[UNHURRIED]
    codes = {
        reason["code"] for reason in json.loads(dossier.latest("certificate").content)["verdict"]["reasons"]
    }
    assert "missing-could-change" in codes
    await ward.check_everything(case)
    assert doomed.processes() == []
    assert doomed.left_in_memory() == []


async def test_a_case_after_the_kill_goes_to_a_human_at_once(ward: ModelWard) -> None:
    case = await ward.post(UNHURRIED, "made-up-after")
    assert await ward.settled(case) is Phase.ESCALATED
    dossier = await ward.dossier(case)
    assert {opinion.status for opinion in by_adapter(dossier).values()} == {MemberStatus.DOWN}
    assert {sent.ending for sent in exchanges(dossier).values()} == {"not-connected"}
    assert took_seconds(dossier) < PANEL_SECONDS[HURRIED]
