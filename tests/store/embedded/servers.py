"""What the tests of the embedded server do with one: connect, add a row, read what is kept."""

from __future__ import annotations

import psycopg

from arbiter.store.database import conninfo
from arbiter.store.embedded import EmbeddedPostgres

# These test durability, so fsync stays on; only the time to make the folder is saved.
SMALL = {"shared_buffers": "16MB"}


def connected(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(conninfo(server.superuser_url), autocommit=True)


def add(server: EmbeddedPostgres, number: int) -> None:
    with connected(server) as connection:
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def kept(server: EmbeddedPostgres) -> list[int]:
    with connected(server) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM kept ORDER BY id")]
