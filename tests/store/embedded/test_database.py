"""Arbiter's database on the embedded server: prepared with its roles by whoever comes first, kept running after that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from arbiter.errors import ConfigurationError
from arbiter.settings import Settings
from arbiter.store import migrate
from arbiter.store.database import DATABASE, keep_running, prepare_database
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres, kill_postmaster
from tests.store.embedded.servers import connected


async def test_a_prepared_database_is_migrated_and_found_again(data: Path) -> None:
    first = await prepare_database(Settings(data=data))
    second = await prepare_database(Settings(data=data))
    assert first.app_url == second.app_url
    assert first.owner_url is not None
    assert migrate.drift(first.owner_url) == []
    with psycopg.connect(first.conninfo) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (
            "arbiter_app",
            DATABASE,
        )
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)
    second.close()
    assert first.embedded is not None
    assert first.embedded.answers()
    first.close()
    assert first.embedded.postmaster_pid() is None


async def test_two_that_prepare_at_once_do_not_clash(data: Path) -> None:
    prepared = await asyncio.gather(*(prepare_database(Settings(data=data)) for _ in range(2)))
    for database in prepared:
        assert database.owner_url is not None
        assert migrate.drift(database.owner_url) == []
    for database in prepared:
        database.close()


async def test_a_server_that_died_under_us_comes_back(data: Path) -> None:
    database = await prepare_database(Settings(data=data))
    assert database.embedded is not None
    before = database.embedded.postmaster_pid()
    watching = asyncio.create_task(keep_running(database, every_seconds=0.05))
    kill_postmaster(database.embedded)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if database.embedded.postmaster_pid() not in {None, before} and database.embedded.answers():
            break
    assert database.embedded.answers()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    database.close()


def test_migrating_makes_the_applications_role_when_it_may(server: EmbeddedPostgres) -> None:
    with connected(server) as connection:
        connection.execute("CREATE DATABASE bare")
    migrate.upgrade(server.url(SUPERUSER, "bare"))
    with connected(server) as connection:
        row = connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'arbiter_app'").fetchone()
    assert row == (False,)


def test_migrating_says_which_role_is_missing_when_it_may_not_make_it(server: EmbeddedPostgres) -> None:
    with connected(server) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("CREATE DATABASE bare OWNER plain")
    with pytest.raises(ConfigurationError, match="the role arbiter_app is missing"):
        migrate.upgrade(server.url("plain", "bare"))
    assert migrate.current(server.url("plain", "bare")) is None
