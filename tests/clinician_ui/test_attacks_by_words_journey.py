"""What anybody writes, in a real browser: nothing runs, nothing is fetched from elsewhere, no page breaks, no word turns another around."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page

from arbiter.store.database import Database
from tests.chromium import MAGNIFIED, WIDE
from tests.clinician_ui.scrawled import LONG, MARKUP, TURNED, Scrawled, a_scrawled_ward
from tests.clinician_ui.visits import Visit, chromium, served, visit

__all__ = ["chromium"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


_TURNING: Final = """() => {
    // Texts that turn what stands around them, whose nearest element that isolates them holds other words too.
    const turns = /[\\u202a-\\u202e\\u2066-\\u2069]/, mixed = [];
    let turning = 0;
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        if (!turns.test(node.data)) continue;
        turning += 1;
        let around = node.parentElement;
        while (around.localName !== "textarea" && getComputedStyle(around).display === "inline"
            && !/isolate|plaintext/.test(getComputedStyle(around).unicodeBidi)) around = around.parentElement;
        const others = around.textContent.replaceAll("tnegru ton", "").replace(/[^a-z]/gi, "");
        if (others.length > 1) mixed.push(`${around.localName}.${around.className}: ${around.textContent.slice(0, 80)}`);
    }
    return {mixed, turning};
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(
    module_database: Database, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, dict[str, Scrawled]]]:
    """A served ward with its address, and what was written there by its name."""
    assert built.is_dir()
    folder = tmp_path_factory.mktemp("scrawled")
    async with (
        a_scrawled_ward(folder, module_database, MARKUP, LONG, TURNED) as found,
        served(found[0].ward) as address,
    ):
        yield address, {at.words.name: at for at in found}


async def enters(visited: Visit, at: Scrawled, login: str) -> None:
    """Come with a session of that person."""
    browser = await at.ward.logged_in(login)
    token = browser.http.cookies["arbiter-session"]
    await visited.page.context.clear_cookies()
    await visited.page.context.add_cookies(
        [{"name": "arbiter-session", "value": token, "url": visited.address}]
    )


async def goes(visited: Visit, path: str) -> Page:
    """Look at a page with everything on it opened."""
    await visited.go(path)
    page = visited.page
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    return page


@pytest.mark.parametrize("name", ["markup", "long", "turned"])
async def test_a_reviewer_looks_at_every_page_and_finds_words_alone(
    written: tuple[str, dict[str, Scrawled]], chromium: Chromium, name: str
) -> None:
    address, found = written
    at = found[name]
    async with visit(chromium, address) as visited:
        visited.page.on("dialog", lambda dialog: visited.complaints.append(f"a dialog: {dialog.message}"))
        who, turning = "", 0
        for login, path in at.pages:
            if login != who:
                who = login
                await enters(visited, at, login)
            page = await goes(visited, path)
            assert page.url.startswith(address + path.partition("?")[0]), path
            assert await page.locator("iframe, main img, main style, base, main script, object").count() == 0
            for size in (MAGNIFIED, WIDE):
                await page.set_viewport_size(size)
                width = await page.evaluate("document.documentElement.scrollWidth")
                assert width <= size["width"], f"{path} is {width} px wide on a screen of {size['width']}"
            told = await page.evaluate(_TURNING)
            assert told["mixed"] == [], path
            turning += told["turning"]
    assert bool(turning) is (name == "turned")
