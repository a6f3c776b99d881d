"""A real house on a database of the test's own, and clients that speak to its door."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from fastapi import FastAPI
from psycopg.sql import SQL, Identifier

from arbiter.api.app import create_app
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.settings import Mode, Settings
from arbiter.store.database import APPLICATION_ROLE, OWNER_ROLE, Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.keys import init_keys
from arbiter.wiring import Ports, open_house, run_house
from arbiter.workflow.house import House
from tests.api.log_readers import FAR, Reader, Shown, a_shown_log
from tests.conftest import _TEMPLATE, NOON, SeededChance, SettableClock, _new_name
from tests.houses import SITE

ORIGIN = "log.hospital.example/arbiter"


@pytest.fixture(scope="module")
def module_clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(scope="module")
def module_database(server: EmbeddedPostgres) -> Iterator[Database]:
    """A migrated database for a module's tests: a house takes longer to furnish than most requests to answer."""
    name = f"{_new_name()}_api"
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
        statement = SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        administrator.execute(
            statement.format(Identifier(name), Identifier(_TEMPLATE), Identifier(OWNER_ROLE))
        )
        yield Database(server.url(APPLICATION_ROLE, name), server.url(OWNER_ROLE, name), None)
        administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module")
def settings(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("api") / "data"
    init_keys(data, ORIGIN, SeededChance())
    return Settings(data=data, database_url=module_database.app_url, workers=False, mode=Mode.DEMONSTRATION)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(settings: Settings, module_clock: SettableClock) -> AsyncIterator[House]:
    async with open_house(settings, Ports(module_clock, SeededChance(1))) as opened, run_house(opened):
        await add_site(opened.identities, "st-elsewhere", "St Elsewhere")
        await add_site(opened.identities, "far-away", "Far Away Infirmary")
        yield opened


@pytest.fixture(scope="module")
def app(house: House) -> FastAPI:
    return create_app(house)


async def token_of(
    house: House,
    roles: Iterable[Role] = (Role.INTEGRATION_CLIENT,),
    sites: Iterable[str] = ("st-elsewhere",),
    scopes: Iterable[str] = (),
) -> str:
    _, token = await register_client(
        house.identities, house.clock, house.chance, "A system", roles, sites, tuple(scopes)
    )
    return token


_keys = itertools.count(1)


def new_key() -> str:
    return f"key-{next(_keys)}"


@dataclass
class Caller:
    """A hospital system at the door."""

    http: httpx.AsyncClient
    token: str

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in more.items()
        }

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers(**headers))

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.http.post(path, json=body, headers=self.headers(**headers))

    async def submit(self, body: Any, key: str | None = None, **headers: str) -> httpx.Response:
        """Submit a case; where the machine is slow and the house sheds it, it comes again when it is told to."""
        key = key or new_key()
        while True:
            reply = await self.post("/v1/cases", body, Idempotency_Key=key, **headers)
            if reply.status_code != 429 or reply.json()["type"] != "urn:problem-type:arbiter:shed":
                return reply
            await asyncio.sleep(int(reply.headers["retry-after"]))

    async def submit_bytes(self, body: bytes, **headers: str) -> httpx.Response:
        sent = self.headers(Content_Type="application/json", Idempotency_Key=new_key()) | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return await self.http.post("/v1/cases", content=body, headers=sent)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(house: House, http: httpx.AsyncClient) -> Caller:
    return Caller(http, await token_of(house))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(house: House, http: httpx.AsyncClient) -> Caller:
    """A client of another site."""
    return Caller(http, await token_of(house, sites=("far-away",)))


def fact(value: Any, unit: str | None = None, minutes_old: float = 25) -> dict[str, Any]:
    made = {
        "value": value,
        "observed_at": (NOON - timedelta(minutes=minutes_old)).isoformat(),
        "source": "ward-monitor",
    }
    return made if unit is None else made | {"unit": unit}


_STABLE = {
    "protocol": "deterioration",
    "site": "st-elsewhere",
    "subject": {"system": "https://hospital.example/mrn", "value": "M-4711"},
    "encounter": "E-12",
    "risk_class": "urgent",
    "facts": {
        "respiratory_rate": fact(16, "/min"),
        "spo2": fact(97, "%"),
        "supplemental_oxygen": fact(value=False),
        "systolic_bp": fact(128, "mm[Hg]"),
        "diastolic_bp": fact(76, "mm[Hg]"),
        "heart_rate": fact(74, "/min"),
        "consciousness": fact("alert"),
        "temperature": fact(36.8, "Cel"),
        "age": fact(78, "a"),
        "white_cell_count": fact(7.4, "10*9/L"),
        "immature_neutrophils": fact(2, "%"),
        "pregnant": fact(value=False),
        "treatment_limitation": fact("none"),
    },
}


_encounters = itertools.count(1)


def stable_case() -> dict[str, Any]:
    """A patient whom every score calls stable: the panel decides alone. Each time another visit, and so another case."""
    return copy.deepcopy(_STABLE) | {"encounter": f"E-{next(_encounters)}"}


def excluded_case() -> dict[str, Any]:
    """A pregnant patient: no member is asked, a clinician decides."""
    case = stable_case()
    case["facts"]["pregnant"] = fact(value=True)
    return case


def incomplete_case() -> dict[str, Any]:
    """A required score lacks an input: the hospital system is asked for facts."""
    case = stable_case()
    del case["facts"]["temperature"]
    return case


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    """A house of the module's own whose log is of a known size."""
    async with a_shown_log(tmp_path_factory.mktemp("reading"), module_database) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auditor(shown: Shown) -> Reader:
    """An auditor of every site."""
    return await shown.client(Role.AUDITOR, SITE, FAR)
