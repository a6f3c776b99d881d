"""The database's first process is killed while it answers a sealer: a commit without a reply, and a failed fsync's end.

PostgreSQL makes a crash of an fsync that fails, so this is what becomes of a seal then too.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from arbiter.errors import UnavailableError
from arbiter.store.database import Database, _prepare_embedded
from arbiter.store.embedded import EmbeddedPostgres, kill_postmaster
from tests.faults.ledger import Ledger
from tests.faults.tripwire import Tripwire, relay
from tests.faults.ward import CHAINS, Ward
from tests.houses import a_client, a_house
from tests.system.service import until


@pytest.fixture
def own_server(short_folder: Path, tmp_path: Path) -> Iterator[tuple[EmbeddedPostgres, Database]]:
    """A server of this module's own, durable as in a hospital, that may be killed."""
    started = EmbeddedPostgres(short_folder / f"own-{tmp_path.name}")
    database = _prepare_embedded(started)
    yield started, database
    started.stop()


@pytest_asyncio.fixture
async def own_ward(own_server: tuple[EmbeddedPostgres, Database], tmp_path: Path) -> AsyncIterator[Ward]:
    server, database = own_server
    folder = tmp_path / "data"
    async with a_house(folder, database, running=False) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, folder / "checkpoint")
        yield Ward(house, client, ledger, folder, database, server, entries=len(CHAINS))


@pytest.mark.parametrize("points", [0, 1])
async def test_a_server_killed_before_any_answer_leaves_the_sealer_what_was_committed(
    own_ward: Ward, tmp_path: Path, short_folder: Path, points: int
) -> None:
    """Every second answer, from the first or the second on."""
    while True:
        await own_ward.write()
        trip = Tripwire(
            tmp_path / "trace",
            frozenset({"answered"}),
            points,
            act=lambda: kill_postmaster(own_ward.server),
        )
        way = short_folder / f"way-{points}"
        way.mkdir()
        door = relay(way, own_ward.server.socket_folder, trip)
        url = make_url(own_ward.database.app_url).update_query_dict({"host": str(way)})
        through = Database(url.render_as_string(hide_password=False), None, None)
        async with a_house(own_ward.folder, through, running=False) as house:
            trip.arm()
            try:
                await house.sealer.round()
            except UnavailableError:
                assert trip.sprung
            trip.disarm()
            own_ward.server.start()

            async def sealed_again() -> bool:
                try:
                    await house.sealer.round()
                except UnavailableError:
                    return False
                return True

            await until(sealed_again)
        door.shutdown(socket.SHUT_RDWR)
        door.close()

        async def looked() -> bool:
            try:
                await own_ward.ledger.check_what_left()
            except UnavailableError:
                return False
            return True

        await until(looked)
        if not trip.sprung:
            break
        points += 2
    assert points > 5
    await own_ward.check_in_a_fresh_house()
