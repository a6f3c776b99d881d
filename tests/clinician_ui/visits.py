"""A visit to the pages, served for it, in a real browser: every page that is looked at is checked by axe and fits both screens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser as Chromium
from playwright.async_api import ConsoleMessage, Page

from tests.chromium import NARROW, TABLET, WIDE, a_chromium, axe
from tests.clinician_ui.conftest import Ward
from tests.houses import PASSWORD

LOOKING_SECONDS = 120
STEP_SECONDS = 30
"""What Playwright itself gives no limit: asking a page about itself, and putting it away."""

both_ways = pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without JavaScript"])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(ward: Ward) -> AsyncIterator[str]:
    """Serve the pages on a free port of the loopback address; yield their address."""
    config = uvicorn.Config(
        ward.pages, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none", access_log=False
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(ward: Ward) -> AsyncIterator[str]:
    """The address under which the ward's pages are served."""
    async with served(ward) as at:
        yield at


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Chromium]:
    async with a_chromium() as browser:
        yield browser


@dataclass
class Visit:
    """A page in a profile of its own, and what its console complained about."""

    page: Page
    address: str
    scripted: bool
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def content(self) -> str:
        """Return the page as it stands once it has loaded."""
        await self.page.wait_for_load_state()
        async with asyncio.timeout(STEP_SECONDS):
            return await self.page.content()

    async def look(self, name: str) -> None:
        """Check the page that is shown: it fits every screen, and axe finds nothing, in the light and in the dark."""
        # What a link has led to is there before its style sheets are.
        await self.page.wait_for_load_state()
        async with asyncio.timeout(LOOKING_SECONDS):
            await self._look(name)

    async def _look(self, name: str) -> None:
        for size in (NARROW, TABLET, WIDE):
            await self.page.set_viewport_size(size)
            width = await self.page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{name} is {width} px wide on a screen of {size['width']}"
            if self.scripted and size is not TABLET:
                found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
                assert not found["violations"], f"{name}: {_words(found['violations'])}"
        if self.scripted:
            await self._look_in_the_dark(name)

    async def _look_in_the_dark(self, name: str) -> None:
        """Only colours are others there, so axe is asked about nothing else."""
        await self.page.emulate_media(color_scheme="dark")
        for size in (WIDE, NARROW):
            await self.page.set_viewport_size(size)
            found = await self.page.evaluate(
                "axe.run(document, {resultTypes: ['violations'], runOnly: ['color-contrast', 'link-in-text-block']})"
            )
            assert not found["violations"], f"{name}, in the dark: {_words(found['violations'])}"
        await self.page.emulate_media(color_scheme="light")
        await self.page.set_viewport_size(WIDE)


def _words(violations: list[dict[str, Any]]) -> str:
    return json.dumps(
        [{"rule": found["id"], "at": [node["html"] for node in found["nodes"]]} for found in violations],
        indent=1,
    )


@asynccontextmanager
async def visit(chromium: Chromium, address: str, *, scripted: bool = True) -> AsyncIterator[Visit]:
    context = await chromium.new_context(java_script_enabled=scripted, viewport=WIDE)
    try:
        if scripted:
            await context.add_init_script(path=axe())
        visited = Visit(await context.new_page(), address, scripted)

        def hear(message: ConsoleMessage) -> None:
            # A refused form answers 422, which Chromium reports as a resource that failed.
            if message.type in {"error", "warning"} and "status of 422" not in message.text:
                visited.complaints.append(message.text)

        visited.page.on("console", hear)
        visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visited.page.on("request", lambda request: _stays(request.url, address, visited))
        yield visited
        assert visited.complaints == [], "\n".join(visited.complaints)
    finally:
        async with asyncio.timeout(STEP_SECONDS):
            await context.close()


def _stays(url: str, address: str, visited: Visit) -> None:
    if not url.startswith(address):
        visited.complaints.append(f"a request left the house: {url}")


async def log_in(visited: Visit, login: str = "anna") -> None:
    page = visited.page
    await visited.go("/worklist")
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await visited.press("Log in")
    await page.wait_for_url("**/worklist")
