"""The audit log in the database: numbering what is pending, reading it in order, the tree's stored nodes, checkpoints.

Stored are the leaves' hashes, a row a round (`sealed_run`), and the tree's nodes at levels 8, 12 and 16; every other node
is computed from those. All but `pending` is insert-only. Whoever seals holds the log until the transaction ends.

What is read is not believed: a run that says more or other than its entries do is handed on as it stands, an entry gone
or a hash too few included, and whoever asked refuses it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain, islice, zip_longest

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import Node, NodeLookup
from arbiter.store.tables import checkpoint, entry, pending, sealed_run, tree_node
from arbiter.store.transaction import DirectConnection, Where, driver_connection, run

STORED_LEVELS = (0, 8, 12, 16)
_HASH_BYTES = 32

# A plan made while the tables were small, and kept, must not read them whole once they have grown. A round's entries are
# sorted in memory.
_HOLD_LOG = """
SELECT pg_advisory_xact_lock(7165069801), set_config('enable_seqscan', 'off', true), set_config('work_mem', '64MB', true)
"""

# The array keeps the plan a TID scan whatever the planner believed of `pending` when it cached the statement.
_NUMBER_PENDING = """
WITH taken AS (
    DELETE FROM pending
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM pending ORDER BY entry_id LIMIT %(limit)s))
    RETURNING entry_id
), hashed AS MATERIALIZED (
    SELECT id, sha256('\\x00'::bytea || body) AS hash FROM entry WHERE id = ANY(ARRAY(SELECT entry_id FROM taken))
)
INSERT INTO sealed_run (start, ids, hashes)
SELECT (SELECT coalesce(max(size), 0) FROM checkpoint), range_agg(int8range(id, id + 1)), string_agg(hash, ''::bytea ORDER BY id)
FROM hashed HAVING count(*) > 0
"""
_NEWEST = "SELECT size, root, note, sealed_at FROM checkpoint ORDER BY size DESC LIMIT 1"
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
_FIRST_RUN = "SELECT coalesce(max(start), 0) FROM sealed_run WHERE start <= %(start)s"
_RUNS = """
SELECT start, ARRAY(SELECT lower(s) FROM unnest(ids) AS s), ARRAY(SELECT upper(s) FROM unnest(ids) AS s), hashes
FROM sealed_run, (SELECT min(start) AS first FROM sealed_run WHERE start >= %(from)s) AS next
WHERE start >= first AND start < first + %(batch)s ORDER BY start
"""
_ENTRIES = "SELECT id, body FROM entry WHERE id = ANY(%(ids)s)"
# Hashes from index `a` to before `b`: of leaves where runs hold them, of stored nodes where none is missing between.
_HASHES = """
SELECT 0, greatest(r.start, w.a), substring(r.hashes
    FROM (32 * (greatest(r.start, w.a) - r.start))::int + 1 FOR (32 * (w.b - greatest(r.start, w.a)))::int)
FROM unnest(%(levels)s::int[], %(starts)s::bigint[], %(ends)s::bigint[]) AS w(level, a, b)
CROSS JOIN LATERAL (
    SELECT start, hashes FROM sealed_run
    WHERE start >= coalesce((SELECT max(start) FROM sealed_run WHERE start <= w.a), w.a) AND start < w.b
) AS r
WHERE w.level = 0
UNION ALL
SELECT w.level, w.a, n.hashes
FROM unnest(%(levels)s::int[], %(starts)s::bigint[], %(ends)s::bigint[]) AS w(level, a, b)
CROSS JOIN LATERAL (
    SELECT string_agg(hash, ''::bytea ORDER BY index) AS hashes FROM tree_node
    WHERE level = w.level AND index >= w.a AND index < w.b HAVING count(*) = w.b - w.a
) AS n
WHERE w.level > 0
"""

# An entry `e` of the chain named by an SQL expression, and the leaf index of an entry `e` in its run `r`.
OF_CHAIN = (
    "e.chain = arbiter_chain({0}) AND position(decode('\"case\":\"' || {0} || '\"', 'escape') IN e.body) > 0"
)
INDEX_IN_RUN = """
r.start + (SELECT coalesce(sum(upper(s) - lower(s)), 0) FROM unnest(r.ids * int8multirange(int8range(NULL, e.id))) AS s)
"""

# The id first and by itself: joined, a plan could read the entries whole.
_LEAF_BODY = """
SELECT body FROM entry WHERE id = (
    SELECT i.id FROM (
        SELECT start, ids FROM sealed_run WHERE start <= %(index)s ORDER BY start DESC LIMIT 1
    ) AS r CROSS JOIN LATERAL (
        SELECT generate_series(lower(s), upper(s) - 1) AS id FROM unnest(r.ids) AS s
        ORDER BY 1 OFFSET %(index)s - r.start LIMIT 1
    ) AS i
)
"""
_CHAIN_PAGE = f"""
SELECT e.seq, e.body, {INDEX_IN_RUN}
FROM entry AS e LEFT JOIN sealed_run AS r ON r.ids @> e.id
WHERE {OF_CHAIN.format("%(chain)s::text")} AND e.seq > %(after)s ORDER BY e.seq, e.id LIMIT %(limit)s
"""  # noqa: S608 - the pieces stand above


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


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as kept: size and root hash of the tree, the signed note, when it was sealed."""

    size: int
    root: bytes
    note: str
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf with the entry it stands for: the entry None where it is gone, the hash empty where there is none."""

    index: int
    hash: bytes
    body: bytes | None


async def hold_log(where: Where) -> StoredCheckpoint | None:
    """Hold the log until the transaction ends: nobody seals meanwhile. Return the newest checkpoint."""
    await run(where, _HOLD_LOG, {})
    rows = await run(where, _NEWEST, {})
    return StoredCheckpoint(*rows[0]) if rows else None


async def number_pending(
    connection: DirectConnection, limit: int
) -> tuple[StoredCheckpoint | None, tuple[StoredLeaf, ...]]:
    """Hold the log until the transaction ends and give the oldest pending entries the leaf indices that follow.

    Returns the newest checkpoint and, read again from the tables, every leaf beyond it in order.
    """
    await connection.execute(_HOLD_LOG)
    await connection.execute(_NUMBER_PENDING, {"limit": limit})
    return await _numbered(connection)


async def number_one(
    connection: DirectConnection, chain: str, seq: int
) -> tuple[StoredCheckpoint | None, tuple[StoredLeaf, ...]]:
    """Give the leaf index that follows to one pending entry, before all that wait with it; return as `number_pending`."""
    await connection.execute(_HOLD_LOG)
    await connection.execute(_NUMBER_ONE, {"chain": chain, "seq": seq})
    return await _numbered(connection)


async def _numbered(
    connection: DirectConnection,
) -> tuple[StoredCheckpoint | None, tuple[StoredLeaf, ...]]:
    newest = await connection.execute(_NEWEST)
    runs = await connection.execute(_UNCOVERED_RUNS, binary=True)
    entries = await connection.execute(_UNCOVERED_ENTRIES, binary=True)
    row = await newest.fetchone()
    bodies: dict[int, list[bytes]] = {}
    for start, body in await entries.fetchall():
        bodies.setdefault(start, []).append(body)
    return (
        None if row is None else StoredCheckpoint(*row),
        tuple(
            StoredLeaf(index, stored or b"", body)
            for start, hashes in await runs.fetchall()
            for index, (stored, body) in enumerate(zip_longest(_split(hashes), bodies.get(start, ())), start)
        ),
    )


async def add_checkpoint(
    connection: DirectConnection, sealed: StoredCheckpoint, completed: Sequence[Node]
) -> None:
    """Store a checkpoint, and the nodes of levels 8, 12 and 16 that the tree completed under it."""
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
) -> AsyncGenerator[tuple[tuple[int, bytes | None, bytes], ...]]:
    """Yield the log from `start` in order as (index, entry bytes or None where the entry is gone, stored leaf hash).

    The hash is empty where a run names one entry more than it has hashes.
    """
    following = (await run(connection, _FIRST_RUN, {"start": start}))[0][0]
    while True:
        runs = await run(connection, _RUNS, {"from": following, "batch": batch})
        if not runs:
            return
        places = [
            (index, entry_id, stored)
            for first, lowers, uppers, hashes in runs
            for index, entry_id, stored in _places(first, lowers, uppers, hashes)
            if index >= start
        ]
        for begin in range(0, len(places), batch):
            yield await _with_bodies(connection, places[begin : begin + batch])
        following = runs[-1][0] + 1


async def _with_bodies(
    connection: AsyncConnection, places: Sequence[tuple[int, int | None, bytes]]
) -> tuple[tuple[int, bytes | None, bytes], ...]:
    raw: DirectConnection = await driver_connection(connection)
    found = await raw.execute(_ENTRIES, {"ids": [entry_id for _, entry_id, _ in places]}, binary=True)
    bodies: dict[int | None, bytes] = dict(await found.fetchall())
    return tuple((index, bodies.get(entry_id), stored) for index, entry_id, stored in places)


def _places(
    start: int, lowers: Sequence[int | None], uppers: Sequence[int | None], hashes: bytes
) -> Iterator[tuple[int, int | None, bytes]]:
    """Yield a run's leaves as (index, id of the entry or None, hash), and at most one id that has no hash."""
    ids = chain.from_iterable(
        range(lower, upper)
        for lower, upper in zip(lowers, uppers, strict=True)
        if lower is not None and upper is not None
    )
    split = _split(hashes)
    for index, (entry_id, stored) in enumerate(zip_longest(islice(ids, len(split) + 1), split), start):
        yield index, entry_id, stored or b""


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + _HASH_BYTES] for at in range(0, len(hashes), _HASH_BYTES)]


async def load_leaves_from(
    connection: AsyncConnection, start: int, limit: int
) -> tuple[tuple[int, bytes | None], ...]:
    """Return at most `limit` leaves from index `start` on, as (index, entry bytes or None where the entry is gone)."""
    rows: list[tuple[int, bytes | None]] = []
    async with aclosing(stream_leaves(connection, limit, start)) as batches:
        async for batch in batches:
            rows.extend((index, body) for index, body, _ in batch)
            if len(rows) >= limit:
                break
    return tuple(rows[:limit])


async def load_leaf_body(connection: AsyncConnection, index: int) -> bytes | None:
    """Return the entry bytes of one leaf, None where there is no such leaf or its entry is gone; one statement.

    Reads no run's hashes, so that halving a log of long runs stays cheap.
    """
    rows = await run(connection, _LEAF_BODY, {"index": index})
    return bytes(rows[0][0]) if rows else None


async def load_chain_entry(
    connection: AsyncConnection, chain_name: str, seq: int
) -> tuple[bytes, int | None] | None:
    """Return one entry of a chain (a case's) as (bytes, leaf index or None while pending), None where there is none."""
    rows = await load_chain_page(connection, chain_name, seq - 1, 1)
    return (rows[0][1], rows[0][2]) if rows and rows[0][0] == seq else None


async def load_chain_page(
    connection: AsyncConnection, chain_name: str, after: int, limit: int
) -> tuple[tuple[int, bytes, int | None], ...]:
    """Return at most `limit` of a chain's entries after `after`, as `load_entries` does."""
    if not chain_name.isascii() or "\\" in chain_name:
        return ()  # No entry can spell it, and PostgreSQL's `decode` would stumble over it.
    rows = await run(connection, _CHAIN_PAGE, {"chain": chain_name, "after": after, "limit": limit})
    return tuple((seq, bytes(body), None if place is None else int(place)) for seq, body, place in rows)


async def load_checkpoint_from(connection: AsyncConnection, size: int) -> StoredCheckpoint | None:
    """Return the smallest checkpoint of at least `size` leaves: the first that covered leaf `size - 1`."""
    row = (
        await connection.execute(
            select(checkpoint).where(checkpoint.c.size >= size).order_by(checkpoint.c.size).limit(1)
        )
    ).one_or_none()
    return None if row is None else StoredCheckpoint(row.size, row.root, row.note, row.sealed_at)


async def load_seals(connection: AsyncConnection, size: int, limit: int) -> tuple[tuple[int, datetime], ...]:
    """Return (size, when it was sealed) of at most `limit` checkpoints of at least `size` leaves, smallest first."""
    rows = await connection.execute(
        select(checkpoint.c.size, checkpoint.c.sealed_at)
        .where(checkpoint.c.size >= size)
        .order_by(checkpoint.c.size)
        .limit(limit)
    )
    return tuple((row.size, row.sealed_at) for row in rows)


async def measure_tables(connection: AsyncConnection) -> tuple[tuple[str, int], ...]:
    """Return the bytes that each of the log's tables takes on disk, indexes included."""
    tables = (entry, pending, sealed_run, tree_node, checkpoint)
    sizes = [func.pg_total_relation_size(table.name).label(table.name) for table in tables]
    row = (await connection.execute(select(*sizes))).one()
    return tuple(zip((table.name for table in tables), row, strict=True))


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


async def stream_checkpoints(
    connection: AsyncConnection, batch: int, up_to: int
) -> AsyncGenerator[tuple[StoredCheckpoint, ...]]:
    """Yield the checkpoints of at most `up_to` leaves, smallest first, some at a time."""
    last = -1
    while True:
        rows = (
            await connection.execute(
                select(checkpoint)
                .where(checkpoint.c.size > last, checkpoint.c.size <= up_to)
                .order_by(checkpoint.c.size)
                .limit(batch)
            )
        ).all()
        if not rows:
            return
        yield tuple(StoredCheckpoint(row.size, row.root, row.note, row.sealed_at) for row in rows)
        last = rows[-1].size


async def count_pending(connection: AsyncConnection) -> tuple[int, datetime | None]:
    """Return how many entries wait to be sealed and since when the oldest does."""
    row = (await connection.execute(select(func.count(), func.min(pending.c.queued_at)))).one()
    return row[0], row[1]


async def load_nodes(where: Where, wanted: Iterable[tuple[int, int]]) -> NodeLookup:
    """Return a lookup that answers for the wanted nodes, (level, index), each of a perfect subtree; one statement.

    Raises:
        KeyError: from the lookup, for a node that the log does not hold.
    """
    spans = {(level, index): _span(level, index) for level, index in wanted}
    ranges = [
        (base, start, end)
        for base in {base for base, _, _ in spans.values()}
        for start, end in _joined((start, end) for at, start, end in spans.values() if at == base)
    ]
    asked = {
        "levels": [base for base, _, _ in ranges],
        "starts": [start for _, start, _ in ranges],
        "ends": [end for _, _, end in ranges],
    }
    stored: dict[tuple[int, int], bytes] = {}
    for base, first, hashes in await run(where, _HASHES, asked) if ranges else ():
        stored.update({(base, first + place): hash_ for place, hash_ in enumerate(_split(hashes))})

    def lookup(level: int, index: int) -> bytes:
        base, start, end = spans[level, index]
        return _root_of([stored[base, i] for i in range(start, end)])

    return lookup


async def load_stored_nodes(connection: AsyncConnection) -> dict[tuple[int, int], bytes]:
    """Return every stored node of the levels above the leaves, (level, index) -> hash."""
    rows = await run(connection, "SELECT level, index, hash FROM tree_node", {})
    return {(level, index): bytes(hash_) for level, index, hash_ in rows}


def _root_of(row: list[bytes]) -> bytes:
    """Return the root over the nodes of one level of a perfect subtree."""
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return row[0]


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _span(level: int, index: int) -> tuple[int, int, int]:
    """Return the stored level below a node and the range of indices there that the node covers."""
    base = max(stored for stored in STORED_LEVELS if stored <= level)
    width = level - base
    return base, index << width, (index + 1) << width
