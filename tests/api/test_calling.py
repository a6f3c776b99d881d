"""Answering a call and asking for notices at the door: who may, what is told, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from arbiter.identity.roles import Role
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.house import House
from tests.api.conftest import Caller, excluded_case, new_key, stable_case, token_of
from tests.conftest import SettableClock
from tests.system.service import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def pager(house: House, http: httpx.AsyncClient) -> Caller:
    return Caller(http, await token_of(house, roles=(Role.PAGING_CLIENT,)))


@dataclass
class Escalation:
    id: str


@pytest_asyncio.fixture(loop_scope="module")
async def escalation(house: House, caller: Caller) -> AsyncIterator[Escalation]:
    reply = await caller.submit(excluded_case())
    yield Escalation(reply.json()["id"])
    await caller.post(f"/v1/cases/{reply.json()['id']}/cancel", {"reason": "the test is over"})


async def test_a_pager_answers_and_learns_nothing(
    pager: Caller, caller: Caller, escalation: Escalation
) -> None:
    before = (await caller.get(f"/v1/cases/{escalation.id}")).json()
    assert (before["acknowledged"], before["unattended"], before["advice"]) == (False, False, None)
    reply = await pager.http.post(f"/v1/cases/{escalation.id}/acknowledge", headers=pager.headers())
    assert (reply.status_code, reply.json()) == (200, {"case": escalation.id, "acknowledged": True})
    again = await pager.http.post(f"/v1/cases/{escalation.id}/acknowledge", headers=pager.headers())
    assert again.status_code == 200
    after = (await caller.get(f"/v1/cases/{escalation.id}")).json()
    assert after["acknowledged"] is True
    assert after["entries"] == before["entries"] + 1


@pytest.mark.parametrize(
    "path",
    ["", "/content", "/decision", "/certificate", "/receipt", "/events"],
)
async def test_a_pager_reads_nothing_of_the_case(pager: Caller, escalation: Escalation, path: str) -> None:
    reply = await pager.get(f"/v1/cases/{escalation.id}{path}")
    assert reply.status_code == 403


@pytest.mark.parametrize("path", ["/v1/cases", "/v1/notices", "/v1/protocols"])
async def test_a_pager_lists_nothing(pager: Caller, path: str) -> None:
    assert (await pager.get(path)).status_code == 403


async def test_a_pager_hands_in_and_ends_nothing(pager: Caller, escalation: Escalation) -> None:
    assert (await pager.submit(stable_case())).status_code == 403
    for act in ("cancel", "contest", "retract"):
        reply = await pager.post(f"/v1/cases/{escalation.id}/{act}", {"reason": "because"})
        assert reply.status_code == 403


async def test_what_a_pager_may_not_answer(
    house: House, http: httpx.AsyncClient, pager: Caller, caller: Caller, escalation: Escalation
) -> None:
    async def answer(who: Caller, case: str) -> int:
        reply = await who.http.post(f"/v1/cases/{case}/acknowledge", headers=who.headers())
        assert reply.headers["content-type"] == "application/problem+json"
        return reply.status_code

    elsewhere = Caller(http, await token_of(house, roles=(Role.PAGING_CLIENT,), sites=("far-away",)))
    another = Caller(http, await token_of(house, roles=(Role.PAGING_CLIENT,)))
    assert await answer(elsewhere, escalation.id) == 404
    assert await answer(pager, "c_nobody") == 404
    assert await answer(caller, escalation.id) == 403
    released = await caller.submit(stable_case(), prefer="wait=10")
    assert released.json()["phase"] == "released"
    assert await answer(pager, released.json()["id"]) == 409
    await pager.http.post(f"/v1/cases/{escalation.id}/acknowledge", headers=pager.headers())
    assert await answer(another, escalation.id) == 409


async def test_a_case_that_nobody_answers_tells_its_requester_what_to_do(
    house: House, caller: Caller, module_clock: SettableClock, escalation: Escalation
) -> None:
    begun = module_clock.now()
    try:
        for _ in range(3):
            module_clock.advance(timedelta(hours=3))
            await expire_due(house)
        told = (await caller.get(f"/v1/cases/{escalation.id}")).json()
        assert told["unattended"] is True
        assert told["advice"] == "unattended: follow local procedure"

        async def advised() -> list[str]:
            notices = (await caller.get("/v1/notices?limit=200")).json()["notices"]
            return [n["data"]["advice"] for n in notices if n["type"] == "escalation.unattended"]

        assert await until(advised) == ["unattended: follow local procedure"]
    finally:
        module_clock.set(begun)


async def test_notices_are_read_page_by_page_by_whom_they_concern(
    house: House, http: httpx.AsyncClient, stranger: Caller
) -> None:
    mine = Caller(http, await token_of(house))
    other = Caller(http, await token_of(house))
    cases = [(await mine.submit(excluded_case(), new_key())).json()["id"] for _ in range(3)]

    async def all_told() -> bool:
        return len((await mine.get("/v1/notices")).json()["notices"]) == 3

    await until(all_told)
    first = (await mine.get("/v1/notices?limit=2")).json()
    assert [notice["data"]["case"] for notice in first["notices"]] == cases[:2]
    second = (await mine.get(f"/v1/notices?limit=2&after={first['next']}")).json()
    assert [notice["data"]["case"] for notice in second["notices"]] == cases[2:]
    third = (await mine.get(f"/v1/notices?limit=2&after={second['next']}")).json()
    assert third == {"notices": [], "next": second["next"]}
    for foreign in (other, stranger):
        assert (await foreign.get("/v1/notices")).json()["notices"] == []
    for case in cases:
        await mine.post(f"/v1/cases/{case}/cancel", {"reason": "the test is over"})


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "after=01",
        "after=1e3",
        "after=" + "9" * 19,
        "limit=0",
        "limit=201",
        "cursor=1",
        "after=",
    ],
)
async def test_a_malformed_question_for_notices_is_refused(caller: Caller, query: str) -> None:
    reply = await caller.get(f"/v1/notices?{query}")
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
