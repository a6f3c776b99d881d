"""An erased case at the door: gone for good (410), its status tells so, and everything else goes on."""

from __future__ import annotations

import pytest
import pytest_asyncio

from arbiter.identity.accounts import create_account
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.house import House
from tests.api.conftest import Caller, new_key, stable_case
from tests.houses import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASON = {"reason": "not as it was"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def order(house: House) -> Order:
    first, second = [
        await create_account(
            house.identities, house.clock, house.chance, login, login.title(), PASSWORD, [Role.RECORDS_OFFICER],
            ["st-elsewhere"],
        )
        for login in ("olga", "piet")
    ]  # fmt: skip
    return Order(first, second, "court order 12/26")


@pytest_asyncio.fixture(loop_scope="module")
async def erased(house: House, caller: Caller, order: Order) -> str:
    case = str((await caller.submit(stable_case(), Prefer="wait=20")).json()["id"])
    assert (await caller.get(f"/v1/cases/{case}/content")).status_code == 200
    await erase(house, order, CaseId(case))
    return case


@pytest.mark.parametrize("what", ["content", "decision", "certificate", "receipt"])
async def test_what_it_held_is_gone(caller: Caller, erased: str, what: str) -> None:
    reply = await caller.get(f"/v1/cases/{erased}/{what}")
    assert reply.status_code == 410
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["type"] == "urn:problem-type:arbiter:erased"
    assert "cannot be read any more" in problem["detail"]


@pytest.mark.parametrize("act", ["contest", "retract", "cancel", "facts"])
async def test_nothing_moves_it(caller: Caller, erased: str, act: str) -> None:
    body = {"facts": stable_case()["facts"]} if act == "facts" else REASON
    assert (await caller.post(f"/v1/cases/{erased}/{act}", body)).status_code == 410


async def test_nobody_supersedes_it(caller: Caller, erased: str) -> None:
    reply = await caller.submit(stable_case() | {"supersedes": erased})
    assert reply.status_code == 410


async def test_its_status_its_list_and_its_steps_say_so(caller: Caller, erased: str) -> None:
    status = (await caller.get(f"/v1/cases/{erased}")).json()
    assert (status["phase"], status["erasure"], status["held"]) == ("released", "key destroyed", False)
    listed = {case["id"]: case for case in (await caller.get("/v1/cases")).json()["cases"]}
    assert listed[erased]["erasure"] == "key destroyed"


async def test_a_stranger_does_not_learn_that_it_was_there(stranger: Caller, erased: str) -> None:
    for what in ("", "/content", "/receipt"):
        assert (await stranger.get(f"/v1/cases/{erased}{what}")).status_code == 404


async def test_the_same_key_makes_no_second_case(house: House, caller: Caller, order: Order) -> None:
    key, body = new_key(), stable_case()
    case = (await caller.submit(body, key, Prefer="wait=20")).json()["id"]
    await erase(house, order, CaseId(case))
    assert (await caller.submit(body, key)).status_code == 422
