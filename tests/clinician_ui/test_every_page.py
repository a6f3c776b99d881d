"""Every page in a real browser: nothing that axe finds, no line that does not fit, in the light, in the dark, and in longer words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, ViewportSize
from starlette.routing import compile_path

from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from clinician_ui.texts import ENGLISH, Language
from tests.chromium import MAGNIFIED, NARROW, TABLET, WIDE, axe
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.every_page import Tour, furnished, walk
from tests.clinician_ui.pseudo import pseudo_language
from tests.clinician_ui.test_sites_and_roles import ROUTES
from tests.clinician_ui.visits import chromium, served
from tests.houses import ShiftableClock, a_house

__all__ = ["chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

SPACED: Final = """
* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
p { margin-bottom: 2em !important; }
"""
"""The spacing of text that a page has to stand: WCAG 2.2, success criterion 1.4.12."""
CLIPPED: Final = """
() => [...document.querySelectorAll("body *")].filter((it) => {
  const style = getComputedStyle(it);
  const cuts = (way) => way === "hidden" || way === "clip";
  if (it.clientWidth <= 1 || it.clientHeight <= 1 || !it.innerText?.trim() || it.closest("svg")) return false;
  return (cuts(style.overflowX) && it.scrollWidth > it.clientWidth + 1)
    || (cuts(style.overflowY) && it.scrollHeight > it.clientHeight + 1);
}).map((it) => it.outerHTML.slice(0, 120))
"""
WIDEST: Final = """
() => [...document.querySelectorAll("body *")].filter((it) => it.getBoundingClientRect().right > document.documentElement.clientWidth)
  .slice(-3).map((it) => it.outerHTML.slice(0, 160))
"""
STANDARDS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NO_PAGES: Final = {
    "/": "leads on",
    "/worklist/list": "a part of the work list",
    "/worklist/events": "a stream of the work list",
    "/fleet/now": "a part of the fleet's page",
    "/oversight/figures.csv": "a file",
    "/audit/exports/{export}/file": "a file",
    "/teaching/{case}": "offered weeks after a case was closed: `test_teaching` looks at it",
}
"""What is got and is no page of its own, and why; what only leads on to a case's page is not among it."""


@asynccontextmanager
async def a_tour(
    chromium: Chromium, ward: Ward, language: Language, *, bypass_csp: bool = False
) -> AsyncIterator[Tour]:
    async with served(ward) as address:
        context = await chromium.new_context(viewport=WIDE, bypass_csp=bypass_csp)
        await context.add_init_script(path=axe())
        yield Tour(await context.new_page(), address, ward, await ward.case(SPLIT), language)
        await context.close()


@asynccontextmanager
async def a_ward(database: Database, folder: Any, language: Language) -> AsyncIterator[Ward]:
    clock = ShiftableClock()
    data = folder / "data"
    settings = Settings(data=data, mode=Mode.DEMONSTRATION, secure_cookies=False, teaching=True)
    async with a_house(data, database, clock, settings=settings) as house:
        yield await furnished(house, clock, language)


async def too_wide(page: Page, sizes: Sequence[ViewportSize]) -> list[str]:
    """Return at which widths the page has to be scrolled sideways."""
    found = []
    for size in sizes:
        await page.set_viewport_size(size)
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            widest = await page.evaluate(WIDEST)
            found.append(f"{width} px wide on a screen of {size['width']}: {widest}")
    return found


async def against_standards(page: Page, scheme: str) -> list[str]:
    """Return what axe finds."""
    await page.emulate_media(color_scheme=cast(Any, scheme))
    options = {"resultTypes": ["violations"], "runOnly": STANDARDS}
    found = await page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{scheme}: {each['id']} at {[node['html'][:120] for node in each['nodes']]}"
        for each in found["violations"]
    ]


async def spaced_out(page: Page) -> list[str]:
    """Return what is cut off, and how much too wide the page is, once its text is spaced as a reader may have it."""
    sheet = await page.add_style_tag(content=SPACED)
    found = []
    for size in (MAGNIFIED, WIDE):
        found += [f"spaced text: {words}" for words in await too_wide(page, (size,))]
        found += [f"spaced text, cut off: {markup}" for markup in await page.evaluate(CLIPPED)]
    await sheet.evaluate("(it) => it.remove()")
    return found


def leads_back(path: str) -> bool:
    """Return whether a GET only leads to the page of its case or account, because its form is sent there."""
    return (
        re.fullmatch(r"/cases/\{case\}/(?!done$|read$|correct$).+|/account/.+|/audit/find", path) is not None
    )


async def test_every_page_meets_the_standard_and_fits_every_screen(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory, chromium: Chromium, built: object
) -> None:
    faults, seen = [], set()
    async with (
        a_ward(module_database, tmp_path_factory.mktemp("pages"), ENGLISH) as ward,
        a_tour(chromium, ward, ENGLISH, bypass_csp=True) as tour,
    ):
        async for name in walk(tour):
            seen.add(urlsplit(tour.page.url).path)
            found = await too_wide(tour.page, (MAGNIFIED, NARROW, TABLET, WIDE))
            found += await against_standards(tour.page, "light")
            found += await against_standards(tour.page, "dark")
            await tour.page.emulate_media(color_scheme="light")
            found += await spaced_out(tour.page)
            await tour.page.set_viewport_size(WIDE)
            faults += [f"{name}: {words}" for words in found]
    assert faults == [], "\n".join(faults)
    pages = {path for method, path in ROUTES if method == "GET"}
    unseen = {path for path in pages if not any(compile_path(path)[0].match(address) for address in seen)}
    assert {path for path in unseen if not leads_back(path)} == set(NO_PAGES), "walk there, or say why not"


async def test_longer_words_fit_too(
    database: Database, tmp_path_factory: pytest.TempPathFactory, chromium: Chromium, built: object
) -> None:
    language, faults = pseudo_language(), []
    async with (
        a_ward(database, tmp_path_factory.mktemp("longer"), language) as ward,
        a_tour(chromium, ward, language) as tour,
    ):
        async for name in walk(tour):
            faults += [f"{name}: {words}" for words in await too_wide(tour.page, (MAGNIFIED, TABLET, WIDE))]
    assert faults == [], "\n".join(faults)
