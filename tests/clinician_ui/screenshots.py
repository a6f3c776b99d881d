"""Photographs every page of a demonstration house: `make screenshots`, for people to look at; no test.

What each step (`tests.clinician_ui.every_page`) leaves on the screen is photographed at three widths, in the light and in the
dark, and as it goes on paper. `build/screenshots/index.html` shows them side by side.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Final

from playwright.async_api import Page

from arbiter.settings import Mode, Settings
from arbiter.store import migrate
from arbiter.store.database import APPLICATION_ROLE, OWNER_ROLE, Database, make_roles
from arbiter.store.embedded import EmbeddedPostgres
from tests.chromium import NARROW, TABLET, WIDE, a_chromium
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.every_page import Tour, furnished, walk
from tests.clinician_ui.visits import served
from tests.houses import ShiftableClock, a_house

TARGET: Final = Path(__file__).parents[2] / "build" / "screenshots"
SIZES: Final = {"390": NARROW, "768": TABLET, "1280": WIDE}


@asynccontextmanager
async def a_ward(folder: Path) -> AsyncIterator[Ward]:
    """Yield a demonstration house on a PostgreSQL of its own, with people and with cases that wait."""
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        owner = server.url(OWNER_ROLE, "arbiter")
        make_roles(server, "arbiter")
        migrate.upgrade(owner)
        database = Database(server.url(APPLICATION_ROLE, "arbiter"), owner, None)
        clock = ShiftableClock()
        settings = Settings(
            data=folder / "data", mode=Mode.DEMONSTRATION, secure_cookies=False, teaching=True
        )
        async with a_house(folder / "data", database, clock, settings=settings) as house:
            yield await furnished(house, clock)
    finally:
        server.stop()


async def photograph(page: Page, name: str) -> list[str]:
    """Photograph what the page shows; return the files' names."""
    stem, files = name.replace(",", "").replace(" ", "-"), []
    for scheme in ("light", "dark"):
        await page.emulate_media(media="screen", color_scheme=scheme)
        for width, size in SIZES.items():
            await page.set_viewport_size(size)
            files.append(f"{stem}-{width}-{scheme}.png")
            await page.screenshot(path=TARGET / files[-1], full_page=True)
    await page.emulate_media(media="print", color_scheme="light")
    files.append(f"{stem}-print.png")
    await page.screenshot(path=TARGET / files[-1], full_page=True)
    await page.emulate_media(media="screen", color_scheme="light")
    return files


async def tour_of(ward: Ward) -> dict[str, list[str]]:
    """Go through every step; return what was photographed, by the step's name."""
    taken = {}
    async with served(ward) as address, a_chromium() as browser:
        page = await (await browser.new_context(viewport=WIDE)).new_page()
        async for name in walk(Tour(page, address, ward, await ward.case(SPLIT))):
            taken[name] = await photograph(page, name)
            print(name)
    return taken


def index(taken: dict[str, list[str]]) -> str:
    """Return the page that shows the pictures."""
    sections = "".join(
        f"<h2>{escape(name)}</h2><p>"
        + "".join(f'<a href="{file}"><img src="{file}" alt="{file}" height="420"></a> ' for file in files)
        + "</p>"
        for name, files in taken.items()
    )
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Every page</title>{sections}</html>\n'
    )


async def main() -> None:
    """Photograph everything anew."""
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="arb") as folder:
        async with a_ward(Path(folder)) as ward:
            taken = await tour_of(ward)
    (TARGET / "index.html").write_text(index(taken), encoding="utf-8")
    print(f"{sum(map(len, taken.values()))} pictures: {TARGET / 'index.html'}")


if __name__ == "__main__":
    asyncio.run(main())
