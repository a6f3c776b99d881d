"""Who asks for a certificate or a receipt that is being sealed hears when to come again; who asks in vain does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from arbiter.api.app import create_app
from arbiter.identity.principals import Principal
from arbiter.store.database import Database
from arbiter.workflow.closing import contest
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import view_case
from tests.api.conftest import Caller
from tests.houses import a_client, a_house, submission
from tests.workflow.test_promises import DeadAfterIntake

PARTS = ("certificate", "receipt")
EXCLUDED = {"treatment_limitation": ("ward-ceiling", None)}


@pytest.fixture
async def door(database: Database, tmp_path: Path) -> AsyncIterator[tuple[House, Principal, Caller]]:
    """A house whose sealer does nothing by itself, and a client at its door."""
    async with a_house(tmp_path, database, running=False) as house:
        client, token = await a_client(house)
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            yield house, client, Caller(http, token)


@pytest.mark.parametrize(("changes", "phase"), [({}, "decided"), (EXCLUDED, "escalated")])
async def test_what_is_being_sealed_can_be_asked_for_again_in_a_second_and_then_is_there(
    door: tuple[House, Principal, Caller], changes: dict[str, tuple[str, None]], phase: str
) -> None:
    house, client, caller = door
    case = (await submit(house, client, submission(house.clock.now(), **changes), "key", b"k")).case
    await house.errands.finish(10)
    assert (await view_case(house, client, case)).phase == phase
    for part in PARTS:
        reply = await caller.get(f"/v1/cases/{case}/{part}")
        assert (reply.status_code, reply.headers.get("retry-after")) == (409, "1"), reply.text
        assert reply.json()["type"] == "urn:problem-type:arbiter:conflict"
    await house.sealer.round()
    for part in PARTS:
        reply = await caller.get(f"/v1/cases/{case}/{part}")
        assert (reply.status_code, reply.headers.get("retry-after")) == (200, None)


async def refused(caller: Caller, case: str, *parts: str) -> None:
    for part in parts:
        reply = await caller.get(f"/v1/cases/{case}/{part}")
        assert (reply.status_code, reply.headers.get("retry-after")) == (409, None), reply.text


async def test_a_case_without_a_certificate_names_no_time(door: tuple[House, Principal, Caller]) -> None:
    house, client, caller = door
    dead = replace(house, errands=DeadAfterIntake())
    case = (await submit(dead, client, submission(house.clock.now()), "key", b"k")).case
    await refused(caller, case, *PARTS, "decision")


async def test_a_case_for_training_never_says_come_again(door: tuple[House, Principal, Caller]) -> None:
    house, client, caller = door
    practice = replace(submission(house.clock.now(), **EXCLUDED), training=True)
    case = (await submit(house, client, practice, "key", b"k")).case
    await refused(caller, case, *PARTS, "decision")


async def test_a_decision_that_was_taken_back_names_no_time(door: tuple[House, Principal, Caller]) -> None:
    house, client, caller = door
    case = (await submit(house, client, submission(house.clock.now()), "key", b"k")).case
    await house.errands.finish(10)
    await house.sealer.round()
    await contest(house, client, case, "not so")
    await refused(caller, case, "decision")
    again = await caller.post(f"/v1/cases/{case}/contest", {"reason": "?"})
    assert (again.status_code, again.headers.get("retry-after")) == (409, None)
