"""Databases that are put back, copied and exchanged under whoever works on them: what a restored backup or a clone does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from arbiter.store.database import (
    APPLICATION_ROLE,
    OWNER_ROLE,
    Database,
    conninfo,
    limit_database,
)
from arbiter.store.embedded import EmbeddedPostgres
from tests.conftest import _new_name, an_insider, an_outage, name_of

CUTTING_OFF = (
    pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning"),
    pytest.mark.usefixtures("cut_off_connections_are_put_away"),
)
"""The marks of a module whose tests have the server cut off connections: what the driver warns of then is no fault."""


class Copies:
    """Copies of one database, taken by the server itself; all are dropped at the end."""

    def __init__(self, server: EmbeddedPostgres, database: Database) -> None:
        self.name = name_of(database)
        self._server = server
        self._database = database
        self._made: list[str] = []

    def take(self) -> str:
        """Copy the database as it is at this moment, cutting off whoever works on it; return the copy's name."""
        made = _new_name()
        with an_outage(self._server, self._database), self._administrator() as administrator:
            administrator.execute(
                SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    Identifier(made), Identifier(self.name), Identifier(OWNER_ROLE)
                )
            )
            limit_database(administrator, made)
        self._made.append(made)
        return made

    def of(self, copy: str) -> Database:
        """Return a copy as a database to work on."""
        return Database(self._server.url(APPLICATION_ROLE, copy), self._server.url(OWNER_ROLE, copy), None)

    @contextlib.contextmanager
    def another(self, copy: str) -> Iterator[Database]:
        """Yield a copy of a copy on which nobody works, dropped afterwards."""
        made = _new_name()
        with self._administrator() as administrator:
            administrator.execute(
                SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    Identifier(made), Identifier(copy), Identifier(OWNER_ROLE)
                )
            )
            limit_database(administrator, made)
            yield self.of(made)
            administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(made)))

    def put_in_place(self, copy: str) -> None:
        """Exchange the database for a copy, under whoever works on it; the copy's name is that of the other then."""
        aside = f"{self.name}_aside"
        with an_outage(self._server, self.of(copy)), self._administrator() as administrator:
            administrator.execute(
                SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(Identifier(self.name))
            )
            administrator.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                (self.name,),
            )
            for old, new in ((self.name, aside), (copy, self.name), (aside, copy)):
                administrator.execute(
                    SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(old), Identifier(new))
                )
            administrator.execute(
                SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(Identifier(self.name))
            )

    def superuser(self, copy: str | None = None) -> psycopg.Connection:
        """Return an insider's connection to the database or a copy."""
        return an_insider(self._server, self._database if copy is None else self.of(copy))

    def drop(self) -> None:
        """Drop every copy."""
        with self._administrator() as administrator:
            for made in self._made:
                administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(made)))

    @contextlib.contextmanager
    def _administrator(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(conninfo(self._server.superuser_url), autocommit=True) as administrator:
            yield administrator
