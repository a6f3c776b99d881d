"""One real PostgreSQL for a test session, one fresh migrated database for each test that asks for it.

The server is the embedded one in a folder of its own, so several test processes run side by side. It runs without
fsync: nothing here survives the machine, and tests of durability start a server of their own.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import random
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from arbiter.audit.note import Ed25519NoteSigner
from arbiter.store import migrate
from arbiter.store.database import (
    APPLICATION_ROLE,
    OWNER_ROLE,
    Database,
    conninfo,
    limit_database,
    make_roles,
    open_engine,
    open_pool,
)
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.identities import Identities
from arbiter.store.keys import Keyring, LogKeyPair
from arbiter.store.keys.hardware import Place
from arbiter.store.sessions import Sessions
from arbiter.store.transaction import Store
from arbiter.store.vault import Vault
from tests.audit.go_checker import GoChecker
from tests.tokens import a_token

# How fast a machine is while others work on it is no property of ours: by default an example has 200 ms. Where a change is
# judged, the examples are the same each time; whoever works here draws new ones with every run.
settings.register_profile(
    "arbiter",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("arbiter")

# Whether it is night is no property of ours either: seats are asked their fixed cases where a test says so.
os.environ["ARBITER_CANARY_AT"] = "off"

LONG_FOLDERS = (
    "system",
    "cli",
    "workflow",
    "clinician_ui",
    "verifying",
    "store",
    "fleet",
    "witness",
    "faults",
    "api",
)
"""The folders whose files take longest, the longest first: where services are started, killed and talked to by command."""

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_TEMPLATE = "arbiter_template"
_ROOM_BYTES = 2 * 1024**3
_WITHOUT_DURABILITY = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
}


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the last has run: looking through them for garbage took more time than many a test."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests a file at a time, the long files come first and the short ones fill the end.

    By the number of its tests a file that kills services comes last: it has one or two. Other processes then wait for it.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.path))


def _rank(path: Path) -> int:
    folder = path.relative_to(Path(__file__).parent).parts[0]
    return LONG_FOLDERS.index(folder) if folder in LONG_FOLDERS else len(LONG_FOLDERS)


class SettableClock:
    """Stands still until it is told otherwise."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now

    def advance(self, by: timedelta) -> None:
        self._now += by


class SeededChance:
    """The same bytes in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


def keyring_of(chance: SeededChance, origin: str = "log.hospital.example/arbiter") -> Keyring:
    """Keys without files."""
    pair = LogKeyPair(1, Ed25519NoteSigner(origin, chance.token(32)), None)
    return Keyring(origin, (pair,), {"kek-1": chance.token(32)}, "kek-1", chance.token(32))


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def chance() -> SeededChance:
    return SeededChance()


@pytest.fixture
def keyring(chance: SeededChance) -> Keyring:
    return keyring_of(chance)


@pytest.fixture
def vault(keyring: Keyring, chance: SeededChance) -> Vault:
    return Vault(keyring, chance)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder for servers: short enough for a socket's path, and one that the database's own user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="arbiter-test-", dir=_roomy_memory()))
    yield folder
    shutil.rmtree(folder)


def _roomy_memory() -> str | None:
    """The machine's memory as a folder, where there is room: copying databases through the disk is the slow part."""
    memory = "/dev/shm"
    if os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES:
        return memory
    return None


@pytest.fixture(scope="session")
def server(short_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The session's server with its template: roles made, migrations applied."""
    started = EmbeddedPostgres(short_folder / "session", _WITHOUT_DURABILITY)
    started.start()
    try:
        make_roles(started, _TEMPLATE)
        migrate.upgrade(started.url(OWNER_ROLE, _TEMPLATE))
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def _administrator(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as connection:
        yield connection


_numbers = itertools.count(1)


def _new_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def empty_database(server: EmbeddedPostgres, _administrator: psycopg.Connection) -> Iterator[Database]:
    """A database in which no migration has run; the roles exist."""
    name = _new_name()
    make_roles(server, name)
    yield Database(server.url(APPLICATION_ROLE, name), server.url(OWNER_ROLE, name), None)
    _administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@contextlib.contextmanager
def _migrated(server: EmbeddedPostgres, administrator: psycopg.Connection) -> Iterator[Database]:
    name = _new_name()
    statement = SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
    administrator.execute(statement.format(Identifier(name), Identifier(_TEMPLATE), Identifier(OWNER_ROLE)))
    # A template's grants are not copied with it.
    limit_database(administrator, name)
    yield Database(server.url(APPLICATION_ROLE, name), server.url(OWNER_ROLE, name), None)
    administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def database(server: EmbeddedPostgres, _administrator: psycopg.Connection) -> Iterator[Database]:
    """A migrated database of the test's own: `app_url` is the application's role, `owner_url` the schema's owner."""
    with _migrated(server, _administrator) as made:
        yield made


@pytest.fixture(scope="module")
def module_database(server: EmbeddedPostgres, _administrator: psycopg.Connection) -> Iterator[Database]:
    """A migrated database that a module's tests share: for those that leave nothing behind, or keep apart."""
    with _migrated(server, _administrator) as made:
        yield made


@pytest.fixture(scope="session")
def exports_database(server: EmbeddedPostgres, _administrator: psycopg.Connection) -> Iterator[Database]:
    """A migrated database for the house that is exported: it takes long to furnish, and is then only read."""
    with _migrated(server, _administrator) as made:
        yield made


@pytest.fixture(scope="session")
def rotated_database(server: EmbeddedPostgres, _administrator: psycopg.Connection) -> Iterator[Database]:
    """A migrated database for the house whose log's key is rotated before it is exported: then nobody touches it."""
    with _migrated(server, _administrator) as made:
        yield made


def name_of(database: Database) -> str:
    """Return the database's name on its server."""
    name = make_url(database.app_url).database
    assert name is not None
    return name


def an_insider(server: EmbeddedPostgres, database: Database) -> psycopg.Connection:
    """Return a connection of somebody who may do anything to the database, each statement at once."""
    return psycopg.connect(conninfo(server.url(SUPERUSER, name_of(database))), autocommit=True)


@pytest.fixture
def cut_off_connections_are_put_away() -> Iterator[None]:
    """Connections that the server cut off are closed by the collector, which warns: here, and not in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextlib.contextmanager
def an_outage(server: EmbeddedPostgres, database: Database) -> Iterator[None]:
    """Nobody is let into the database, and whoever was in is thrown out, while the block runs."""
    name = name_of(database)
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
        administrator.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(name)))
        administrator.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        yield
        administrator.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(name)))


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """The application's engine on the test's own database."""
    opened = open_engine(database.app_url, pool_size=10)
    yield opened
    await opened.dispose()


@pytest.fixture
async def store(engine: AsyncEngine, database: Database) -> AsyncIterator[Store]:
    """Both of the application's roads to the test's own database."""
    async with open_pool(database.conninfo, pool_size=10) as pool:
        await pool.wait()
        yield Store.in_turn(engine, pool)


@pytest.fixture
def identities(engine: AsyncEngine) -> Identities:
    return Identities(engine)


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return Sessions(engine)


@pytest.fixture(scope="session")
def go_checker(tmp_path_factory: pytest.TempPathFactory) -> GoChecker:
    """Return Go's checker, built once; skips the test where Go is not installed."""
    return GoChecker.build(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A PKCS#11 token without any key of ours in it that a test asks for by name."""
    return a_token(tmp_path_factory.mktemp("softhsm"))
