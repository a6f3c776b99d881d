"""A real house behind real pages, and a browser of few words that goes through them."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
import pytest_asyncio
from psycopg.sql import SQL, Identifier
from starlette.types import ASGIApp

from arbiter.errors import ConfigurationError
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sessions import open_session
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactValue, RiskClass
from arbiter.store.database import APPLICATION_ROLE, OWNER_ROLE, Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.exports.jobs import ExportStanding, list_exports
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import view_case
from arbiter.workflow.subjects import SubjectRef
from clinician_ui.assets import require_built
from clinician_ui.pages import create_pages
from tests.conftest import _TEMPLATE, _new_name
from tests.houses import (
    PASSWORD,
    SETTLING_SECONDS,
    SITE,
    ShiftableClock,
    a_client,
    a_house,
    settle,
    submission,
)

ORIGIN = "http://127.0.0.1"
SUBJECT = "MRN 7714403"


def missing_tool(reason: str) -> None:
    """Skip, or fail where the tools are required."""
    if os.environ.get("REQUIRE_OUTSIDE_CHECKERS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built assets."""
    try:
        return require_built().folder
    except ConfigurationError as error:
        missing_tool(str(error))
        raise


@pytest.fixture(scope="module")
def module_database(server: EmbeddedPostgres) -> Iterator[Database]:
    """A migrated database for a module's tests."""
    name = f"{_new_name()}_pages"
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
        statement = SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        administrator.execute(
            statement.format(Identifier(name), Identifier(_TEMPLATE), Identifier(OWNER_ROLE))
        )
        yield Database(server.url(APPLICATION_ROLE, name), server.url(OWNER_ROLE, name), None)
        administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


Facts: TypeAlias = Mapping[str, tuple[FactValue, str | None] | None]
EXCLUDED: Facts = {"treatment_limitation": ("ward-ceiling", None)}
SPLIT: Facts = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}
"""CART (24 breaths: 12, pulse 112: 4, age 80: 9) reaches 25 of the 20 it asks for; NEWS2 (2 + 2) and MEWS stay below 5."""


@dataclass
class Ward:
    """A house with its pages, a clock to move, its reviewers by login and a system that hands in cases."""

    house: House
    pages: ASGIApp
    clock: ShiftableClock
    client: Principal
    people: dict[str, Principal]
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def case(
        self, changes: Facts = EXCLUDED, risk: RiskClass = RiskClass.ROUTINE, *, training: bool = False
    ) -> CaseId:
        """Hand in a case that a clinician must see: by default one that its exclusions send there."""
        number = next(self._keys)
        made = replace(
            submission(self.clock.now(), **changes),
            risk_class=risk,
            training=training,
            subject=SubjectRef("urn:example:patients", f"{SUBJECT}-{number}"),
        )
        submitted = await submit(self.house, self.client, made, f"pages-{number}", b"pages %d" % number)
        await self.house.errands.finish(10)
        return submitted.case

    async def drawn(self, risk: RiskClass = RiskClass.ROUTINE) -> CaseId:
        """Hand in a case that the panel decides, drawn for an audit for certain; return it once it is released."""
        number = next(self._keys)
        made = replace(
            submission(self.clock.now()),
            risk_class=risk,
            subject=SubjectRef("urn:example:patients", f"{SUBJECT}-{number}"),
        )
        settings = self.house.settings.model_copy(update={"audit_share": Decimal(1)})
        surely = replace(self.house, settings=settings)
        case = (await submit(surely, self.client, made, f"pages-{number}", b"pages %d" % number)).case
        await settle(self.house)
        assert await phase(self, case) is Phase.RELEASED
        return case

    def browser(self) -> Browser:
        """Return a browser without cookies."""
        transport = httpx.ASGITransport(app=self.pages, raise_app_exceptions=False)
        return Browser(httpx.AsyncClient(transport=transport, base_url=ORIGIN))

    async def person(
        self,
        login: str,
        role: Role = Role.REVIEWER,
        site: str = SITE,
        name: str = "",
        password: str = PASSWORD,
        also: frozenset[Role] = frozenset(),
    ) -> Principal:
        """Make an account."""
        house = self.house
        self.people[login] = await create_account(
            house.identities,
            house.clock,
            house.chance,
            login,
            name or login.capitalize(),
            password,
            also | {role},
            frozenset({site}),
        )
        return self.people[login]

    async def logged_in(self, login: str = "anna") -> Browser:
        """Return a browser with a session of that person; the log-in page has tests of its own."""
        house = self.house
        _, token = await open_session(house.sessions, house.clock, house.chance, self.people[login])
        browser = self.browser()
        browser.login = login
        browser.http.cookies.set("arbiter-session", token)
        return browser

    async def claimed(self, case: CaseId, login: str = "anna") -> Browser:
        """Return a browser whose reviewer has just claimed that case and looks at it."""
        browser = await self.logged_in(login)
        await browser.get("/worklist")
        assert (await browser.send(f"/worklist/{case}/claim")).status_code == 303
        assert (await browser.get(f"/cases/{case}")).status_code == 200
        return browser

    async def exports_have_ended(self, login: str) -> Sequence[ExportStanding]:
        """Wait until the house, which makes them by itself, has made what that person asked for, or failed; return them."""
        async with asyncio.timeout(SETTLING_SECONDS):
            exports = await list_exports(self.house, self.people[login])
            while any(it.is_pending for it in exports):
                await asyncio.sleep(0.02)
                exports = await list_exports(self.house, self.people[login])
        return exports


async def phase(ward: Ward, case: CaseId) -> Phase:
    return (await view_case(ward.house, ward.client, case)).phase


@dataclass
class Browser:
    """Follows no redirect by itself, keeps cookies, sends the token of the page it saw last, and asks again where a page says so.

    `shown` is by path the hash of what a page that signs was made from, as the newest look at it gave it.
    """

    http: httpx.AsyncClient
    token: str = ""
    login: str = ""
    shown: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        answer = await self.http.get(path, headers=_header_names(headers))
        async with asyncio.timeout(SETTLING_SECONDS):
            while "refresh" in answer.headers:
                await asyncio.sleep(0.02)
                answer = await self.http.get(path, headers=_header_names(headers))
        found = re.search(r'name="csrf_token" value="([^"]*)"', answer.text)
        if found:
            self.token = found[1]
        self._note_shown(path, answer.text)
        return answer

    def _note_shown(self, path: str, text: str) -> None:
        if found := re.search(r'name="shown" value="([0-9a-f]{64})"', text):
            self.shown[path] = found[1]

    async def send(self, path: str, /, **values: str | tuple[str, ...]) -> httpx.Response:
        """POST a form with the token."""
        return await self.send_raw(path, {"csrf_token": self.token} | values)

    async def send_raw(
        self, path: str, values: Mapping[str, str | tuple[str, ...]], **headers: str
    ) -> httpx.Response:
        """POST exactly these fields."""
        body = urlencode(values, doseq=True)
        sent = {"Content-Type": "application/x-www-form-urlencoded"} | _header_names(headers)
        return await self.http.post(path, content=body, headers=sent)

    async def opinion(self, case: CaseId, option: str = "urgent-review", **values: str) -> httpx.Response:
        """Lock an opinion."""
        return await self.send(
            f"/cases/{case}/opinion",
            **({"option": option, "confidence": "80", "note": "as I see it"} | values),
        )

    async def sign(self, case: CaseId, option: str = "urgent-review", **values: str) -> httpx.Response:
        """Sign a decision on what was shown last; whoever has not looked yet looks first."""
        return await self.send(f"/cases/{case}/sign", **(await self.signature(case, option) | values))

    async def signature(self, case: CaseId, option: str = "urgent-review") -> dict[str, str]:
        """Return the fields of a form that signs."""
        path = f"/cases/{case}"
        if path not in self.shown:
            await self.get(path)
        shown = self.shown.get(path, "0" * 64)
        return {"option": option, "reason": "", "shown": shown, "login": self.login, "password": PASSWORD}


def _header_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(
    module_database: Database, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ward]:
    clock = ShiftableClock()
    async with a_house(tmp_path_factory.mktemp("pages") / "data", module_database, clock) as house:
        client, _ = await a_client(house)
        ward = Ward(house, create_pages(house), clock, client, {})
        for login in ("anna", "ben"):
            await ward.person(login)
        yield ward
