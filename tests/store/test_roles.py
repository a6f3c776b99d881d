"""The application's role can add to the log and nothing more; its owner cannot quietly change it either."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from arbiter.store.database import Database, conninfo
from arbiter.store.tables import INSERT_ONLY, metadata

CHANGES = {
    "update": SQL("UPDATE {table} SET {column} = {column}"),
    "update of no row": SQL("UPDATE {table} SET {column} = {column} WHERE false"),
    "delete": SQL("DELETE FROM {table}"),
    "truncate": SQL("TRUNCATE {table} CASCADE"),
}

pytestmark = pytest.mark.parametrize("table", [table.name for table in INSERT_ONLY])


def attempt(url: str, change: str, table: str) -> None:
    column = next(iter(metadata.tables[table].columns)).name
    if metadata.tables[table].c[column].identity is not None:
        column = "case_id"
    statement = CHANGES[change].format(table=Identifier(table), column=Identifier(column))
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("change", CHANGES)
def test_the_application_cannot_change_what_is_only_added(database: Database, table: str, change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(database.app_url, change, table)


@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_is_refused_by_the_triggers(database: Database, table: str, change: str) -> None:
    assert database.owner_url is not None
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=r"refused: its rows are only ever added"):
        attempt(database.owner_url, change, table)
