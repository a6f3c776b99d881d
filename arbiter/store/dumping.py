"""A database's whole content out and in again, by PostgreSQL's own `pg_dump` and `pg_restore`, in constant memory.

A dump is logical: it sees one snapshot while others go on writing, needs no more than the owner's role, is read by later
versions of PostgreSQL, and holds no row that was deleted: a key that was destroyed is in no dump begun after.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from sqlalchemy import make_url

from arbiter.errors import ConfigurationError
from arbiter.store import migrate
from arbiter.store.database import (
    APPLICATION_ROLE,
    DATABASE,
    OWNER_ROLE,
    Database,
    conninfo,
    make_roles,
)
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.postgres_programs import Programs

_BLOCK_BYTES = 256 * 1024
_ERRORS_TOLD = 2000


class TargetRefusedError(ConfigurationError):
    """The database is not one to restore into; nothing was put into it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the database: its name for `pg_dump`, its schema's version, its newest checkpoint's size and root."""

    name: str
    schema: str
    log_size: int
    log_root: str


def owner_url_of(database: Database) -> str:
    """Return the owner's URL; raise ConfigurationError where a server's is not set."""
    if database.owner_url is None:
        raise ConfigurationError(
            "set ARBITER_DATABASE_OWNER_URL: backups are the business of the schema's owner"
        )
    return database.owner_url


@contextmanager
def snapshot_of(url: str) -> Iterator[Snapshot]:
    """Yield a snapshot that can be dumped while the block runs."""
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute("SET statement_timeout = 0")
        connection.commit()
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = connection.execute(
            "SELECT pg_export_snapshot(), (SELECT version_num FROM alembic_version),"
            " coalesce((SELECT max(size) FROM checkpoint), 0),"
            " coalesce((SELECT encode(root, 'hex') FROM checkpoint ORDER BY size DESC LIMIT 1), '')"
        ).fetchone()
        assert row is not None
        yield Snapshot(row[0], row[1], row[2], row[3])


def dump(url: str, snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the database as it is in the snapshot, in `pg_dump`'s custom format; raise ConfigurationError when that fails."""
    process = Programs().start(
        "pg_dump",
        "--format=custom",
        "--no-owner",
        f"--snapshot={snapshot.name}",
        "--dbname",
        _address(url),
        environment=_secret(url),
        stdin=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        while block := process.stdout.read(_BLOCK_BYTES):
            yield block
    except BaseException:
        process.kill()
        _end(process, None)
        raise
    _end(process, "pg_dump")


def restore(url: str, blocks: Iterable[bytes]) -> None:
    """Fill an empty database with a dump, whole or not at all; raise ConfigurationError when that fails."""
    process = Programs().start(
        "pg_restore",
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--dbname",
        _address(url),
        environment=_secret(url),
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        for block in blocks:
            try:
                process.stdin.write(block)
            except BrokenPipeError:
                break
    except BaseException:
        # Its input breaks off: it must not take what came for the whole.
        process.kill()
        with suppress(BrokenPipeError):
            process.stdin.close()
        _end(process, None)
        raise
    with suppress(BrokenPipeError):
        process.stdin.close()
    _end(process, "pg_restore")


def empty_target(
    data_folder: EmbeddedPostgres | None, app_url: str | None, owner_url: str | None
) -> Database:
    """Return a database without tables, made if it is the embedded one; raise TargetRefusedError when there are any."""
    if data_folder is not None:
        data_folder.start()
        make_roles(data_folder, DATABASE)
        app_url, owner_url = (data_folder.url(role, DATABASE) for role in (APPLICATION_ROLE, OWNER_ROLE))
    if app_url is None or owner_url is None:
        raise TargetRefusedError(
            "set ARBITER_DATABASE_OWNER_URL: backups are the business of the schema's owner"
        )
    database = Database(app_url, owner_url, data_folder)
    try:
        with psycopg.connect(conninfo(owner_url)) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            ).fetchone()
    except psycopg.Error as error:
        raise TargetRefusedError(f"the database refused: {type(error).__name__}") from error
    if row is None or row[0]:
        place = "move the folder postgres of the data folder away" if data_folder else "name an empty one"
        raise TargetRefusedError(
            f"the database is not empty, and a backup is restored into an empty one: {place}"
        )
    return database


def bring_up_to_date(url: str) -> None:
    """Bring a restored database to this release's schema."""
    migrate.upgrade(url)


def empty_again(url: str) -> None:
    """Take out everything that a restore put into a database that was empty."""
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        # As `initdb` makes it, or the application would see nothing in it.
        connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")


def _address(url: str) -> str:
    """Return a URL for PostgreSQL's programs, without its password: command lines can be read by others."""
    parts = make_url(url).set(drivername="postgresql").difference_update_query(["password"])
    if "sslpassword" in parts.query:
        raise ConfigurationError(
            "a database URL with sslpassword is not used here: PostgreSQL's programs show it"
        )
    return parts._replace(password=None).render_as_string(hide_password=False)


def _secret(url: str) -> dict[str, str]:
    parts = make_url(url)
    password = parts.password if parts.password is not None else parts.query.get("password")
    return {} if password is None else {"PGPASSWORD": str(password)}


def _end(process: subprocess.Popen[bytes], program: str | None) -> None:
    """Wait for a program; if it is named, raise ConfigurationError with its last words when it failed."""
    if process.stdout is not None:
        process.stdout.close()
    status = process.wait()
    assert process.stderr is not None
    process.stderr.seek(0)
    errors = process.stderr.read()
    process.stderr.close()
    if program is not None and status != 0:
        told = _without_rows(errors.decode(errors="replace"))[-_ERRORS_TOLD:]
        raise ConfigurationError(f"{program} failed: {told or status}")


def _without_rows(errors: str) -> str:
    """Return a program's own words, without the rows and statements that it quotes: a row may hold a wrapped key."""
    return "\n".join(line for line in errors.splitlines() if line.startswith(("pg_dump:", "pg_restore:")))
