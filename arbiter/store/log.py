"""The audit log in the database: numbering what is pending, the tree's stored nodes, checkpoints.

Stored are the leaves' hashes and the tree's nodes at levels 8 and 16; every other node is computed from those.
All but `pending` is insert-only. Whoever seals holds `hold_log` until the transaction ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import Node, NodeLookup, root_of
from arbiter.store.tables import checkpoint, entry, leaf, pending, tree_node
from arbiter.store.transaction import DirectConnection

STORED_LEVELS = (0, 8, 16)
_HOLD_LOG = "SELECT pg_advisory_xact_lock(7165069801)"

# The array keeps the plan a TID scan whatever the planner believed of `pending` when it cached the statement.
_NUMBER_PENDING = """
WITH taken AS (
    DELETE FROM pending
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM pending ORDER BY entry_id LIMIT %(limit)s))
    RETURNING entry_id
), numbered AS (
    SELECT e.id, e.body, row_number() OVER (ORDER BY e.id) - 1 AS place
    FROM entry AS e JOIN taken ON taken.entry_id = e.id
)
INSERT INTO leaf (index, entry_id, hash)
SELECT (SELECT coalesce(max(size), 0) FROM checkpoint) + place, id, sha256('\\x00'::bytea || body) FROM numbered
"""
_NEWEST = "SELECT size, root, note, sealed_at FROM checkpoint ORDER BY size DESC LIMIT 1"
_UNCOVERED = """
SELECT l.index, l.hash, e.body FROM leaf AS l JOIN entry AS e ON e.id = l.entry_id
WHERE l.index >= (SELECT coalesce(max(size), 0) FROM checkpoint) ORDER BY l.index
"""
_ADD_CHECKPOINT = "INSERT INTO checkpoint (size, root, note, sealed_at) VALUES (%(size)s, %(root)s, %(note)s, %(sealed_at)s)"
_ADD_NODES = """
INSERT INTO tree_node (level, index, hash)
SELECT * FROM unnest(%(levels)s::smallint[], %(indices)s::bigint[], %(hashes)b::bytea[])
"""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as kept: size and root hash of the tree, the signed note, when it was sealed."""

    size: int
    root: bytes
    note: str
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf with the entry it stands for."""

    index: int
    hash: bytes
    body: bytes


async def number_pending(
    connection: DirectConnection, limit: int
) -> tuple[StoredCheckpoint | None, tuple[StoredLeaf, ...]]:
    """Hold the log until the transaction ends and give the oldest pending entries the leaf indices that follow.

    Returns the newest checkpoint and, read again from the tables, every leaf beyond it in order.
    """
    await connection.execute(_HOLD_LOG)
    await connection.execute(_NUMBER_PENDING, {"limit": limit})
    newest = await connection.execute(_NEWEST)
    uncovered = await connection.execute(_UNCOVERED)
    row = await newest.fetchone()
    return (
        None if row is None else StoredCheckpoint(*row),
        tuple(StoredLeaf(*leaf_row) for leaf_row in await uncovered.fetchall()),
    )


async def add_checkpoint(
    connection: DirectConnection, sealed: StoredCheckpoint, completed: Sequence[Node]
) -> None:
    """Store a checkpoint, and the nodes of levels 8 and 16 that the tree completed under it."""
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


async def stream_leaves(
    connection: AsyncConnection, batch: int, start: int = 0
) -> AsyncIterator[tuple[tuple[int, bytes | None, bytes], ...]]:
    """Yield the log from `start` in order as (index, entry bytes or None where the entry is gone, stored leaf hash)."""
    while True:
        rows = (
            await connection.execute(
                select(leaf.c.index.label("place"), entry.c.body, leaf.c.hash)
                .outerjoin(entry, entry.c.id == leaf.c.entry_id)
                .where(leaf.c.index >= start)
                .order_by(leaf.c.index)
                .limit(batch)
            )
        ).all()
        if not rows:
            return
        yield tuple((row.place, row.body, row.hash) for row in rows)
        start = rows[-1].place + 1


async def load_newest_checkpoint(connection: AsyncConnection) -> StoredCheckpoint | None:
    """Return the newest checkpoint, or None when nothing was ever sealed."""
    row = (
        await connection.execute(select(checkpoint).order_by(checkpoint.c.size.desc()).limit(1))
    ).one_or_none()
    return None if row is None else StoredCheckpoint(row.size, row.root, row.note, row.sealed_at)


async def load_checkpoints(connection: AsyncConnection) -> tuple[StoredCheckpoint, ...]:
    """Return every checkpoint, smallest first."""
    rows = await connection.execute(select(checkpoint).order_by(checkpoint.c.size))
    return tuple(StoredCheckpoint(row.size, row.root, row.note, row.sealed_at) for row in rows)


async def count_pending(connection: AsyncConnection) -> tuple[int, datetime | None]:
    """Return how many entries wait to be sealed and since when the oldest does."""
    row = (await connection.execute(select(func.count(), func.min(pending.c.queued_at)))).one()
    return row[0], row[1]


async def load_nodes(connection: AsyncConnection, wanted: Iterable[tuple[int, int]]) -> NodeLookup:
    """Return a lookup that answers for the wanted nodes, (level, index), each of a perfect subtree.

    Raises:
        KeyError: from the lookup, for a node that the log does not hold.
    """
    spans = {(level, index): _span(level, index) for level, index in wanted}
    stored: dict[tuple[int, int], bytes] = {}
    for base in {base for base, _, _ in spans.values()}:
        indices = sorted({i for at, start, end in spans.values() if at == base for i in range(start, end)})
        if base == 0:
            query = select(leaf.c.index.label("place"), leaf.c.hash).where(leaf.c.index.in_(indices))
        else:
            query = select(tree_node.c.index.label("place"), tree_node.c.hash).where(
                tree_node.c.level == base, tree_node.c.index.in_(indices)
            )
        stored.update({(base, row.place): row.hash for row in await connection.execute(query)})

    def lookup(level: int, index: int) -> bytes:
        base, start, end = spans[level, index]
        return root_of([stored[base, i] for i in range(start, end)])

    return lookup


def _span(level: int, index: int) -> tuple[int, int, int]:
    """Return the stored level below a node and the range of indices there that the node covers."""
    base = min(STORED_LEVELS[-1], level - level % 8)
    width = level - base
    return base, index << width, (index + 1) << width
