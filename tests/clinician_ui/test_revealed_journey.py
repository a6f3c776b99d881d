"""The revealed panel of models and scores in a real browser: read by eye, keyboard and tree, at three widths and on paper."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser as Chromium
from playwright.async_api import ViewportSize, expect

from arbiter.model import CaseId
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from clinician_ui.pages import create_pages
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.visits import _Server, both_ways, chromium, log_in, visit
from tests.fleet.files import fleet_file
from tests.houses import ShiftableClock, a_client, a_house
from tests.panels.misbehaving_server import MARKUP
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import misbehaving, refusing_url

__all__ = ["chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SEATS = ("split", "half-sound", "hostile", "ungrounded", "hostile-ungrounded", "status-500", "abstains")
TABLET = ViewportSize(width=768, height=1024)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def revealed(
    module_database: Database, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, CaseId]]:
    """A served house whose panel has models that misbehave, and a case whose panel Anna has just been shown."""
    assert built.is_dir()
    folder = tmp_path_factory.mktemp("revealed")
    seats = [seat(f"m{place}", name) for place, name in enumerate(SEATS)]
    text = protocol_text("deterioration", *seats, seat("gone", "good", "gone"))
    write_bundle(folder / "own" / "mine", text)
    with misbehaving() as url:
        settings = Settings(
            data=folder / "data",
            mode=Mode.DEMONSTRATION,
            secure_cookies=False,
            workers=False,
            protocols=folder / "own",
            fleet=fleet_file(folder, {"gpu-a": url, "gone": refusing_url()}),
        )
        clock = ShiftableClock()
        async with a_house(folder / "data", module_database, clock, settings=settings) as house:
            client, _ = await a_client(house)
            ward = Ward(house, create_pages(house), clock, client, {})
            await ward.person("anna")
            case = await ward.case(SPLIT)
            browser = await ward.claimed(case)
            await browser.opinion(case, "continue-monitoring", rests_on="diastolic_bp")
            await browser.send(f"/cases/{case}/reveal")
            server = _Server(
                uvicorn.Config(
                    ward.pages,
                    host="127.0.0.1",
                    port=0,
                    log_config=None,
                    lifespan="off",
                    ws="none",
                    access_log=False,
                )
            )
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", case
            server.should_exit = True
            await serving


@both_ways
async def test_a_reviewer_reads_who_said_what_of_which_fact(
    revealed: tuple[str, CaseId], chromium: Chromium, scripted: bool
) -> None:
    address, case = revealed
    async with visit(chromium, address, scripted=scripted) as visited:
        page = visited.page
        await log_in(visited)
        await visited.go(f"/cases/{case}")
        await expect(page.get_by_text("independent families")).not_to_have_count(0)
        await visited.look("panel of models")
        for summary in await page.locator("summary").all():
            await summary.click()
        await visited.look("panel of models, all opened")

        table = page.get_by_role("table", name="Facts of this case, and how each member uses them")
        for size in (ViewportSize(width=390, height=844), TABLET, ViewportSize(width=1280, height=900)):
            await page.set_viewport_size(size)
            assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Heart rate"))
            await expect(row).to_contain_text("112")
            await expect(row).to_contain_text("You did not tick this")
            await expect(row).to_contain_text("Not the value in the case")
            headers = table.get_by_role("columnheader")
            assert await headers.count() == await row.get_by_role("cell").count() + 1
        ticked = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Diastolic"))
        await expect(ticked).to_contain_text("You ticked this")


async def test_the_contents_lead_the_keyboard_to_each_part_and_to_the_decision(
    revealed: tuple[str, CaseId], chromium: Chromium
) -> None:
    address, case = revealed
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await visited.go(f"/cases/{case}")
        contents = page.get_by_role("navigation", name="On this page")
        await contents.get_by_role("link", name="Your decision").press("Enter")
        await expect(page.get_by_role("heading", name="Your decision")).to_be_in_viewport()
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('#decide') !== null")
        assert await page.evaluate("document.querySelectorAll('#decide :checked').length") == 0


async def test_what_models_write_runs_nothing_and_shows_as_it_is(
    revealed: tuple[str, CaseId], chromium: Chromium
) -> None:
    address, case = revealed
    async with visit(chromium, address) as visited:
        page = visited.page
        page.on("dialog", lambda dialog: visited.complaints.append(dialog.message))
        await log_in(visited)
        await visited.go(f"/cases/{case}")
        await expect(
            page.locator(".arbiter-member__rationale", has_text="<script>alert(1)</script>")
        ).to_have_count(1)
        assert await page.locator("bdi").filter(has_text=MARKUP[:40]).count() >= 3
        for never in (
            "main script",
            "main img",
            "main a[href*='evil']",
            "main b",
            "main a[href^='javascript']",
        ):
            await expect(page.locator(never)).to_have_count(0)


async def test_on_paper_the_table_is_whole_and_the_contents_are_gone(
    revealed: tuple[str, CaseId], chromium: Chromium
) -> None:
    address, case = revealed
    async with visit(chromium, address) as visited:
        page = visited.page
        await log_in(visited)
        await visited.go(f"/cases/{case}")
        # A4 upright less its margins, in CSS pixels of 1/96 inch.
        await page.set_viewport_size(ViewportSize(width=round((210 - 24) / 25.4 * 96), height=1000))
        await page.emulate_media(media="print")
        await expect(page.get_by_role("navigation", name="On this page")).to_be_hidden()
        room = page.locator(".arbiter-compare__room")
        assert await room.evaluate("it => it.scrollWidth <= document.documentElement.clientWidth")
        assert await room.evaluate("it => getComputedStyle(it).overflowX") == "visible"
        await expect(page.get_by_text("Cites 9999")).to_be_visible()
