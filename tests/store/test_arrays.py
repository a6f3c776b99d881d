"""Arrays packed by who knows their type arrive as what PostgreSQL itself makes of their spelling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from arbiter.store.arrays import Blobs, Instants, Integers, Texts
from arbiter.store.database import Database, conninfo

EAST = timezone(timedelta(hours=5, minutes=30))
BEFORE_THE_EPOCH = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
SAME_INSTANT_ELSEWHERE = datetime(2026, 3, 1, 5, 30, 0, 1, tzinfo=EAST)


@pytest.mark.parametrize(
    ("packed", "kind", "spelt"),
    [
        (Texts(()), "text[]", "{}"),
        (
            Texts(["", "a", None, 'q"\\{},', "NULL", "Ä€😀"]),
            "text[]",
            '{"",a,NULL,"q\\"\\\\{},","NULL",Ä€😀}',
        ),
        (Integers(()), "integer[]", "{}"),
        (Integers([0, -1, None, 2**31 - 1, -(2**31)]), "integer[]", "{0,-1,NULL,2147483647,-2147483648}"),
        (Blobs(()), "bytea[]", "{}"),
        (Blobs([b"", b"\x00\xff", None]), "bytea[]", '{"\\\\x","\\\\x00ff",NULL}'),
        (Instants(()), "timestamp with time zone[]", "{}"),
        (
            Instants([BEFORE_THE_EPOCH, None, SAME_INSTANT_ELSEWHERE]),
            "timestamp with time zone[]",
            '{"1999-12-31 23:59:59.999999+00",NULL,"2026-03-01 00:00:00.000001+00"}',
        ),
    ],
)
def test_an_array_arrives_as_its_spelling_says(
    database: Database, packed: Sequence[Any], kind: str, spelt: str
) -> None:
    with psycopg.connect(conninfo(database.app_url)) as connection:
        row = connection.execute(
            f"SELECT pg_typeof(%(packed)s)::text, %(packed)s = %(spelt)s::{kind}".encode(),
            {"packed": packed, "spelt": spelt},
        ).fetchone()
    assert row == (kind, True)


def test_a_statement_is_prepared_once_whatever_its_arrays_hold(database: Database) -> None:
    with psycopg.connect(conninfo(database.app_url), prepare_threshold=0, autocommit=True) as connection:
        for texts, numbers in (((), ()), (("a",), (1,)), ((None,), (70_000,)), (("a", None), (None, -1))):
            connection.execute("SELECT %s, %s", (Texts(texts), Integers(numbers)))
        counted = connection.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1, $2'"
        ).fetchone()
    assert counted == (1,)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_a_number_beyond_an_integer_is_not_sent(database: Database, number: int) -> None:
    with psycopg.connect(conninfo(database.app_url)) as connection, pytest.raises(Exception, match="format"):
        connection.execute("SELECT %s", (Integers([number]),))


def test_an_instant_without_an_offset_is_not_sent(database: Database) -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - what is refused
    with psycopg.connect(conninfo(database.app_url)) as connection, pytest.raises(TypeError):
        connection.execute("SELECT %s", (Instants([naive]),))
