"""A destroyed key is in no live file of the database, and is not called gone while anybody could still see it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.erasures import REWRITE_LOCK_MS, REWRITE_TRIES, rewrite_keys, turn_over_journal
from arbiter.workflow import reading
from arbiter.workflow.erasure.clearing import (
    clear_keys,
    erasures_standing,
)
from arbiter.workflow.erasure.erasing import Order, erase
from tests.workflow.erasures import (
    Records,
    checkpoint_database,
    live_files_with,
    records,
)
from tests.workflow.post import a_case


async def test_no_live_file_of_the_database_holds_a_destroyed_key(
    kept: Records, server: EmbeddedPostgres
) -> None:
    wrapped, other = kept.wrapped(), await a_case(kept.house, kept.client, "key-2", heart_rate=None)
    with psycopg.connect(conninfo(kept.database.owner_url or ""), autocommit=True) as owner:
        owner.execute("ANALYZE case_key")
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped), "the search finds what there is"
    await erase(kept.house, Order(kept.olga), kept.case)
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped), "a deleted row stays in its page"
    assert await clear_keys(kept.house) is None
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped) == []
    assert live_files_with(server.folder, kept.wrapped(other)), "another case's key stays where it is"
    await reading.read_content(kept.house, kept.client, other)


async def test_the_journal_is_written_over(kept: Records, server: EmbeddedPostgres) -> None:
    wrapped = kept.wrapped()
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    checkpoint_database(server.superuser_url)
    assert live_files_with(server.folder, wrapped, journal=True), "the journal still holds it"
    assert not turn_over_journal(kept.database), "a server's journal is its administrator's"
    assert turn_over_journal(Database(kept.database.app_url, kept.database.owner_url, server))
    assert live_files_with(server.folder, wrapped, journal=True) == []


async def test_the_planner_samples_no_key(
    database: Database, tmp_path: Path, server: EmbeddedPostgres
) -> None:
    async with records(tmp_path / "data", database) as kept:
        with psycopg.connect(conninfo(database.owner_url or ""), autocommit=True) as owner:
            owner.execute("ANALYZE case_key")
            sampled = owner.execute(
                "SELECT attname FROM pg_stats WHERE tablename ~ '^case_key(_[0-9]+)?$'"
                " AND (histogram_bounds IS NOT NULL OR most_common_vals IS NOT NULL)"
            ).fetchall()
        assert "wrapped" not in {row[0] for row in sampled}
        kept.wrapped()


async def test_a_key_that_an_older_snapshot_still_sees_is_not_called_cleared(kept: Records) -> None:
    with psycopg.connect(conninfo(kept.database.app_url)) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # A snapshot, and no lock on the table of keys.
        reader.execute("SELECT count(*) FROM site")
        await erase(kept.house, Order(kept.olga), kept.case)
        fault = await clear_keys(kept.house)
        assert fault is not None
        assert "older transaction" in fault
        (standing,) = await erasures_standing(kept.house, kept.case)
        assert standing.erasure.cleared_at is None
        assert standing.waits_for == "the table of keys to be rewritten"
        reader.rollback()
    assert await clear_keys(kept.house) is None


async def test_a_table_in_use_is_not_waited_for_long(kept: Records) -> None:
    with psycopg.connect(conninfo(kept.database.app_url)) as reader:
        reader.execute("SELECT count(*) FROM case_key")
        await erase(kept.house, Order(kept.olga), kept.case)
        fault = await clear_keys(kept.house)
        assert fault is not None
        assert "in use" in fault
    assert await clear_keys(kept.house) is None


async def test_only_the_part_that_held_the_key_is_rewritten(kept: Records) -> None:
    """What others' keys lie in is not held for a moment, however many there are."""
    for number in range(12):
        await a_case(kept.house, kept.client, f"another-{number}", heart_rate=None)
    part, places = part_of(kept, kept.case), files_of(kept)
    assert len(places) == 8
    await erase(kept.house, Order(kept.olga), kept.case)
    assert await clear_keys(kept.house) is None
    after = files_of(kept)
    assert [name for name, place in places.items() if after[name] != place] == [part]


async def test_whoever_opens_a_case_waits_for_one_part_and_for_half_a_second_at_most(kept: Records) -> None:
    """A transaction holds one part. The others are rewritten or not, but nobody queues for long behind the rewriting."""
    other = await a_case(kept.house, kept.client, "another", heart_rate=None)
    with psycopg.connect(conninfo(kept.database.owner_url or "")) as holder:
        holder.execute(SQL("LOCK TABLE {} IN ROW SHARE MODE").format(Identifier(part_of(kept, other))))
        rewriting = asyncio.create_task(asyncio.to_thread(rewrite_keys, kept.database))
        longest = 0.0
        while not rewriting.done():
            began = time.monotonic()
            await reading.read_content(kept.house, kept.client, other)
            longest = max(longest, time.monotonic() - began)
        assert "in use" in str(await rewriting)
    assert longest < REWRITE_LOCK_MS * REWRITE_TRIES / 1000
    assert rewrite_keys(kept.database) is None


def files_of(kept: Records) -> dict[str, int]:
    with psycopg.connect(conninfo(kept.database.app_url)) as connection:
        rows = connection.execute(
            "SELECT inhrelid::regclass::text, pg_relation_filenode(inhrelid) FROM pg_inherits"
            " WHERE inhparent = 'case_key'::regclass"
        ).fetchall()
    return dict(rows)


def part_of(kept: Records, case: str) -> str:
    with psycopg.connect(conninfo(kept.database.app_url)) as connection:
        row = connection.execute(
            "SELECT tableoid::regclass::text FROM case_key WHERE case_id = %s", (case,)
        ).fetchone()
    assert row is not None
    return str(row[0])
