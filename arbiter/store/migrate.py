"""Brings a database to this release's schema, and tells whether it is there.

Migrations are read from the installed package `migrations`. Two processes that start at once do not clash: whoever
comes second waits for an advisory lock and then finds nothing left to do.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, create_engine, inspect, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import SchemaItem

from arbiter.errors import ConfigurationError
from arbiter.store.tables import INSERT_ONLY, metadata

_LOCK = 0x4152_4249_5445_5200
"""The advisory lock held while migrating: "ARBITER" in ASCII and a zero."""

_LOCK_WAIT_SECONDS = 120
_ANOTHERS = "procrastinate_"
_PARTS = "case_key_"
"""A table's parts are as the table is."""


def head() -> str:
    """Return the version that this code needs."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise ConfigurationError("the package holds no migrations")
    return found


def current(url: str) -> str | None:
    """Return the database's version, or None when it was never migrated."""
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str) -> None:
    """Bring the database to `head()`, as the role that owns the schema; raise ConfigurationError when that fails.

    Each version is one transaction. Blocks; run it in a thread from asynchronous code.
    """
    with _connected(url) as connection:
        connection.execute(text(f"SET lock_timeout = '{_LOCK_WAIT_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        found = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(config)
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise ConfigurationError(
                f"the database is at version {found}, which this release does not know; its newest is {head()}: "
                "start the release that wrote it, or a newer one"
            )
        # The lock belongs to the connection and goes with it, however this ends.
        command.upgrade(config, "head")


def drift(url: str) -> list[str]:
    """Return how the database differs from `arbiter.store.tables`, one difference a line; empty when it does not.

    Tables, columns, types, defaults, indexes and constraints are compared, and the append-only triggers looked for.
    The job queue's own tables are its package's business.
    """
    with _connected(url) as connection:
        options = {"compare_server_default": True, "include_object": _is_ours, "target_metadata": metadata}
        context = MigrationContext.configure(connection, opts=options)
        differences = [str(difference) for difference in compare_metadata(context, metadata)]
        return [*differences, *_check_constraints(connection), *_triggers(connection)]


def _config() -> Config:
    config = Config()
    folder = str(importlib.resources.files("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        # The server's own words name the object or the privilege; parameters and the URL stay out.
        raise ConfigurationError(f"the database refused: {str(error.orig).strip()}") from error
    finally:
        engine.dispose()


def _is_ours(
    _item: SchemaItem, name: str | None, kind: str, _reflected: bool, _compared: SchemaItem | None
) -> bool:
    return not (kind == "table" and name is not None and name.startswith((_ANOTHERS, _PARTS)))


def _check_constraints(connection: Connection) -> list[str]:
    # Alembic does not compare these. Names suffice: the text comes back from the server rewritten.
    found = inspect(connection)
    differences = []
    for table in metadata.sorted_tables:
        if not found.has_table(table.name):
            continue
        expected = {str(item.name) for item in table.constraints if isinstance(item, CheckConstraint)}
        present = {str(item["name"]) for item in found.get_check_constraints(table.name)}
        differences += [f"check constraint {name} is missing" for name in sorted(expected - present)]
        differences += [
            f"check constraint {name} is not in the tables" for name in sorted(present - expected)
        ]
    excluding = {
        str(item.name)
        for table in metadata.sorted_tables
        for item in table.constraints
        if isinstance(item, ExcludeConstraint)
    }
    there = set(connection.scalars(text("SELECT conname FROM pg_constraint WHERE contype = 'x'")))
    return [*differences, *(f"exclusion constraint {name} is missing" for name in sorted(excluding - there))]


def _triggers(connection: Connection) -> list[str]:
    guarded = set(
        connection.scalars(
            text(
                "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only' AND tgenabled = 'A'"
            )
        )
    )
    return [f"{table.name} is not append-only" for table in INSERT_ONLY if table.name not in guarded]
