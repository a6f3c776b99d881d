"""The fleet's page: for those who may watch alone, words first, nothing of a case, fit for every screen and for paper."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, timedelta
from html import unescape
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import ViewportSize, expect

from arbiter.fleet.state import FleetState
from arbiter.identity.roles import Role
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.fleet_states import tell_state
from clinician_ui.pages import create_pages
from clinician_ui.presenters.times import Here
from tests.chromium import WIDE
from tests.clinician_ui.conftest import SUBJECT, Ward
from tests.clinician_ui.visits import address, both_ways, chromium, visit
from tests.fleet.files import fleet_file
from tests.fleet.states import NOW, a_busy_fleet
from tests.houses import PASSWORD, ShiftableClock, a_client, a_house
from tests.panels.model_bundles import protocol_text, seat, write_bundle

__all__ = ["address", "chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PHONE = ViewportSize(width=320, height=700)
HERE = Here(NOW, {}, UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(
    module_database: Database, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ward]:
    """A ward whose panel has models, with an operator of the fleet and a reviewer."""
    folder = tmp_path_factory.mktemp("fleet")
    seats = (
        seat("respiratory", "respiratory", "specialists"),
        seat("circulation", "circulation", "specialists").replace("    weight: 1", "    required: true\n    weight: 1"),
        seat("generalist", "llama-3.1-8b", "general"),
    )  # fmt: skip
    write_bundle(folder / "own" / "mine", protocol_text("deterioration", *seats))
    settings = Settings(
        data=folder / "data",
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "own",
        fleet=fleet_file(folder, {"specialists": "http://127.0.0.1:9", "general": "http://127.0.0.1:19"}),
    )
    clock = ShiftableClock()
    async with a_house(folder / "data", module_database, clock, settings=settings, running=False) as house:
        client, _ = await a_client(house)
        ward = Ward(house, create_pages(house), clock, client, {})
        await ward.person("anna")
        await ward.person("olga", Role.FLEET_OPERATOR)
        yield ward


async def told(ward: Ward, state: FleetState | None = None) -> None:
    state = state or a_busy_fleet()
    await tell_state(ward.house.store, state.process, state.began, state.to_json())


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


# --- who gets there ----------------------------------------------------------------------------------------------


async def test_an_operator_lands_on_the_fleet_and_nowhere_else(ward: Ward) -> None:
    browser = ward.browser()
    await browser.get("/login")
    answer = await browser.send("/login", login="olga", password=PASSWORD)
    assert answer.headers["location"] == "/fleet"
    assert (await browser.get("/")).headers["location"] == "/fleet"
    refused = await browser.get("/worklist")
    assert refused.status_code == 403
    assert 'href="/fleet"' in refused.text


async def test_a_reviewer_is_refused_and_told_nothing(ward: Ward) -> None:
    await told(ward)
    browser = await ward.logged_in("anna")
    assert (await browser.get("/")).headers["location"] == "/worklist"
    for path in ("/fleet", "/fleet/now"):
        answer = await browser.get(path)
        assert answer.status_code == 403
        assert "specialists" not in answer.text
    assert "/fleet" not in (await browser.get("/worklist")).text


async def test_without_a_session_it_leads_to_the_log_in_and_back(ward: Ward) -> None:
    assert (await ward.browser().get("/fleet")).headers["location"] == "/login?next=/fleet"
    refreshing = await ward.browser().get("/fleet/now", HX_Request="true")
    assert (refreshing.status_code, refreshing.headers["hx-redirect"]) == (401, "/login")


async def test_an_open_page_does_not_keep_a_deserted_session_alive(ward: Ward) -> None:
    browser = await ward.logged_in("olga")
    try:
        for _ in range(3):
            assert (await browser.get("/fleet/now", HX_Request="true")).status_code == 200
            ward.clock.advance(timedelta(minutes=10, seconds=1))
        assert (await browser.get("/fleet/now", HX_Request="true")).status_code == 401
    finally:
        ward.clock.advance(-timedelta(minutes=30, seconds=3))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed_there(ward: Ward, method: str) -> None:
    browser = await ward.logged_in("olga")
    assert (await browser.http.request(method, "/fleet")).status_code == 405


# --- what it says ------------------------------------------------------------------------------------------------


async def test_the_page_says_what_is_wrong_and_what_to_do_before_it_draws(ward: Ward) -> None:
    await told(ward)
    page = (await (await ward.logged_in("olga")).get("/fleet")).text
    said = words(page)
    for sentence in (
        "Every seat can be asked; ",
        "On specialists/specialists-3 the breakers of circulation, infection and respiratory are not closed (not connected)",
        "specialists/specialists-2 is slow: half of its replies take",
        "Second requests on specialists are near their cap: 4.7% of calls",
        "The queue of specialists is filling: 76 of 144 places are taken",
        "76 of 144 places",
        "Tokens read 5,123,456",
    ):
        assert sentence in said
    assert page.index("What needs doing") < page.index('<svg class="arbiter-plot"')


async def test_nothing_of_a_case_is_on_it(ward: Ward) -> None:
    case = await ward.case()
    await told(ward)
    page = (await (await ward.logged_in("olga")).get("/fleet")).text
    assert case not in page
    assert SUBJECT not in page


async def test_a_name_full_of_markup_stays_words(ward: Ward) -> None:
    evil = '"><script>alert(1)</script><svg onload=alert(2)>'
    await told(ward, replace(a_busy_fleet(), process=evil))
    await tell_state(ward.house.store, f"unread {evil}", a_busy_fleet().began, b"{}")
    page = (await (await ward.logged_in("olga")).get("/fleet")).text
    assert "<script>alert" not in page
    assert "<svg onload" not in page
    assert evil in unescape(page)


# --- in a real browser -------------------------------------------------------------------------------------------


@both_ways
async def test_an_operator_sees_the_fleet_on_every_screen(
    ward: Ward, address: str, chromium: Chromium, scripted: bool
) -> None:
    await told(ward)
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await visited.go("/fleet")
        await page.get_by_label("Login").fill("olga")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await told(ward)  # by now what was told first may be too old to count
        await visited.press("Log in")
        await page.wait_for_url("**/fleet")
        await expect(page.get_by_role("heading", level=1)).to_have_text("The fleet")
        await expect(page.get_by_role("img", name="of specialists-2 took")).to_be_visible()
        await expect(page.get_by_role("rowheader", name="Model circulation")).to_contain_text("required")
        await visited.look("fleet")
        await page.get_by_role("link", name="Show it as it stands now").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("The fleet")
        await page.set_viewport_size(PHONE)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_the_open_page_takes_in_what_has_changed(ward: Ward, address: str, chromium: Chromium) -> None:
    await told(ward)
    async with visit(chromium, address) as visited:
        page = visited.page
        await visited.go("/fleet")
        await page.get_by_label("Login").fill("olga")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await told(ward)  # by now what was told first may be too old to count
        await visited.press("Log in")
        await expect(page.get_by_text("vLLM 9.9.9")).to_have_count(0)
        state = a_busy_fleet()
        (first, second) = state.servers
        newer = replace(second, replicas=(replace(second.replicas[0], engine="vllm 9.9.9"),))
        await told(ward, replace(state, servers=(first, newer)))
        await expect(page.get_by_text("vLLM 9.9.9").first).to_be_visible(timeout=30_000)


async def test_on_paper_it_is_the_content_alone_and_nothing_is_cut_in_two(
    ward: Ward, address: str, chromium: Chromium
) -> None:
    await told(ward)
    async with visit(chromium, address) as visited:
        page = visited.page
        await visited.go("/fleet")
        await page.get_by_label("Login").fill("olga")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await told(ward)  # by now what was told first may be too old to count
        await visited.press("Log in")
        await page.wait_for_url("**/fleet")
        await page.set_viewport_size(WIDE)
        await page.emulate_media(media="print")
        await expect(page.get_by_role("button", name="Log out")).to_be_hidden()
        for part in (".arbiter-finding", ".arbiter-replica"):
            breaks = await page.locator(part).first.evaluate("it => getComputedStyle(it).breakInside")
            assert breaks == "avoid"
        # A4 less 2 cm, in CSS pixels.
        await page.set_viewport_size(ViewportSize(width=round(190 / 25.4 * 96), height=700))
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
