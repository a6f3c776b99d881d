"""A database out of one server and into another, by the owner's URL: whole, in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from arbiter.errors import ConfigurationError
from arbiter.store import dumping, migrate
from arbiter.store.database import Database, changeable_tables, conninfo
from arbiter.store.dumping import dump, empty_again, empty_target, owner_url_of, restore, snapshot_of


def owner(database: Database) -> str:
    assert database.owner_url is not None
    return database.owner_url


def count(url: str, table: str) -> int:
    with psycopg.connect(conninfo(url)) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def tables(url: str) -> int:
    return count(url, "pg_class WHERE relnamespace = 'public'::regnamespace")


def dumped(database: Database) -> bytes:
    with snapshot_of(owner(database)) as snapshot:
        return b"".join(dump(owner(database), snapshot))


@pytest.fixture
def furnished(database: Database) -> Database:
    with psycopg.connect(conninfo(database.app_url), autocommit=True) as connection:
        connection.execute("INSERT INTO site VALUES ('north', 'North Hospital')")
        connection.execute(
            "INSERT INTO entry (chain, seq, body) SELECT 1, n, 'x' FROM generate_series(0, 99) AS n"
        )
    return database


def test_what_went_out_comes_in_with_its_rights_and_triggers(
    furnished: Database, empty_database: Database
) -> None:
    restore(owner(empty_database), [dumped(furnished)])
    assert migrate.drift(owner(empty_database)) == []
    assert migrate.current(owner(empty_database)) == migrate.head()
    assert count(empty_database.app_url, "entry") == 100
    assert changeable_tables(empty_database.app_url) == ()
    with psycopg.connect(conninfo(owner(empty_database))) as connection:
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            connection.execute("DELETE FROM entry")
        connection.rollback()
        # What is added next has a number that nobody had.
        row = connection.execute(
            "INSERT INTO entry (chain, seq, body) VALUES (1, 100, 'x') RETURNING id"
        ).fetchone()
        assert row is not None
        assert row[0] > 100


def test_a_dump_sees_its_snapshot_whatever_is_written_meanwhile(
    furnished: Database, empty_database: Database
) -> None:
    with snapshot_of(owner(furnished)) as snapshot:
        with psycopg.connect(conninfo(furnished.app_url), autocommit=True) as other:
            other.execute("INSERT INTO site VALUES ('south', 'South Hospital')")
        restore(owner(empty_database), dump(owner(furnished), snapshot))
    assert count(empty_database.app_url, "site") == 1


@pytest.mark.parametrize("part", [0.0, 0.5, 0.98])
def test_half_a_dump_leaves_nothing(furnished: Database, empty_database: Database, part: float) -> None:
    whole = dumped(furnished)
    with pytest.raises(ConfigurationError, match="pg_restore failed"):
        restore(owner(empty_database), [whole[: int(len(whole) * part)]])
    assert tables(owner(empty_database)) == 0


def test_a_row_that_does_not_go_in_is_not_quoted(furnished: Database, empty_database: Database) -> None:
    """PostgreSQL shows the row, and a row may hold a wrapped key or a password's hash."""
    with psycopg.connect(conninfo(owner(furnished)), autocommit=True) as connection:
        connection.execute("CREATE TABLE fussy (secret text)")
        connection.execute("INSERT INTO fussy VALUES ('hush-hush')")
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        connection.execute(f"ALTER TABLE fussy ADD CHECK (current_database() = '{row[0]}')".encode())
    with pytest.raises(ConfigurationError, match=r"pg_restore failed: pg_restore: error: .*fussy") as caught:
        restore(owner(empty_database), [dumped(furnished)])
    assert "hush" not in str(caught.value)
    assert tables(owner(empty_database)) == 0


@pytest.mark.parametrize("url", ["postgresql://o:hush@h/d", "postgresql+psycopg://o@h/d?password=hush"])
def test_a_password_is_never_on_a_command_line(url: str) -> None:
    assert "hush" not in dumping._address(url)
    assert dumping._secret(url) == {"PGPASSWORD": "hush"}


def test_a_password_that_could_only_be_on_a_command_line_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sslpassword"):
        dumping._address("postgresql://o@h/d?sslpassword=hush")


def test_a_source_that_breaks_off_leaves_nothing(furnished: Database, empty_database: Database) -> None:
    whole = dumped(furnished)

    def breaking() -> Iterator[bytes]:
        yield whole
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        restore(owner(empty_database), breaking())
    assert tables(owner(empty_database)) == 0


def test_a_target_that_holds_anything_is_refused(furnished: Database) -> None:
    with pytest.raises(ConfigurationError, match="not empty"):
        empty_target(None, furnished.app_url, owner(furnished))


@pytest.mark.parametrize("missing", ["owner", "server"])
def test_without_the_owner_there_is_no_backup(database: Database, missing: str) -> None:
    with pytest.raises(ConfigurationError, match="OWNER_URL"):
        owner_url_of(Database(database.app_url, None, None))
    with pytest.raises(ConfigurationError):
        empty_target(
            None,
            database.app_url,
            None if missing == "owner" else "postgresql+psycopg://nobody@127.0.0.1:9/x",
        )


def test_a_database_that_was_emptied_again_can_be_filled(
    furnished: Database, empty_database: Database
) -> None:
    whole = dumped(furnished)
    restore(owner(empty_database), [whole])
    empty_again(owner(empty_database))
    assert tables(owner(empty_database)) == 0
    target = empty_target(None, empty_database.app_url, owner(empty_database))
    restore(owner(target), [whole])
    assert count(target.app_url, "entry") == 100
