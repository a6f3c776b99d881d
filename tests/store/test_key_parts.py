"""The table of case keys in parts: carried over whole from the release before, and guarded as it was."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from arbiter.model import CaseId
from arbiter.store import migrate
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.erasures import rewrite_keys
from tests.store.test_log_layout import owner, up_to
from tests.workflow.erasures import checkpoint_database, live_files_with

BEFORE = "0009"
CASES = [f"c_{number:04}" for number in range(300)]
_CASE = """
INSERT INTO case_file (id, site_id, client_id, subject_id, protocol_id, protocol_hash, risk_class, phase, state, version, seq,
    prev, created_at, changed_at)
VALUES (%s, 'north', 'client', 'subject', 'p', 'h', 'urgent', 'received', '{}', 1, 0, %s, now(), now())
"""


def insider(server: EmbeddedPostgres, database: Database) -> psycopg.Connection:
    """Somebody whom no foreign key stops."""
    connection = psycopg.connect(conninfo(server.url(SUPERUSER, make_url(database.app_url).database or "")))
    connection.execute("SET session_replication_role = replica")
    return connection


@pytest.fixture
def wrapped() -> dict[str, bytes]:
    return {case: os.urandom(60) for case in CASES}


@pytest.fixture
def before(empty_database: Database, server: EmbeddedPostgres, wrapped: dict[str, bytes]) -> Database:
    """A database as the release before left it, with keys that were deleted and whose bytes still stand in its files."""
    up_to(owner(empty_database), BEFORE)
    with insider(server, empty_database) as connection:
        for case in CASES:
            connection.execute(_CASE, (case, bytes(32)))
            connection.execute("INSERT INTO case_key VALUES (%s, 'kek-1', %s)", (case, wrapped[case]))
        connection.execute("INSERT INTO retired_kek VALUES ('kek-0', now())")
        connection.execute("DELETE FROM case_key WHERE case_id = %s", (CASES[0],))
    return empty_database


def test_every_key_is_carried_over_and_what_was_deleted_is_gone(
    before: Database, server: EmbeddedPostgres, wrapped: dict[str, bytes]
) -> None:
    checkpoint_database(server.superuser_url)
    assert live_files_with(Path(server.folder), wrapped[CASES[0]])
    migrate.upgrade(owner(before))
    assert migrate.drift(owner(before)) == []
    with psycopg.connect(conninfo(before.app_url)) as connection:
        rows = connection.execute("SELECT case_id, wrapped FROM case_key").fetchall()
        parts = connection.execute("SELECT DISTINCT tableoid FROM case_key").fetchall()
    assert dict(rows) == {case: wrapped[case] for case in CASES[1:]}
    assert len(parts) == 8, "every part holds some"
    checkpoint_database(server.superuser_url)
    assert live_files_with(Path(server.folder), wrapped[CASES[0]]) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("INSERT INTO case_key VALUES ('c_0000', 'kek-0', '')", psycopg.errors.IntegrityConstraintViolation),
        ("INSERT INTO case_key VALUES ('c_0001', 'kek-1', '')", psycopg.errors.UniqueViolation),
        ("INSERT INTO case_key VALUES ('nobody', 'kek-1', '')", psycopg.errors.ForeignKeyViolation),
        ("UPDATE case_key SET kek_id = 'kek-0'", psycopg.errors.IntegrityConstraintViolation),
        (
            "UPDATE case_key SET case_id = 'c_0000' WHERE case_id = 'c_0001'",
            psycopg.errors.InsufficientPrivilege,
        ),
        ("TRUNCATE case_key", psycopg.errors.InsufficientPrivilege),
        ("SELECT * FROM case_key_0", psycopg.errors.InsufficientPrivilege),
        ("DELETE FROM case_key_0", psycopg.errors.InsufficientPrivilege),
        ("ALTER TABLE case_key DETACH PARTITION case_key_0", psycopg.errors.InsufficientPrivilege),
    ],
)
def test_the_parts_are_guarded_as_the_whole_was(
    before: Database, statement: str, fault: type[psycopg.Error]
) -> None:
    migrate.upgrade(owner(before))
    with psycopg.connect(conninfo(before.app_url)) as connection, pytest.raises(fault):
        connection.execute(statement.encode())


def test_the_application_may_rewrite_the_parts_by_itself(before: Database) -> None:
    migrate.upgrade(owner(before))
    alone = Database(before.app_url, None, None)
    assert rewrite_keys(alone) is None
    assert rewrite_keys(alone, [CaseId(CASES[0])]) is None


def test_a_role_that_may_not_rewrite_is_told_so(before: Database, server: EmbeddedPostgres) -> None:
    migrate.upgrade(owner(before))
    with psycopg.connect(conninfo(owner(before))) as connection:
        for part in range(8):
            connection.execute(f"REVOKE ALL ON case_key_{part} FROM arbiter_app".encode())
    assert rewrite_keys(Database(before.app_url, None, None)) == (
        "this role may not rewrite the table of keys: set ARBITER_DATABASE_OWNER_URL"
    )
