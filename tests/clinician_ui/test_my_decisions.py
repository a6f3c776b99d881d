"""What somebody signed is listed for them alone, without a word of the panel, of outcomes, or of why a case is open again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from pkgutil import iter_modules

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium

import migrations.versions
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId
from arbiter.workflow.closing import contest
from arbiter.workflow.shift import signed
from tests.clinician_ui.conftest import SPLIT, SUBJECT, Ward
from tests.clinician_ui.visits import address, chromium, log_in, visit
from tests.houses import settle, types_of

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def others(ward: Ward) -> AsyncIterator[None]:
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("sue", site="south")
    await ward.person("ada", Role.AUDITOR)
    yield


async def decided(ward: Ward, login: str = "anna", own: str = "urgent-review") -> CaseId:
    case = await ward.case(SPLIT)
    browser = await ward.claimed(case, login)
    await browser.opinion(case, own)
    await browser.send(f"/cases/{case}/reveal")
    reason = "" if own == "urgent-review" else "on second thoughts"
    assert (await browser.sign(case, reason=reason)).status_code == 303
    await settle(ward.house)
    return case


def main_of(page: str) -> str:
    return page.partition("<main")[2].partition("</main>")[0]


async def test_the_newest_comes_first_with_what_was_decided_and_whether_it_was_kept(ward: Ward) -> None:
    kept = await decided(ward)
    changed = await decided(ward, own="continue-monitoring")
    page = main_of((await (await ward.logged_in()).get("/mine")).text)
    assert page.index(changed) < page.index(kept)
    assert "You kept your opinion" in page
    assert "You changed your opinion after seeing the panel" in page
    assert f"/cases/{kept}/done" in page
    for word in (SUBJECT, "NEWS2", "CART", "second thoughts", "as I see it"):
        assert word not in page


async def test_it_is_written_with_the_signature_and_reading_it_writes_nothing(ward: Ward) -> None:
    case = await decided(ward)
    before = await types_of(ward.house, case)
    assert case in (await (await ward.logged_in()).get("/mine")).text
    assert await types_of(ward.house, case) == before


async def test_nobody_elses_decisions_are_there(ward: Ward) -> None:
    case = await decided(ward)
    assert case not in (await (await ward.logged_in("ben")).get("/mine")).text
    assert case not in (await (await ward.logged_in("sue")).get("/mine")).text
    assert (await (await ward.logged_in("ada")).get("/mine")).status_code == 403


async def test_a_contested_decision_is_open_again_and_not_said_why(ward: Ward) -> None:
    case = await decided(ward)
    await contest(ward.house, ward.client, case, "the family disagrees")
    page = main_of((await (await ward.logged_in()).get("/mine")).text)
    assert "Open again" in page
    assert f"/cases/{case}/done" not in page
    for word in ("contest", "family"):
        assert word not in page


async def test_a_long_list_has_pages_and_a_crafted_place_is_no_error(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [await decided(ward, "ben") for _ in range(3)]
    monkeypatch.setattr(signed, "PAGE", 2)
    ben = await ward.logged_in("ben")
    first = (await ben.get("/mine")).text
    assert [case in first for case in cases] == [False, True, True]
    older = first.partition('href="/mine?before=')[2].partition('"')[0]
    second = (await ben.get(f"/mine?before={older}")).text
    assert [case in second for case in cases] == [True, False, False]
    for crafted in ("-1", "x", "9" * 15, "9" * 40, "1;drop", "0"):
        assert (await ben.get(f"/mine?before={crafted}")).status_code == 200


async def test_it_is_fit_to_read(ward: Ward, address: str, chromium: Chromium) -> None:
    await decided(ward)
    async with visit(chromium, address) as visited:
        await log_in(visited)
        await visited.go("/mine")
        await visited.look("my decisions")
    async with visit(chromium, address, scripted=False) as visited:
        await log_in(visited)
        await visited.go("/mine")
        await visited.look("my decisions, without JavaScript")


async def test_what_was_signed_before_the_table_is_found_in_the_entries(ward: Ward) -> None:
    await decided(ward)
    (name,) = (
        each.name
        for each in iter_modules(migrations.versions.__path__)
        if each.name.endswith("_shifts_are_handed_over")
    )
    statement = import_module(f"migrations.versions.{name}")._SIGNED_BEFORE
    found = await ward.house.store.run(statement.partition("at)\n")[2], {})
    kept = await ward.house.store.run("SELECT case_id, seq, account_id, at FROM signed_case ORDER BY id", {})
    assert sorted(found) == sorted(kept)
    assert kept
