"""Cases handed in, receivers subscribed, and a dispatcher that delivers when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from arbiter.channels.webhook import open_http
from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.store.database import Database, conninfo
from arbiter.workflow import intake
from arbiter.workflow.dispatching import Dispatcher
from arbiter.workflow.endpoints import register_endpoint
from arbiter.workflow.house import House
from tests.houses import ShiftableClock, a_house, submission
from tests.receivers import Receiver

EXCLUDED: dict[str, Any] = {"pregnant": (True, None)}


async def subscribed(house: House, receiver: Receiver, client: Principal) -> str:
    """Register the receiver for a client and hand it its secret; return the endpoint's id."""
    registered = await register_endpoint(house, receiver.url, client=client.id)
    receiver.secret = registered.secret
    receiver.simulated_time = isinstance(house.clock, ShiftableClock)
    return registered.id


async def a_case(house: House, principal: Principal, key: str = "key-1", **changes: Any) -> CaseId:
    handed_in = submission(house.clock.now(), **changes)
    return (await intake.submit(house, principal, handed_in, key, key.encode())).case


async def a_released_case(house: House, principal: Principal, key: str = "key-1") -> CaseId:
    case = await a_case(house, principal, key)
    await house.errands.finish(10)
    await house.sealer.round()
    return case


class Post:
    """A dispatcher that goes as far as it can whenever a test says so, on a clock that the test moves."""

    def __init__(self, house: House, clock: ShiftableClock) -> None:
        self.house = house
        self.clock = clock
        self.dispatcher = Dispatcher(house)

    async def go(self) -> None:
        """Deliver whatever is due now."""
        async with open_http(most_connections=10) as http:
            while await self.dispatcher.round(http):
                await self.dispatcher.finish(10)

    async def after(self, wait: timedelta) -> None:
        """Let that time pass, then deliver."""
        self.clock.advance(wait)
        await self.go()

    async def until_quiet(self) -> None:
        """Let time pass until nothing waits any more: everything is delivered or given up."""
        for _ in range(400):
            await self.after(timedelta(minutes=50))
            (row,) = await self.house.store.run(
                "SELECT count(*) FROM delivery WHERE delivered_at IS NULL AND dead_at IS NULL", {}
            )
            if row[0] == 0:
                return
        raise AssertionError("something waits for ever")


@asynccontextmanager
async def a_post(tmp_path: Path, database: Database) -> AsyncIterator[Post]:
    clock = ShiftableClock()
    async with a_house(tmp_path / "data", database, clock, running=False) as house:
        yield Post(house, clock)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        return connection.execute(query.encode()).fetchall()
