"""The tree's nodes: some stored, every other computed from those."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import NodeLookup, root_of, split_hashes
from arbiter.store.transaction import Where, run

STORED_LEVELS = (0, 8, 12, 16)

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
        stored.update({(base, first + place): hash_ for place, hash_ in enumerate(split_hashes(hashes))})

    def lookup(level: int, index: int) -> bytes:
        base, start, end = spans[level, index]
        return root_of([stored[base, i] for i in range(start, end)])

    return lookup


async def load_stored_nodes(connection: AsyncConnection) -> dict[tuple[int, int], bytes]:
    """Return every stored node of the levels above the leaves, (level, index) -> hash."""
    rows = await run(connection, "SELECT level, index, hash FROM tree_node", {})
    return {(level, index): bytes(hash_) for level, index, hash_ in rows}


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
