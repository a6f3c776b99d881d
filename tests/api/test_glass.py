"""Breaking the glass: a foreign site's case is looked at for a reason, for an hour, on the record; and nothing more."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.workflow.house import House
from tests.api.conftest import Caller, stable_case, token_of
from tests.conftest import SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASON = {"reason": "brought to us unconscious"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def away(house: House, http: httpx.AsyncClient) -> Caller:
    """Another hospital's system that may break the glass."""
    roles = (Role.INTEGRATION_CLIENT, Role.EMERGENCY_ACCESS)
    return Caller(http, await token_of(house, roles, ("far-away",)))


@pytest_asyncio.fixture(loop_scope="module")
async def case(caller: Caller) -> str:
    return str((await caller.submit(stable_case(), Prefer="wait=20")).json()["id"])


async def entries(house: House, case: str) -> list[Entry]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, CaseId(case))]


async def test_broken_glass_shows_the_case_and_says_so_in_the_log(
    away: Caller, house: House, case: str
) -> None:
    assert (await away.get(f"/v1/cases/{case}/decision")).status_code == 404
    broken = await away.post(f"/v1/cases/{case}/break-glass", REASON)
    assert broken.status_code == 200
    assert (await away.get(f"/v1/cases/{case}/decision")).status_code == 200
    assert (await away.get(f"/v1/cases/{case}/content")).status_code == 200
    *_, glass, first, second = await entries(house, case)
    assert (glass.type, [name for name, _ in glass.commits]) == ("glass.broken", ["reason"])
    assert {first.type, second.type} == {"content.read"}
    assert glass.actor == first.actor == second.actor


async def test_the_glass_closes_after_an_hour(away: Caller, case: str, module_clock: SettableClock) -> None:
    await away.post(f"/v1/cases/{case}/break-glass", REASON)
    module_clock.advance(timedelta(minutes=59))
    try:
        assert (await away.get(f"/v1/cases/{case}/content")).status_code == 200
        module_clock.advance(timedelta(minutes=1))
        assert (await away.get(f"/v1/cases/{case}/content")).status_code == 404
    finally:
        module_clock.advance(-timedelta(hours=1))


@pytest.mark.parametrize("act", ["facts", "cancel", "contest", "retract"])
async def test_through_broken_glass_nothing_is_changed(away: Caller, case: str, act: str) -> None:
    await away.post(f"/v1/cases/{case}/break-glass", REASON)
    body = {"facts": stable_case()["facts"]} if act == "facts" else REASON
    assert (await away.post(f"/v1/cases/{case}/{act}", body)).status_code == 404


async def test_broken_glass_opens_one_case_to_one_client(
    away: Caller, house: House, http: httpx.AsyncClient, caller: Caller, case: str
) -> None:
    await away.post(f"/v1/cases/{case}/break-glass", REASON)
    another = str((await caller.submit(stable_case(), Prefer="wait=20")).json()["id"])
    assert (await away.get(f"/v1/cases/{another}/content")).status_code == 404
    colleague = Caller(http, await token_of(house, sites=("far-away",)))
    assert (await colleague.get(f"/v1/cases/{case}/content")).status_code == 404


async def test_ones_own_site_has_no_glass(house: House, http: httpx.AsyncClient, case: str) -> None:
    roles = (Role.INTEGRATION_CLIENT, Role.EMERGENCY_ACCESS)
    at_home = Caller(http, await token_of(house, roles))
    before = len(await entries(house, case))
    assert (await at_home.post(f"/v1/cases/{case}/break-glass", REASON)).status_code == 409
    assert len(await entries(house, case)) == before


async def test_the_right_to_break_alone_reads_nothing(
    house: House, http: httpx.AsyncClient, case: str
) -> None:
    alone = Caller(http, await token_of(house, (Role.EMERGENCY_ACCESS,), ("far-away",)))
    assert (await alone.post(f"/v1/cases/{case}/break-glass", REASON)).status_code == 200
    assert (await alone.get(f"/v1/cases/{case}/content")).status_code == 403


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"why": "so"}])
async def test_without_a_reason_the_glass_holds(away: Caller, house: House, case: str, body: object) -> None:
    before = len(await entries(house, case))
    assert (await away.post(f"/v1/cases/{case}/break-glass", body)).status_code == 422
    assert len(await entries(house, case)) == before
    assert (await away.get(f"/v1/cases/{case}/content")).status_code == 404


async def test_a_case_that_does_not_exist_has_no_glass(away: Caller) -> None:
    assert (await away.post("/v1/cases/c_nobody/break-glass", REASON)).status_code == 404
