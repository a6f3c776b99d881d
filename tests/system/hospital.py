"""A hospital behind both doors, whose time, panels and seals move when a test says so."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.serving import build_app
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.errands import Errands
from arbiter.workflow.house import House
from tests.clinician_ui.conftest import Browser
from tests.houses import PASSWORD, ShiftableClock, a_client, a_house, a_reviewer
from tests.system.service import case_body


class HeldErrands(Errands):
    """Panels answer when the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.free.set()

    def start(self, case: CaseId, work: Coroutine[Any, Any, None]) -> None:
        super().start(case, self._held(work))

    async def _held(self, work: Coroutine[Any, Any, None]) -> None:
        await self.free.wait()
        await work


@dataclass
class Hospital:
    """A house behind both doors that seals and sweeps when it is told to; a ward system and two reviewers."""

    house: House
    clock: ShiftableClock
    panels: HeldErrands
    rest: httpx.AsyncClient
    anna: Browser
    ben: Browser
    folder: Path
    seen: set[Phase] = field(default_factory=set)
    cases: list[str] = field(default_factory=list)
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def post(self, changes: Any, *, about: Any = None, **more: Any) -> str:
        """Hand in a case, about a patient of its own unless said otherwise, and return its id."""
        key = f"key-{next(self._keys)}"
        body = case_body(key, changes, **more)
        if about is not None:
            body["subject"] = about
        reply = await self.rest.post("/v1/cases", json=body, headers={"Idempotency-Key": key})
        assert reply.status_code in {201, 202}, reply.text
        case: str = reply.json()["id"]
        self.cases.append(case)
        return case

    async def panel_done(self, changes: Any, **more: Any) -> str:
        """Hand in a case and wait until its panel has spoken."""
        case = await self.post(changes, **more)
        await self.panels.finish(10)
        return case

    async def look(self, case: str, expected: Phase) -> dict[str, Any]:
        """See the case in that phase, by itself and in the list of its phase."""
        standing: dict[str, Any] = (await self.rest.get(f"/v1/cases/{case}")).raise_for_status().json()
        assert standing["phase"] == expected
        listed = (await self.rest.get("/v1/cases", params={"phase": expected})).raise_for_status().json()
        assert case in {item["id"] for item in listed["cases"]}
        self.seen.add(expected)
        return standing

    async def move(self, case: str, move: str, **body: Any) -> None:
        reply = await self.rest.post(f"/v1/cases/{case}/{move}", json=body or {"reason": "as the ward asked"})
        assert reply.status_code in {200, 202}, reply.text

    async def seal(self) -> None:
        await self.house.sealer.round()

    async def pass_time(self, by: timedelta) -> None:
        """Let that much time pass and the sweep come by."""
        self.clock.advance(by)
        await expire_due(self.house)

    async def review_and_sign(self, browser: Browser, case: str, option: str = "urgent-review") -> None:
        """Go through the pages from claim to signature."""
        await browser.get("/worklist")
        assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303
        await self.look(case, Phase.CLAIMED)
        await browser.get(f"/cases/{case}")
        assert (await browser.opinion(CaseId(case), option)).status_code == 303
        await self.look(case, Phase.OPINION_COMMITTED)
        await browser.get(f"/cases/{case}")
        assert (await browser.send(f"/cases/{case}/reveal")).status_code == 303
        await self.look(case, Phase.REVEALED)
        await browser.get(f"/cases/{case}")
        assert (await browser.send(f"/cases/{case}/renew")).status_code in {200, 303}
        assert (await browser.sign(CaseId(case), option)).status_code == 303
        await self.look(case, Phase.DECIDED)
        await self.seal()
        assert (await self.look(case, Phase.RELEASED))["decided_by"] == "reviewer"

    async def told(self) -> set[str]:
        """Return the types of every entry of every case."""
        types = set()
        async with self.house.store.read() as transaction:
            for case in self.cases:
                for _, body, _ in await load_entries(transaction, CaseId(case)):
                    types.add(Entry.from_bytes(body).type)
        return types


async def entered(browser: Browser, login: str) -> None:
    """Log in, whoever was logged in before."""
    browser.http.cookies.clear()
    await browser.get("/login")
    answer = await browser.send("/login", login=login, password=PASSWORD, next="/worklist")
    assert answer.status_code == 303
    browser.login = login


@pytest_asyncio.fixture
async def hospital(database: Database, tmp_path: Path) -> AsyncIterator[Hospital]:
    clock, panels = ShiftableClock(), HeldErrands()
    async with a_house(tmp_path, database, clock, running=False) as opened:
        house = replace(opened, errands=panels)
        _, token = await a_client(house)
        app = httpx.ASGITransport(build_app(house))
        browsers = []
        for login in ("anna", "ben"):
            await a_reviewer(house, login)
            browsers.append(Browser(httpx.AsyncClient(transport=app, base_url="http://127.0.0.1")))
            await entered(browsers[-1], login)
        rest = httpx.AsyncClient(
            transport=app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"}
        )
        yield Hospital(house, clock, panels, rest, browsers[0], browsers[1], tmp_path)
