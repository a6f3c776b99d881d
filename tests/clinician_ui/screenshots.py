"""Photographs every page of a demonstration house: `make screenshots`, for people to look at; no test.

A step goes on from where the one before it left the browser, and what it leaves on the screen is photographed at three widths,
in the light and in the dark, and as it goes on paper. `build/screenshots/index.html` shows them side by side.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

import uvicorn
from playwright.async_api import Page

from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId, RiskClass
from arbiter.store import migrate
from arbiter.store.database import APPLICATION_ROLE, OWNER_ROLE, Database, make_roles
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.house import House
from clinician_ui.pages import create_pages
from tests.chromium import NARROW, TABLET, WIDE, a_chromium
from tests.clinician_ui.conftest import SPLIT, Ward
from tests.clinician_ui.visits import _Server
from tests.houses import PASSWORD, ShiftableClock, a_client, a_house

TARGET: Final = Path(__file__).parents[2] / "build" / "screenshots"
SIZES: Final = {"390": NARROW, "768": TABLET, "1280": WIDE}


@dataclass(frozen=True)
class Tour:
    """What a step has in hand: the browser's page, the pages' address, the ward, and the case it goes through."""

    page: Page
    address: str
    ward: Ward
    case: CaseId

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).first.click()

    async def log_in(self, login: str) -> None:
        await self.page.context.clear_cookies()
        await self.go("/login")
        await self.page.get_by_label("Login").fill(login)
        await self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await self.press("Log in")


Step: TypeAlias = "str | Callable[[Tour], Awaitable[None]]"


async def log_in_with_mistakes(tour: Tour) -> None:
    await tour.go("/login")
    await tour.press("Log in")


async def work_list(tour: Tour) -> None:
    await tour.log_in("anna")
    await tour.page.wait_for_url("**/worklist")


async def waiting(tour: Tour) -> None:
    await tour.go(f"/cases/{tour.case}")


async def blind(tour: Tour) -> None:
    await tour.press("Claim this case")


async def blind_with_mistakes(tour: Tour) -> None:
    await tour.press("Lock my opinion")


async def locked(tour: Tour) -> None:
    await tour.page.get_by_label("Continue monitoring as planned").check()
    await tour.page.get_by_label("How sure are you?").fill("70")
    await tour.page.get_by_label("Note (optional)").fill("Comfortable, talks in sentences.")
    await tour.press("Lock my opinion")


async def panel(tour: Tour) -> None:
    await tour.press("Show the panel")


async def panel_with_mistakes(tour: Tour) -> None:
    await tour.press("Sign the decision")


async def done(tour: Tour) -> None:
    await tour.page.get_by_label("Urgent review by a clinician").check()
    await tour.page.get_by_label("Reason").fill("The dissent convinces me.")
    await tour.page.get_by_label("Your login, once more").fill("anna")
    await tour.page.get_by_label("Your password, once more").fill(PASSWORD)
    await tour.press("Sign the decision")
    await tour.page.wait_for_url("**/done")


async def glass(tour: Tour) -> None:
    await tour.log_in("dora")
    await tour.go("/glass")


async def fleet(tour: Tour) -> None:
    await tour.log_in("olga")
    await tour.go("/fleet")


STEPS: tuple[tuple[str, Step], ...] = (
    ("log in", "/login"),
    ("log in, with mistakes", log_in_with_mistakes),
    ("work list", work_list),
    ("work list for print", "/worklist/print"),
    ("keyboard shortcuts", "/keys"),
    ("not found", "/nowhere"),
    ("a case that waits", waiting),
    ("blind case", blind),
    ("blind case, with mistakes", blind_with_mistakes),
    ("locked opinion", locked),
    ("panel", panel),
    ("panel, with mistakes", panel_with_mistakes),
    ("done", done),
    ("glass", glass),
    ("fleet", fleet),
    ("error rates", "/watch"),
)
"""Every page: what it is called, and the address or the steps that lead to it from the one before."""


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
        async with a_house(folder / "data", database, clock) as house:
            yield await _furnished(house, clock)
    finally:
        server.stop()


async def _furnished(house: House, clock: ShiftableClock) -> Ward:
    client, _token = await a_client(house)
    ward = Ward(house, create_pages(house), clock, client, {})
    await add_site(house.identities, "south", "South Hospital")
    for login in ("anna", "ben"):
        await ward.person(login, name=f"Dr {login.capitalize()} Example")
    await ward.person("dora", site="south", also=frozenset({Role.EMERGENCY_ACCESS}))
    await ward.person("olga", Role.FLEET_OPERATOR)
    for risk in RiskClass:
        await ward.case(SPLIT, risk)
    await ward.case(training=True)
    await ward.claimed(await ward.case(), "ben")
    await ward.claimed(await ward.case(SPLIT, RiskClass.URGENT), "anna")
    return ward


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
    config = uvicorn.Config(ward.pages, port=0, log_config=None, lifespan="off", ws="none")
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    taken = {}
    async with a_chromium() as browser:
        page = await (await browser.new_context(viewport=WIDE)).new_page()
        tour = Tour(page, address, ward, await ward.case(SPLIT))
        for name, step in STEPS:
            await (tour.go(step) if isinstance(step, str) else step(tour))
            await page.wait_for_load_state()
            taken[name] = await photograph(page, name)
            print(name)
    server.should_exit = True
    await serving
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
