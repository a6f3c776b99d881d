"""After PostgreSQL was away nobody is answered that it still is: whoever idled is looked at before it is used."""

from __future__ import annotations

import asyncio
import gc
import select
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import make_url

from arbiter.errors import UnavailableError
from arbiter.store.database import POOL_WAIT_SECONDS, Database, conninfo, open_engine, open_pool
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.liveness import hung_up
from arbiter.store.transaction import Store
from tests.conftest import an_outage

SIZE = 4


@asynccontextmanager
async def a_store(database: Database) -> AsyncIterator[Store]:
    """A store with `SIZE` connections idling on either road."""
    engine, pool = open_engine(database.app_url, SIZE), open_pool(database.conninfo, SIZE)
    await pool.open(wait=True)
    store = Store(engine, pool)
    try:
        async with asyncio.timeout(10):
            while [use.idle for use in store.connections()] != [SIZE, SIZE]:
                await everybody(store, "pg_sleep(0.2)")
        yield store
    finally:
        await pool.close()
        await engine.dispose()


async def step(store: Store, what: str) -> None:
    async with store.read() as transaction:
        await transaction.exec_driver_sql(f"SELECT {what}")


async def everybody(store: Store, what: str) -> None:
    """Use as many connections at once as there are."""
    await asyncio.gather(
        *(store.run(f"SELECT {what}", {}) for _ in range(SIZE)), *(step(store, what) for _ in range(SIZE))
    )


@asynccontextmanager
async def away(server: EmbeddedPostgres, database: Database) -> AsyncIterator[None]:
    """An outage in which every connection has been closed by the time the block runs."""
    name = make_url(database.app_url).database
    with an_outage(server, database), psycopg.connect(conninfo(server.superuser_url)) as administrator:
        async with asyncio.timeout(10):
            while administrator.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s", (name,)
            ).fetchone():
                administrator.rollback()
                await asyncio.sleep(0.05)
        yield


async def test_everybody_is_served_at_once_when_the_database_is_back(
    server: EmbeddedPostgres, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.store.transaction.FRESH_SECONDS", 10.0)
    async with a_store(database) as store:
        for _ in range(3):
            async with away(server, database):
                pass
            await everybody(store, "1")


async def test_a_pipeline_and_a_step_that_writes_are_served_too(
    server: EmbeddedPostgres, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbiter.store.transaction.FRESH_SECONDS", 10.0)
    async with a_store(database) as store:
        async with away(server, database):
            pass
        async with store.pipeline() as connection:
            await connection.execute("SELECT 1")
        async with store.begin() as transaction:
            await transaction.exec_driver_sql("SELECT 1")


async def test_a_database_that_is_away_is_said_to_be_and_a_statement_under_way_fails(
    server: EmbeddedPostgres, database: Database
) -> None:
    async with a_store(database) as store:
        under_way = asyncio.create_task(store.run("SELECT pg_sleep(30)", {}))
        await asyncio.sleep(0.2)
        with an_outage(server, database):
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(under_way, 5)
            with pytest.raises(UnavailableError):
                await step(store, "1")
        await everybody(store, "1")


async def test_who_asks_first_while_the_database_is_away_is_soon_told(
    server: EmbeddedPostgres, database: Database
) -> None:
    async with a_store(database) as store, away(server, database):
        for ask in (store.run("SELECT 1", {}), step(store, "1")):
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(ask, POOL_WAIT_SECONDS / 2)


async def test_who_is_at_work_while_another_is_cut_off_leaves_nothing_open(
    server: EmbeddedPostgres, database: Database
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with a_store(database) as store, store.read() as transaction:
            await transaction.exec_driver_sql("SELECT 1")
            with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
                cut = asyncio.create_task(store.run("SELECT pg_sleep(30)", {}))
                async with asyncio.timeout(10):
                    while not administrator.execute(  # noqa: ASYNC110 - the server's word, not an event of this loop
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE query = 'SELECT pg_sleep(30)' AND datname = %s",
                        (make_url(database.app_url).database,),
                    ).fetchone():
                        await asyncio.sleep(0.02)
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(cut, 5)
            await asyncio.sleep(0.2)
            await transaction.exec_driver_sql("SELECT 1")
        del store, transaction
        gc.collect()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


async def test_what_the_server_says_to_an_idle_connection_is_no_hanging_up(database: Database) -> None:
    opened = await psycopg.AsyncConnection.connect(database.conninfo, autocommit=True)
    async with opened as listening:
        await listening.execute("LISTEN ward")
        async with await psycopg.AsyncConnection.connect(database.conninfo, autocommit=True) as another:
            for _ in range(3):
                await another.execute("NOTIFY ward")
        arrived, _, _ = await asyncio.to_thread(select.select, [listening.fileno()], [], [], 5)
        assert arrived, "something is there to be read"
        assert not hung_up(listening)
        assert (await (await listening.execute("SELECT 1")).fetchone()) == (1,)
        assert not hung_up(listening)
    assert hung_up(listening)
