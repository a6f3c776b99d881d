"""The page in a real browser: nothing leaves, axe finds nothing, it fits a telephone, and paper has the tables too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, ViewportSize, async_playwright

from clinician_ui.assets import STATIC
from tests.clinician_ui.conftest import missing_tool

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CHROMIUM = Path("/usr/bin/chromium")
AXE = STATIC.parent / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
NARROW, WIDE = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=900)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Chromium]:
    if not CHROMIUM.exists():
        missing_tool(f"{CHROMIUM} is not installed")
    if not AXE.exists():
        missing_tool("axe-core is not installed in clinician_ui/node_modules")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), headless=True, args=list(ARGUMENTS)
        )
        yield browser
        await browser.close()


async def opened(chromium: Chromium, page: Path, complaints: list[str], **options: Any) -> Page:
    # The page's own policy forbids scripts; axe is one.
    context = await chromium.new_context(bypass_csp=True, viewport=WIDE, **options)
    shown = await context.new_page()
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on(
        "request", lambda request: complaints.append(request.url) if request.url != page.as_uri() else None
    )
    await shown.goto(page.as_uri())
    return shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ward", "theatre"])
async def test_axe_finds_nothing_and_nothing_leaves(
    chromium: Chromium, pages: Path, name: str, scheme: str
) -> None:
    complaints: list[str] = []
    shown = await opened(chromium, pages / f"{name}.html", complaints, color_scheme=scheme)
    await shown.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert complaints == []
    await shown.evaluate(AXE.read_text(encoding="utf-8"))
    found = await shown.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [
        (each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]
    ] == []


@pytest.mark.parametrize("name", ["ward", "theatre"])
async def test_the_page_fits_a_narrow_screen(chromium: Chromium, pages: Path, name: str) -> None:
    shown = await opened(chromium, pages / f"{name}.html", [])
    for size in (NARROW, WIDE):
        await shown.set_viewport_size(size)
        assert await shown.evaluate("document.documentElement.scrollWidth") <= size["width"]


async def test_paper_shows_the_tables_behind_the_plots_and_no_navigation(
    chromium: Chromium, pages: Path
) -> None:
    shown = await opened(chromium, pages / "ward.html", [])
    behind, around = shown.locator("details table").first, shown.locator("nav")
    assert not await behind.is_visible()
    assert await around.is_visible()
    await shown.emulate_media(media="print")
    assert await behind.is_visible()
    assert not await around.is_visible()


async def test_without_scripts_the_page_is_the_same(chromium: Chromium, pages: Path) -> None:
    shown = await opened(chromium, pages / "ward.html", [], java_script_enabled=False)
    await shown.locator("summary").first.click()
    assert await shown.locator("details table").first.is_visible()
