"""Numbering what is pending, and storing the checkpoint that covers it.

Whoever seals holds the log until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import HASH_SIZE, Node, split_hashes
from arbiter.store.log.chains import OF_CHAIN
from arbiter.store.log.checkpoints import NEWEST, StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.nodes import STORED_LEVELS
from arbiter.store.tables import checkpoint, entry, pending, sealed_run, tree_node
from arbiter.store.transaction import DirectConnection, Where, run

# A plan made while the tables were small, and kept, must not read them whole once they have grown. A round's entries are
# sorted in memory.
_HOLD_LOG = """
SELECT pg_advisory_xact_lock(7165069801), set_config('enable_seqscan', 'off', true), set_config('work_mem', '64MB', true)
"""

# The array keeps the plan a TID scan whatever the planner believed of `pending` when it cached the statement.
# What was appended in bulk becomes a run of its own, hashed by its writer; the single entries before, between and behind
# such rows are a run each time. So a chain's entries keep their order: who appends to it later draws greater ids.
_NUMBER_PENDING = """
WITH taken AS (
    DELETE FROM pending
    WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM (
            SELECT ctid, sum(entries) OVER (ORDER BY entry_id ROWS UNBOUNDED PRECEDING) - entries AS before FROM (
                SELECT ctid, entry_id, coalesce(octet_length(hashes) / 32, 1) AS entries
                FROM pending ORDER BY entry_id LIMIT %(limit)s
            ) AS oldest
        ) AS counted WHERE before < %(limit)s
    ))
    RETURNING entry_id, ids, hashes
), placed AS MATERIALIZED (
    SELECT entry_id, ids, hashes, count(hashes) OVER (ORDER BY entry_id ROWS UNBOUNDED PRECEDING) AS behind FROM taken
), run AS (
    SELECT behind, false AS single, ids, hashes FROM placed WHERE hashes IS NOT NULL
    UNION ALL
    SELECT behind, true, hashed.ids, hashed.hashes
    FROM (
        SELECT behind, array_agg(entry_id) AS members FROM placed WHERE hashes IS NULL GROUP BY behind
    ) AS singles CROSS JOIN LATERAL (
        SELECT range_agg(int8range(id, id + 1)) AS ids, string_agg(hash, ''::bytea ORDER BY id) AS hashes
        FROM (
            SELECT id, sha256('\\x00'::bytea || body) AS hash FROM entry WHERE id = ANY(singles.members) OFFSET 0
        ) AS each
    ) AS hashed
    WHERE hashed.hashes IS NOT NULL
)
INSERT INTO sealed_run (start, ids, hashes)
SELECT (SELECT coalesce(max(size), 0) FROM checkpoint)
    + sum(octet_length(hashes) / 32) OVER (ORDER BY behind, single ROWS UNBOUNDED PRECEDING) - octet_length(hashes) / 32,
    ids, hashes
FROM run
"""
_NUMBER_ONE = """
WITH taken AS (
    DELETE FROM pending WHERE entry_id = (SELECT e.id FROM entry AS e WHERE {of_chain} AND e.seq = %(seq)s)
    RETURNING entry_id
), hashed AS MATERIALIZED (
    SELECT id, sha256('\\x00'::bytea || body) AS hash FROM entry WHERE id = ANY(ARRAY(SELECT entry_id FROM taken))
)
INSERT INTO sealed_run (start, ids, hashes)
SELECT (SELECT coalesce(max(size), 0) FROM checkpoint), int8multirange(int8range(id, id + 1)), hash FROM hashed
""".replace("{of_chain}", OF_CHAIN.format("%(chain)s::text"))
_UNCOVERED_RUNS = """
SELECT start, hashes FROM sealed_run WHERE start >= (SELECT coalesce(max(size), 0) FROM checkpoint) ORDER BY start
"""
_UNCOVERED_ENTRIES = """
SELECT r.start, e.body FROM sealed_run AS r CROSS JOIN LATERAL (
    SELECT id, body FROM entry
    WHERE id = ANY(ARRAY(SELECT generate_series(lower(s), upper(s) - 1) FROM unnest(r.ids) AS s))
) AS e
WHERE r.start >= (SELECT coalesce(max(size), 0) FROM checkpoint) ORDER BY r.start, e.id
"""
_ADD_CHECKPOINT = "INSERT INTO checkpoint (size, root, note, sealed_at) VALUES (%(size)s, %(root)s, %(note)s, %(sealed_at)s)"
_ADD_NODES = """
INSERT INTO tree_node (level, index, hash)
SELECT * FROM unnest(%(levels)s::smallint[], %(indices)s::bigint[], %(hashes)b::bytea[])
"""


@dataclass(frozen=True, slots=True)
class NumberedRun:
    """A sealed run beyond the newest checkpoint: its first index, its hashes, and the bytes of its entries, both in order.

    There are fewer entries than hashes where some are gone.
    """

    start: int
    hashes: bytes
    bodies: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf with the entry it stands for: the entry None where it is gone, the hash empty where there is none."""

    index: int
    hash: bytes
    body: bytes | None


async def hold_log(where: Where) -> StoredCheckpoint | None:
    """Hold the log until the transaction ends: nobody seals meanwhile. Return the newest checkpoint."""
    await run(where, _HOLD_LOG, {})
    return await load_newest_checkpoint(where)


async def number_pending(
    connection: DirectConnection, limit: int
) -> tuple[StoredCheckpoint | None, tuple[NumberedRun, ...]]:
    """Hold the log until the transaction ends and give the oldest pending entries the leaf indices that follow.

    Takes `limit` entries, or up to a bulk's more. Returns the newest checkpoint and, read again from the tables, every run
    beyond it in order.
    """
    await connection.execute(_HOLD_LOG)
    await connection.execute(_NUMBER_PENDING, {"limit": limit})
    return await _numbered(connection)


async def number_one(
    connection: DirectConnection, chain: str, seq: int
) -> tuple[StoredCheckpoint | None, tuple[StoredLeaf, ...]]:
    """Give the leaf index that follows to one pending entry, before all that wait with it.

    Returns the newest checkpoint and, read again from the tables, every leaf beyond it in order.
    """
    await connection.execute(_HOLD_LOG)
    await connection.execute(_NUMBER_ONE, {"chain": chain, "seq": seq})
    newest, runs = await _numbered(connection)
    return newest, tuple(
        StoredLeaf(index, stored or b"", body)
        for run in runs
        for index, (stored, body) in enumerate(zip_longest(split_hashes(run.hashes), run.bodies), run.start)
    )


async def _numbered(
    connection: DirectConnection,
) -> tuple[StoredCheckpoint | None, tuple[NumberedRun, ...]]:
    newest = await connection.execute(NEWEST)
    runs = await connection.execute(_UNCOVERED_RUNS, binary=True)
    entries = await connection.execute(_UNCOVERED_ENTRIES, binary=True)
    row = await newest.fetchone()
    bodies: dict[int, list[bytes]] = {}
    for start, body in await entries.fetchall():
        bodies.setdefault(start, []).append(body)
    return (
        None if row is None else StoredCheckpoint(*row),
        tuple(NumberedRun(start, hashes, bodies.get(start, ())) for start, hashes in await runs.fetchall()),
    )


async def add_checkpoint(
    connection: DirectConnection, sealed: StoredCheckpoint, completed: Sequence[Node]
) -> None:
    """Store a checkpoint, and the nodes of the stored levels that the tree completed under it."""
    kept = [node for node in completed if node.level in STORED_LEVELS]
    if kept:
        await connection.execute(
            _ADD_NODES,
            {
                "levels": [node.level for node in kept],
                "indices": [node.index for node in kept],
                "hashes": [node.hash for node in kept],
            },
        )
    await connection.execute(
        _ADD_CHECKPOINT,
        {"size": sealed.size, "root": sealed.root, "note": sealed.note, "sealed_at": sealed.sealed_at},
    )


async def count_pending(connection: AsyncConnection) -> tuple[int, datetime | None]:
    """Return how many entries wait to be sealed and since when the oldest does."""
    entries = func.coalesce(func.octet_length(pending.c.hashes) / HASH_SIZE, 1)
    row = (
        await connection.execute(select(func.coalesce(func.sum(entries), 0), func.min(pending.c.queued_at)))
    ).one()
    return int(row[0]), row[1]


async def measure_tables(connection: AsyncConnection) -> tuple[tuple[str, int], ...]:
    """Return the bytes that each of the log's tables takes on disk, indexes included."""
    tables = (entry, pending, sealed_run, tree_node, checkpoint)
    sizes = [func.pg_total_relation_size(table.name).label(table.name) for table in tables]
    row = (await connection.execute(select(*sizes))).one()
    return tuple(zip((table.name for table in tables), row, strict=True))
