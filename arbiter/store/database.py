"""Opens the database: the embedded one or a server's, ready and at this release's version, or refuses to.

The application connects as a role that may only add to the log. The schema belongs to another role, used while
migrating and never while serving.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoneFreeError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool, PoolProxiedConnection

from arbiter.errors import ConfigurationError, UnavailableError
from arbiter.settings import Settings
from arbiter.store import migrate
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.liveness import hung_up
from arbiter.store.tables import INSERT_ONLY
from arbiter.store.transaction import DirectConnection
from arbiter.telemetry import Safe

APPLICATION_ROLE = "arbiter_app"
OWNER_ROLE = "arbiter_owner"
DATABASE = "arbiter"

STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 5
IDLE_IN_TRANSACTION_SECONDS = 60
POOL_WAIT_SECONDS = 10

_log = logging.getLogger(__name__)

_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in (
        ("statement_timeout", f"{STATEMENT_TIMEOUT_SECONDS}s"),
        ("lock_timeout", f"{LOCK_TIMEOUT_SECONDS}s"),
        ("idle_in_transaction_session_timeout", f"{IDLE_IN_TRANSACTION_SECONDS}s"),
        ("timezone", "UTC"),
    )
)


@dataclass(frozen=True, slots=True)
class Database:
    """A database that is ready. `owner_url` is known for the embedded one, or when the settings name it."""

    app_url: str = field(repr=False)
    owner_url: str | None = field(repr=False)
    embedded: EmbeddedPostgres | None

    @property
    def conninfo(self) -> str:
        """The application's connection as a libpq string, for drivers without SQLAlchemy."""
        return conninfo(self.app_url)

    def close(self) -> None:
        """Let go of the embedded server, which stops when nobody else uses it. Connections must be closed before."""
        if self.embedded is not None:
            self.embedded.stop()


def open_engine(url: str, pool_size: int) -> AsyncEngine:
    """Return an engine with at most `pool_size` connections; who finds none free waits 10 seconds, then fails.

    Each connection runs in UTC with a statement timeout (30 s), a lock timeout (5 s) and a limit on idling inside a
    transaction (60 s). One on which the server hung up while it idled is replaced before it is used, by a look at its
    socket; one that breaks otherwise fails the transaction that meets it, and all others of its age are replaced.
    Whatever shows that the database does not answer (a broken connection, none free, a timeout) is raised as
    UnavailableError.
    """
    engine = create_async_engine(
        url,
        poolclass=_Pool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        connect_args={
            "options": _OPTIONS,
            "application_name": "arbiter",
            "connect_timeout": POOL_WAIT_SECONDS,
        },
    )
    event.listen(engine.sync_engine, "handle_error", _tell_unavailable)
    event.listen(engine.sync_engine, "checkout", _refuse_unfit)
    return engine


class _Pool(AsyncAdaptedQueuePool):
    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except NoneFreeError as error:
            raise UnavailableError("no database connection came free in time") from error


def _refuse_unfit(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Have a connection replaced on which the server hung up while it idled, with all that are as old, or that begins no transaction."""
    held = record.driver_connection
    if not isinstance(held, psycopg.AsyncConnection):
        return
    if hung_up(held):
        raise InvalidatePoolError
    # INVARIANT: what is handed out begins a transaction; one left in the other mode would commit each statement of somebody's alone.
    if held.autocommit:
        raise DisconnectionError


def _tell_unavailable(context: ExceptionContext) -> None:
    """Raise UnavailableError in place of the driver's errors that say nothing about the statement itself."""
    error, original = context.sqlalchemy_exception, context.original_exception
    if error is None:
        # A cancellation, which breaks the connection too and must stay what it is.
        return
    if context.is_disconnect or isinstance(error, OperationalError | InterfaceError):
        # Never its message, which may quote a row; class and SQLSTATE tell an operator enough.
        _log.warning(
            "the database does not answer: %s %s",
            type(original).__name__,
            Safe(getattr(original, "sqlstate", None) or "without SQLSTATE"),
        )
        raise UnavailableError("the database does not answer") from original


def open_pool(address: str, pool_size: int) -> AsyncConnectionPool[DirectConnection]:
    """Return a pool, not opened yet, of at most `pool_size` psycopg connections in which a statement is a transaction.

    What runs there are a few constant statements that look rows up by their keys: prepared when first met, and planned
    with indexes even while their tables are so small that reading them whole would cost less. Such a plan is kept, with
    those of the foreign keys' checks, and the tables grow. Nothing is compiled for them: before release 18, PostgreSQL
    prices the reading of a table that has no index for it so high that it would compile what reads ten rows.

    Who finds none free waits 10 seconds, then fails. Timeouts are the engine's. While the database is away, attempts to
    reach it lie 4 seconds apart at most, however long it has been away.
    """
    return AsyncConnectionPool(
        address,
        min_size=min(2, pool_size),
        max_size=pool_size,
        timeout=POOL_WAIT_SECONDS,
        # The pool doubles its pauses for that long; whoever asks next begins anew.
        reconnect_timeout=POOL_WAIT_SECONDS,
        kwargs={
            "autocommit": True,
            "prepare_threshold": 0,
            "options": f"{_OPTIONS} -c enable_seqscan=off -c jit=off",
        },
        open=False,
    )


def conninfo(url: str) -> str:
    """Return a SQLAlchemy URL of ours as a libpq connection string with the same timeouts."""
    parts = make_url(url)
    return make_conninfo(
        parts.set(drivername="postgresql").render_as_string(hide_password=False),
        options=_OPTIONS,
        application_name="arbiter",
    )


async def prepare_database(settings: Settings) -> Database:
    """Return the database that the settings name, ready for use.

    The embedded one is started, made and migrated. A server must be at this release's version already, and its
    application role must be unable to change the log: raises ConfigurationError with advice otherwise.
    """
    if settings.database_url is not None:
        url, owner_url = settings.database_url, settings.database_owner_url
        await asyncio.to_thread(_check_server, url)
        return Database(url, owner_url, None)
    return await asyncio.to_thread(_prepare_embedded, EmbeddedPostgres(settings.data))


async def keep_running(database: Database, every_seconds: float = 1.0) -> None:
    """Start the embedded server again whenever it has died; runs until cancelled, returns at once for a server."""
    embedded = database.embedded
    while embedded is not None:
        await asyncio.sleep(every_seconds)
        if embedded.postmaster_pid() is None:
            _log.warning("the embedded database has died and is started again")
            try:
                await asyncio.to_thread(embedded.start)
            except ConfigurationError:
                _log.exception("the embedded database does not start")


def make_roles(server: EmbeddedPostgres, database: str) -> None:
    """Make the owner's and the application's role and the database on an embedded server, as far as they are missing."""
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as connection:
        # Two processes may come here at once, and CREATE has no IF NOT EXISTS for these.
        connection.execute("SELECT pg_advisory_lock(hashtext('arbiter roles'))")
        roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in (OWNER_ROLE, APPLICATION_ROLE):
            if role not in roles:
                connection.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(role)))
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        if database not in databases:
            statement = SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(statement.format(Identifier(database), Identifier(OWNER_ROLE)))
        limit_database(connection, database)


def limit_database(connection: psycopg.Connection, database: str) -> None:
    """Let nobody but the owner and the application into the database, and the application make nothing in it."""
    connection.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(Identifier(database)))
    grant = SQL("GRANT CONNECT ON DATABASE {} TO {}")
    connection.execute(grant.format(Identifier(database), Identifier(APPLICATION_ROLE)))


def _prepare_embedded(server: EmbeddedPostgres) -> Database:
    server.start()
    try:
        make_roles(server, DATABASE)
        owner_url = server.url(OWNER_ROLE, DATABASE)
        migrate.upgrade(owner_url)
    except BaseException:
        server.stop()
        raise
    return Database(server.url(APPLICATION_ROLE, DATABASE), owner_url, server)


def _check_server(url: str) -> None:
    found, needed = migrate.current(url), migrate.head()
    if found != needed:
        raise ConfigurationError(
            f"the database is at version {found or 'none'} and this release needs {needed}: run `arbiter migrate`"
        )
    for name in changeable_tables(url):
        raise ConfigurationError(
            f"the database role may change {name}, which is append-only: "
            f"ARBITER_DATABASE_URL must name {APPLICATION_ROLE} or a member of it"
        )


def changeable_tables(url: str) -> tuple[str, ...]:
    """Return the append-only tables that this role could change; raise ConfigurationError when they cannot be asked for."""
    asked = text("SELECT has_table_privilege(:name, 'UPDATE, DELETE, TRUNCATE')")
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return tuple(
                table.name for table in INSERT_ONLY if connection.scalar(asked, {"name": table.name})
            )
    except DBAPIError as error:
        raise ConfigurationError(f"the database refused: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself: its version, its clock, and which of its settings give up durability."""

    version: str
    now: datetime
    not_durable: tuple[str, ...]


def ask_server(url: str) -> ServerFacts:
    """Return what the server says of itself; raise ConfigurationError when it does not answer."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": POOL_WAIT_SECONDS})
    try:
        with engine.connect() as connection:
            version, now = connection.execute(
                text("SELECT current_setting('server_version'), clock_timestamp()")
            ).one()
            off = connection.scalars(
                text(
                    "SELECT name FROM pg_settings WHERE name = ANY(:names) AND setting = 'off' ORDER BY name"
                ),
                {"names": ["fsync", "full_page_writes", "synchronous_commit"]},
            )
            return ServerFacts(version, now, tuple(off))
    except DBAPIError as error:
        raise ConfigurationError(f"the database refused: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()
