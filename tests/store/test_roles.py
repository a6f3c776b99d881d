"""The application's role can add to the log and nothing more; its owner cannot quietly change it either."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.tables import INSERT_ONLY, metadata

CHANGES = {
    "update": SQL("UPDATE {table} SET {column} = {column}"),
    "update of no row": SQL("UPDATE {table} SET {column} = {column} WHERE false"),
    "delete": SQL("DELETE FROM {table}"),
    "truncate": SQL("TRUNCATE {table} CASCADE"),
}

pytestmark = pytest.mark.parametrize("table", [table.name for table in INSERT_ONLY])


def attempt(url: str, change: str, table: str) -> None:
    column = next(column.name for column in metadata.tables[table].columns if column.identity is None)
    statement = CHANGES[change].format(table=Identifier(table), column=Identifier(column))
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("change", CHANGES)
def test_the_application_cannot_change_what_is_only_added(
    module_database: Database, table: str, change: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(module_database.app_url, change, table)


@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_is_refused_by_the_triggers(module_database: Database, table: str, change: str) -> None:
    assert module_database.owner_url is not None
    with pytest.raises(
        psycopg.errors.IntegrityConstraintViolation, match=r"refused: its rows are only ever added"
    ):
        attempt(module_database.owner_url, change, table)


def test_the_application_cannot_disarm_the_triggers(module_database: Database, table: str) -> None:
    with (
        psycopg.connect(conninfo(module_database.app_url)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(SQL("ALTER TABLE {} DISABLE TRIGGER append_only").format(Identifier(table)))


def test_the_superuser_in_replica_mode_is_refused_too(
    module_database: Database, server: EmbeddedPostgres, table: str
) -> None:
    name = make_url(module_database.app_url).database
    assert name is not None
    with psycopg.connect(conninfo(server.url(SUPERUSER, name))) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
