"""The page in a real browser: nothing leaves, axe finds nothing, it fits a telephone, and paper has the tables too."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium

from tests.chromium import NARROW, WIDE
from tests.evaluation.browser import open_details, opened, violations

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ward", "theatre"])
async def test_axe_finds_nothing_and_nothing_leaves(
    chromium: Chromium, pages: Path, name: str, scheme: str
) -> None:
    complaints: list[str] = []
    shown = await opened(chromium, pages / f"{name}.html", complaints, color_scheme=scheme)
    await open_details(shown)
    assert complaints == []
    assert await violations(shown) == []


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
