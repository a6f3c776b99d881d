"""A house in order says that it is ready; its database goes away while it runs, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from tests.api.conftest import Caller, new_key, stable_case
from tests.conftest import an_outage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def outage(server: EmbeddedPostgres, module_database: Database) -> Iterator[None]:
    with an_outage(server, module_database):
        yield


async def test_a_house_in_order_is_ready(caller: Caller) -> None:
    reply = await caller.http.get("/readyz")
    assert (reply.status_code, reply.json()["ok"]) == (200, True)
    assert {check["name"] for check in reply.json()["checks"]} >= {"database", "log", "protocols"}


async def test_a_lost_database_is_said_to_be_lost(caller: Caller, outage: None) -> None:
    ready = await caller.http.get("/readyz")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "5")
    assert [check["name"] for check in ready.json()["checks"]] == ["database"]
    assert (await caller.http.get("/healthz")).status_code == 200
    for reply in (
        await caller.submit(stable_case()),
        await caller.get("/v1/cases"),
        await caller.get("/v1/cases/c_1"),
        await caller.http.get("/v1/audit/checkpoint"),
    ):
        assert reply.status_code == 503, reply.text
        assert reply.json()["type"] == "urn:problem-type:arbiter:unavailable"
        assert reply.headers["retry-after"] == "1"


async def test_the_same_request_succeeds_once_the_database_is_back(caller: Caller) -> None:
    key = new_key()
    for _ in range(100):
        reply = await caller.submit(stable_case(), key, Prefer="wait=10")
        if reply.status_code != 503:
            break
        await asyncio.sleep(0.1)
    assert (reply.status_code, reply.json()["phase"]) == (201, "released")
