"""The same request twice is one case; another request under the same key is refused."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from arbiter.store import tables
from arbiter.workflow.house import House
from tests.api.conftest import Caller, new_key, stable_case, token_of
from tests.conftest import SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def count_cases(house: House) -> int:
    async with house.store.read() as transaction:
        return (await transaction.execute(select(func.count()).select_from(tables.case_file))).scalar_one()


async def test_a_repeat_answers_with_the_same_case(caller: Caller, house: House) -> None:
    key, case = new_key(), stable_case()
    first = await caller.submit(case, key, Prefer="wait=20")
    before = await count_cases(house)
    again = await caller.submit(case, key, Prefer="wait=20")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert await count_cases(house) == before


async def test_the_quoted_key_is_the_same_key(caller: Caller) -> None:
    key, case = new_key(), stable_case()
    first = await caller.submit(case, key)
    again = await caller.submit(case, f'"{key}"')
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"M-4711", b"M-4712"),
        lambda body: body.replace(b'"urgent"', b'"routine"'),
        lambda body: body + b" ",
        lambda body: body.replace(b": 74", b": 74.0"),
    ],
    ids=["another patient", "another urgency", "another byte", "another spelling"],
)
async def test_another_body_under_the_same_key_is_refused(
    caller: Caller, house: House, change: object
) -> None:
    key = new_key()
    body = json.dumps(stable_case()).encode()
    assert callable(change)
    assert (await caller.submit_bytes(body, Idempotency_Key=key)).status_code in {201, 202}
    before = await count_cases(house)
    reply = await caller.submit_bytes(change(body), Idempotency_Key=key)
    assert reply.status_code == 422
    assert reply.json()["type"] == "urn:problem-type:arbiter:key-reused"
    assert await count_cases(house) == before


async def test_two_clients_may_choose_the_same_key(
    caller: Caller, house: House, http: httpx.AsyncClient
) -> None:
    other = Caller(http, await token_of(house))
    key = new_key()
    mine, theirs = await caller.submit(stable_case(), key), await other.submit(stable_case(), key)
    assert mine.json()["id"] != theirs.json()["id"]
    assert "idempotency-replayed" not in theirs.headers


async def test_twenty_posts_at_once_make_one_case(caller: Caller, house: House) -> None:
    key, case = new_key(), stable_case()
    before = await count_cases(house)
    replies = await asyncio.gather(*(caller.submit(case, key, Prefer="wait=20") for _ in range(20)))
    assert await count_cases(house) == before + 1
    good = [reply for reply in replies if reply.status_code in {201, 202}]
    assert {reply.status_code for reply in replies} <= {201, 202, 409}
    assert len({reply.json()["id"] for reply in good}) == 1
    assert [reply.headers.get("idempotency-replayed") for reply in good].count(None) == 1
    for reply in replies:
        if reply.status_code == 409:
            assert reply.json()["type"] == "urn:problem-type:arbiter:still-running"
            assert reply.headers["retry-after"] == "1"
    last = await caller.submit(case, key, Prefer="wait=20")
    assert (last.json()["id"], last.json()["phase"]) == (good[0].json()["id"], "released")


async def test_twenty_different_posts_under_one_key_make_one_case(caller: Caller, house: House) -> None:
    key = new_key()
    before = await count_cases(house)
    cases = [stable_case() | {"encounter": f"E-{number}"} for number in range(20)]
    replies = await asyncio.gather(*(caller.submit(case, key) for case in cases))
    assert await count_cases(house) == before + 1
    assert [reply.status_code for reply in replies if reply.status_code in {201, 202}].__len__() == 1
    assert {reply.status_code for reply in replies} <= {201, 202, 409, 422}


async def test_a_refused_request_does_not_use_up_its_key(caller: Caller) -> None:
    key = new_key()
    wrong = stable_case()
    wrong["facts"]["heart_rate"]["value"] = 8675309
    assert (await caller.submit(wrong, key)).status_code == 422
    assert (await caller.submit(stable_case(), key)).status_code in {201, 202}


async def test_a_repeat_is_answered_even_when_its_facts_have_grown_old(
    caller: Caller, module_clock: SettableClock
) -> None:
    key, case = new_key(), stable_case()
    first = await caller.submit(case, key, Prefer="wait=20")
    module_clock.advance(timedelta(hours=30))
    try:
        again = await caller.submit(case, key)
    finally:
        module_clock.advance(-timedelta(hours=30))
    assert again.json()["id"] == first.json()["id"]
