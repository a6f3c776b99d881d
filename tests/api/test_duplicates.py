"""The same facts about the same patient, asked again within the window, are the case that is there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from arbiter.workflow.house import House
from tests.api.conftest import Caller, fact, stable_case, token_of
from tests.api.test_idempotency import count_cases
from tests.conftest import SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_another_request_for_the_same_gets_the_case_that_is_there(caller: Caller, house: House) -> None:
    case = stable_case()
    first = await caller.submit(case, Prefer="wait=20")
    before = await count_cases(house)
    again = await caller.submit(case, "another-key", Prefer="wait=20")
    assert (again.status_code, again.headers["arbiter-duplicate"]) == (200, "true")
    assert again.json()["id"] == first.json()["id"]
    assert await count_cases(house) == before
    replayed = await caller.submit(case, "another-key", Prefer="wait=20")
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.json()["id"] == first.json()["id"]


async def test_a_colleagues_request_at_the_same_site_gets_it_too(
    caller: Caller, house: House, http: httpx.AsyncClient
) -> None:
    case = stable_case()
    first = await caller.submit(case, Prefer="wait=20")
    colleague = Caller(http, await token_of(house))
    assert (await colleague.submit(case, Prefer="wait=20")).json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    "change",
    [
        {"risk_class": "emergency"},
        {"subject": {"system": "https://hospital.example/mrn", "value": "M-4712"}},
        {"encounter": "E-another"},
        {"facts": stable_case()["facts"] | {"heart_rate": fact(75, "/min")}},
        {"facts": stable_case()["facts"] | {"heart_rate": fact(74, "/min", minutes_old=24)}},
    ],
    ids=["more urgent", "another patient", "another visit", "another value", "observed later"],
)
async def test_what_differs_is_a_case_of_its_own(caller: Caller, change: dict[str, Any]) -> None:
    case = stable_case()
    first = await caller.submit(case, Prefer="wait=20")
    other = await caller.submit(case | change, Prefer="wait=20")
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]


async def test_after_the_window_it_is_a_new_case(caller: Caller, module_clock: SettableClock) -> None:
    case = stable_case()
    first = await caller.submit(case, Prefer="wait=20")
    module_clock.advance(timedelta(hours=1, seconds=1))
    try:
        later = await caller.submit(case, Prefer="wait=20")
    finally:
        module_clock.advance(-timedelta(hours=1, seconds=1))
    assert later.json()["id"] != first.json()["id"]


async def test_a_case_entered_in_error_stands_in_nobodys_way(caller: Caller) -> None:
    case = stable_case()
    first = await caller.submit(case, Prefer="wait=20")
    await caller.post(f"/v1/cases/{first.json()['id']}/retract", {"reason": "wrong patient"})
    again = await caller.submit(case, Prefer="wait=20")
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]


async def test_a_case_that_replaces_another_on_purpose_is_no_duplicate(caller: Caller) -> None:
    case = stable_case()
    first = (await caller.submit(case, Prefer="wait=20")).json()["id"]
    again = await caller.submit(case | {"supersedes": first}, Prefer="wait=20")
    assert again.status_code == 201
    assert again.json()["id"] != first


async def test_twenty_alike_at_once_are_one_case(caller: Caller, house: House) -> None:
    case = stable_case()
    before = await count_cases(house)
    replies = await asyncio.gather(*(caller.submit(case, Prefer="wait=20") for _ in range(20)))
    assert await count_cases(house) == before + 1
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert sorted(reply.status_code for reply in replies) == [200] * 19 + [201]
