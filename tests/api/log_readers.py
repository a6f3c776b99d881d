"""A log of a known size behind the door, and who may read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from arbiter.api.app import create_app
from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.identity.clients import register_client
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import ActorId, CaseId
from arbiter.store.database import Database
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.log.chronicle import note_in_house
from tests.houses import a_client, a_house, submission

FAR = "far-away"
CASES = 3
SIZE = 257


@dataclass
class Reader:
    """A client at the door, or nobody in particular."""

    http: httpx.AsyncClient
    token: str | None = None

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.ask("GET", path, **headers)

    async def ask(self, method: str, path: str, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        return await self.http.request(method, path, headers=sent)


@dataclass
class Shown:
    """A house whose log has exactly SIZE entries of a few cases and of the house, and who may read it."""

    house: House
    http: httpx.AsyncClient
    cases: tuple[CaseId, ...]

    @property
    def anyone(self) -> Reader:
        return Reader(self.http)

    async def client(self, role: Role, *sites: str) -> Reader:
        house = self.house
        _, token = await register_client(
            house.identities, house.clock, house.chance, role, frozenset({role}), frozenset(sites)
        )
        return Reader(self.http, token)

    async def checkpoint(self) -> Checkpoint:
        return open_checkpoint(
            (await self.anyone.get("/v1/audit/checkpoint")).content, self.house.verifiers
        ).checkpoint


async def pad(house: House, number: int) -> None:
    """Append entries of the house's own, unsealed."""
    for _ in range(number):
        await note_in_house(house, house.store, "house.tried", ActorId("operator:test"), {})


@asynccontextmanager
async def a_shown_log(folder: Path, database: Database) -> AsyncIterator[Shown]:
    """Make the house, have its cases decided and released, and fill its log up to SIZE entries."""
    async with a_house(folder, database, running=False) as house:
        await add_site(house.identities, FAR, "Far Away Infirmary")
        transport = httpx.ASGITransport(app=create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
            client, _ = await a_client(house)
            cases = []
            for number in range(CASES):
                taken = await submit(house, client, submission(house.clock.now()), f"key-{number}", b"body")
                cases.append(taken.case)
                await house.errands.finish(10)
                # Releasing is written behind the seal that allows it.
                while await house.sealer.round():
                    pass
            made = Shown(house, http, tuple(cases))
            size = (await made.checkpoint()).size
            assert size < SIZE
            await pad(house, SIZE - size)
            await house.sealer.round()
            yield made
