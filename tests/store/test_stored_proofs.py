"""Inclusion proofs from the log's tables: the RFC's for every leaf, and what becomes of them when the tables are edited.

The log is cut into runs of every length, so that what a proof reads lies in one run, across several, or between two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import cache
from random import Random

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import Frontier, leaf_hash, root_of, verify_inclusion
from arbiter.errors import VerificationError
from arbiter.store.database import Database, open_engine
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.store.log.nodes import (
    STORED_LEVELS,
    load_inclusion_proof,
    load_inclusion_proofs,
    load_nodes,
    remembered_edges,
)
from tests.audit import naive
from tests.conftest import an_insider

SIZE = 4_411
LEAVES = tuple(leaf_hash(b"%d" % number) for number in range(SIZE))
# Powers of two and their neighbours, a tree whose right edge is ragged at every level, and the whole.
SIZES = (1, 2, 15, 16, 17, 255, 256, 257, 511, 1024, 4095, 4096, 4097, SIZE)


@cache
def under(size: int) -> StoredCheckpoint:
    return StoredCheckpoint(size, root_of(LEAVES[:size]), "", datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    remembered_edges.clear()
    yield
    remembered_edges.clear()


def fill(connection: psycopg.Connection) -> None:
    """Store the tree as rounds do: runs of 1 to 700 leaves, and the nodes that each completes."""
    chance, start = Random(7), 0
    frontier = Frontier()
    while start < SIZE:
        leaves = LEAVES[start : start + chance.choice((1, 2, 6, 6, 6, 31, 130, 700))]
        extension = frontier.extend(leaves)
        connection.execute(
            "INSERT INTO sealed_run VALUES (%s, int8multirange(int8range(%s, %s)), %s)",
            (start, start, start + len(leaves), b"".join(leaves)),
        )
        for node in extension.nodes:
            if node.level in STORED_LEVELS:
                connection.execute(
                    "INSERT INTO tree_node VALUES (%s, %s, %s)", (node.level, node.index, node.hash)
                )
        frontier, start = extension.frontier, start + len(leaves)


@pytest.fixture
def insider(server: EmbeddedPostgres, database: Database) -> Iterator[psycopg.Connection]:
    with an_insider(server, database) as connection:
        with connection.transaction():
            fill(connection)
        for table in ("tree_node", "sealed_run"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        yield connection


@pytest_asyncio.fixture
async def stored(insider: psycopg.Connection, database: Database) -> AsyncIterator[AsyncConnection]:
    engine = open_engine(database.app_url, pool_size=1)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection
    await engine.dispose()


def changed(insider: psycopg.Connection, statement: str) -> None:
    assert insider.execute(statement.encode()).rowcount > 0


async def test_every_proof_from_the_tables_is_the_rfcs(stored: AsyncConnection) -> None:
    for size in SIZES:
        chance = Random(size)
        indices = {0, size - 1, size // 2, *chance.choices(range(size), k=12)}
        for index in sorted(indices):
            remembered_edges.clear()
            expected = tuple(naive.path(index, list(LEAVES[:size])))
            # First with nothing remembered, then with the edge that the first left.
            assert await load_inclusion_proof(stored, index, under(size)) == expected
            assert (size, under(size).root) in remembered_edges
            assert await load_inclusion_proof(stored, index, under(size)) == expected
            verify_inclusion(LEAVES[index], index, size, expected, under(size).root)


async def test_many_proofs_at_once_are_the_proofs_one_by_one(stored: AsyncConnection) -> None:
    indices = Random(3).choices(range(SIZE), k=40)
    one_by_one = [await load_inclusion_proof(stored, index, under(SIZE)) for index in indices]
    assert list(await load_inclusion_proofs(stored, indices, under(SIZE))) == one_by_one
    remembered_edges.clear()
    assert list(await load_inclusion_proofs(stored, indices, under(SIZE))) == one_by_one
    assert await load_inclusion_proofs(stored, (), under(SIZE)) == ()


async def test_every_node_is_found_or_made_from_those_below_it(stored: AsyncConnection) -> None:
    wanted = [
        (level, index) for level in range(13) for index in {0, (SIZE >> level) // 2, (SIZE >> level) - 1}
    ]
    lookup = await load_nodes(stored, wanted)
    for level, index in wanted:
        assert lookup(level, index) == root_of(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize("index", [-1, SIZE, SIZE + 1])
async def test_there_is_no_proof_of_a_leaf_that_is_not_there(stored: AsyncConnection, index: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        await load_inclusion_proof(stored, index, under(SIZE))


@pytest.mark.parametrize(
    "gone",
    [
        "tree_node WHERE level = 4 AND index = 63",
        "tree_node WHERE level = 8 AND index = 2",
        "tree_node WHERE level = 11 AND index = 1",
        "sealed_run WHERE start = (SELECT max(start) FROM sealed_run WHERE start <= 1001)",
    ],
)
@pytest.mark.parametrize("edge_known", [True, False])
async def test_a_hole_where_a_proof_reads_is_a_key_error(
    stored: AsyncConnection, insider: psycopg.Connection, gone: str, *, edge_known: bool
) -> None:
    if edge_known:
        await load_inclusion_proof(stored, 1000, under(SIZE))
    changed(insider, f"DELETE FROM {gone}")
    with pytest.raises(KeyError):
        await load_inclusion_proof(stored, 1000, under(SIZE))


@pytest.mark.parametrize(
    "edited",
    [
        "tree_node SET hash = sha256('x') WHERE level = 4 AND index = 60",
        "tree_node SET hash = sha256('x') WHERE level = 8 AND index = 2",
        "tree_node SET hash = sha256('x') WHERE level = 12 AND index = 0",
        "sealed_run SET hashes = substring(hashes FROM 1 FOR octet_length(hashes) - 32) || sha256('x') WHERE start = (SELECT max(start) FROM sealed_run)",
    ],
)
async def test_a_proof_from_an_edited_tree_is_refused_and_nothing_of_it_remembered(
    stored: AsyncConnection, insider: psycopg.Connection, edited: str
) -> None:
    changed(insider, f"UPDATE {edited}")
    index = 4200 if "level = 12" in edited else 1000
    proof = await load_inclusion_proof(stored, index, under(SIZE))
    with pytest.raises(VerificationError, match="does not lead to the root"):
        verify_inclusion(LEAVES[index], index, SIZE, proof, under(SIZE).root)
    for edge in remembered_edges.values():
        assert Frontier(SIZE, tuple(edge.values())).root() == under(SIZE).root


async def test_what_is_remembered_of_one_tree_is_never_shown_under_another(
    stored: AsyncConnection, insider: psycopg.Connection
) -> None:
    """The database is swapped under a running service for one whose log has another last entry."""
    await load_inclusion_proof(stored, 1000, under(SIZE))
    other = (*LEAVES[:-1], leaf_hash(b"another"))
    size, root = SIZE, root_of(other)
    last = "substring(hashes FROM 1 FOR octet_length(hashes) - 32) || decode('{}', 'hex')"
    changed(
        insider,
        f"UPDATE sealed_run SET hashes = {last.format(other[-1].hex())} WHERE start = (SELECT max(start) FROM sealed_run)",
    )
    nodes = {(node.level, node.index): node.hash for node in Frontier().extend(other).nodes}
    for (level, index), hash_ in nodes.items():
        insider.execute(
            "UPDATE tree_node SET hash = %s WHERE (level, index) = (%s, %s)", (hash_, level, index)
        )
    swapped = StoredCheckpoint(size, root, "", under(SIZE).sealed_at)
    proof = await load_inclusion_proof(stored, 1000, swapped)
    verify_inclusion(other[1000], 1000, size, proof, root)
    with pytest.raises(VerificationError, match="does not lead to the root"):
        verify_inclusion(LEAVES[1000], 1000, SIZE, proof, under(SIZE).root)


async def test_what_is_remembered_has_a_bound(stored: AsyncConnection) -> None:
    for size in range(1000, 1100):
        await load_inclusion_proof(stored, 5, under(size))
    assert {size for size, _ in remembered_edges} == set(range(1084, 1100))
