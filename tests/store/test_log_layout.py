"""The log's tables: one carried over from the release before, and what a round writes read back in every way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from itertools import pairwise
from random import Random

import psycopg
import pytest
import pytest_asyncio
from alembic import command
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.entry import Entry
from arbiter.audit.merkle import root_of
from arbiter.audit.verify import LogRefusedError, LogVerifier
from arbiter.store import migrate
from arbiter.store.database import Database, conninfo, open_engine
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import load_checkpoints
from arbiter.store.log.leaves import stream_leaves
from arbiter.store.log.nodes import load_nodes, load_stored_nodes
from tests.audit.logs import KEYS, ExampleLog, example_log

BEFORE = "0004"
SIZES = (1, 7, 300, 301, 420)


def owner(database: Database) -> str:
    assert database.owner_url is not None
    return database.owner_url


def up_to(url: str, version: str) -> None:
    with migrate._connected(url) as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)


@pytest.fixture
def log() -> ExampleLog:
    return example_log(SIZES[-1], *SIZES)


@pytest.fixture
def of_the_release_before(empty_database: Database, log: ExampleLog) -> Database:
    """A database as 0.2.0 left it: a row a leaf, ids of entries with gaps and not all in the order of their leaves."""
    up_to(owner(empty_database), BEFORE)
    # A round takes what has committed, in the order of ids; one that committed late has a smaller id than some before.
    free = Random(4).sample(range(1, 5000), SIZES[-1])
    ids: list[int] = []
    for start, end in pairwise((0, *SIZES)):
        ids += sorted(free[start:end])
    with psycopg.connect(conninfo(owner(empty_database))) as connection:
        for entry_id, index, body, hashed in sorted(
            zip(ids, range(len(ids)), log.entries, log.leaves, strict=True)
        ):
            entry = Entry.from_bytes(body)
            connection.execute(
                "INSERT INTO entry (id, case_id, seq, body) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s)",
                (entry_id, entry.case, entry.seq, body),
            )
            connection.execute("INSERT INTO leaf VALUES (%s, %s, %s)", (index, entry_id, hashed))
        connection.execute("SELECT setval(pg_get_serial_sequence('entry', 'id'), 5000)")
        for size, note in zip(SIZES, log.notes, strict=True):
            connection.execute(
                "INSERT INTO checkpoint VALUES (%s, %s, %s, now())",
                (size, root_of(log.leaves[:size]), note.decode()),
            )
    return empty_database


@pytest_asyncio.fixture
async def carried_over(of_the_release_before: Database) -> AsyncIterator[AsyncConnection]:
    migrate.upgrade(owner(of_the_release_before))
    assert migrate.drift(owner(of_the_release_before)) == []
    engine = open_engine(of_the_release_before.app_url, pool_size=1)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def verified(connection: AsyncConnection) -> LogVerifier:
    checkpoints = [checkpoint.note.encode() for checkpoint in await load_checkpoints(connection)]
    verifier = LogVerifier(checkpoints, KEYS, kept=checkpoints[-1])
    async for batch in stream_leaves(connection, 50):
        verifier.feed(batch)
    return verifier


async def test_a_log_of_the_release_before_verifies_after_the_upgrade(
    carried_over: AsyncConnection, log: ExampleLog
) -> None:
    report = (await verified(carried_over)).finish()
    assert (report.entries, report.checkpoints, report.root) == (420, 5, root_of(log.leaves))


@pytest.mark.parametrize("start", [0, 1, 299, 300, 419, 420])
async def test_the_log_is_read_from_any_place_in_order(
    carried_over: AsyncConnection, log: ExampleLog, start: int
) -> None:
    rows = [row async for batch in stream_leaves(carried_over, 50, start) for row in batch]
    assert rows == log.rows[start:]


async def test_a_case_of_the_release_before_is_found_with_its_leaf_indices(
    carried_over: AsyncConnection, log: ExampleLog
) -> None:
    entries = [Entry.from_bytes(body) for body in log.entries]
    expected = [(e.seq, log.entries[i], i) for i, e in enumerate(entries) if e.case == "case-0001"]
    assert list(await load_entries(carried_over, "case-0001")) == expected
    assert list(await load_entries(carried_over, "case-0001", after=100)) == expected[101:]
    assert await load_entries(carried_over, "case-9999") == ()


async def test_nodes_below_level_8_come_from_the_runs(carried_over: AsyncConnection, log: ExampleLog) -> None:
    """Runs begin at 1, 7, 300 and 301: nodes that cross them, lie in one, or are one leaf."""
    wanted = [(0, 0), (0, 6), (0, 300), (1, 3), (3, 0), (3, 37), (7, 1), (2, 75), (0, 419)]
    lookup = await load_nodes(carried_over, wanted)
    for level, index in wanted:
        assert lookup(level, index) == root_of(log.leaves[index << level : (index + 1) << level])


async def test_a_node_beyond_the_log_is_a_key_error(carried_over: AsyncConnection) -> None:
    lookup = await load_nodes(carried_over, [(0, 420), (3, 52)])
    for level, index in [(0, 420), (3, 52)]:
        with pytest.raises(KeyError):
            lookup(level, index)


async def test_entries_that_share_a_chains_number_are_told_apart(
    of_the_release_before: Database, carried_over: AsyncConnection, log: ExampleLog
) -> None:
    with psycopg.connect(conninfo(owner(of_the_release_before))) as connection:
        connection.execute(
            "INSERT INTO entry (chain, seq, body) SELECT arbiter_chain('case-0001'), 200, body FROM entry "
            "WHERE chain = arbiter_chain('case-0002')"
        )
    found = await load_entries(carried_over, "case-0001")
    assert {Entry.from_bytes(body).case for _, body, _ in found} == {"case-0001"}
    assert len(found) == sum(Entry.from_bytes(body).case == "case-0001" for body in log.entries)


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("DELETE FROM leaf WHERE index = 33", "entry 33 missing: came entry 34"),
        ("DELETE FROM entry WHERE id = (SELECT entry_id FROM leaf WHERE index = 5)", "entry 5 is gone"),
        ("UPDATE leaf SET hash = sha256('x') WHERE index = 310", "entry 310: its bytes do not hash"),
        ("UPDATE leaf SET entry_id = -entry_id WHERE index = 20", "entry 20 is gone"),
    ],
)
async def test_what_was_tampered_with_before_the_upgrade_is_named_after_it(
    of_the_release_before: Database, tampering: str, named: str
) -> None:
    with psycopg.connect(conninfo(owner(of_the_release_before))) as connection:
        connection.execute("ALTER TABLE leaf DISABLE TRIGGER ALL")
        connection.execute("ALTER TABLE entry DISABLE TRIGGER ALL")
        assert connection.execute(tampering.encode()).rowcount == 1
        connection.execute("ALTER TABLE entry ENABLE ALWAYS TRIGGER append_only")
    migrate.upgrade(owner(of_the_release_before))
    engine = open_engine(of_the_release_before.app_url, pool_size=1)
    async with engine.connect() as connection:
        with pytest.raises(LogRefusedError, match=named):
            (await verified(connection)).finish()
    await engine.dispose()


def test_the_upgrade_stores_the_nodes_above_level_8_that_are_complete(empty_database: Database) -> None:
    nodes = [sha256(b"%d" % number).digest() for number in range(50)]
    up_to(owner(empty_database), BEFORE)
    with psycopg.connect(conninfo(owner(empty_database))) as connection:
        for index, node in enumerate(nodes):
            if index != 20:
                connection.execute("INSERT INTO tree_node VALUES (8, %s, %s)", (index, node))
    migrate.upgrade(owner(empty_database))
    with psycopg.connect(conninfo(empty_database.app_url)) as connection:
        found = connection.execute(
            "SELECT level, index, hash FROM tree_node WHERE level > 8 ORDER BY level, index"
        ).fetchall()
    # Of the second sixteen one is missing, and with it every node over it; of the last there are two.
    assert found == [
        (level, index, root_of(nodes[index << level - 8 : (index + 1) << level - 8]))
        for level, without, count in ((9, 10, 25), (10, 5, 12), (11, 2, 6), (12, 1, 3))
        for index in range(count)
        if index != without
    ]


async def test_the_upgrade_stores_the_nodes_of_level_4_from_runs_of_any_length(
    carried_over: AsyncConnection, log: ExampleLog
) -> None:
    found = await load_stored_nodes(carried_over)
    sixteens = range(SIZES[-1] // 16)
    assert {index: hash_ for (level, index), hash_ in found.items() if level == 4} == {
        index: root_of(log.leaves[16 * index : 16 * (index + 1)]) for index in sixteens
    }


def test_the_upgrade_makes_no_node_over_a_leaf_that_is_gone(of_the_release_before: Database) -> None:
    with psycopg.connect(conninfo(owner(of_the_release_before))) as connection:
        connection.execute("ALTER TABLE leaf DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM leaf WHERE index = 33")
    migrate.upgrade(owner(of_the_release_before))
    with psycopg.connect(conninfo(of_the_release_before.app_url)) as connection:
        found = connection.execute("SELECT index FROM tree_node WHERE level = 4 ORDER BY index").fetchall()
    assert [index for (index,) in found] == [index for index in range(SIZES[-1] // 16) if index != 2]
