"""The tree's nodes: some stored, every other computed from those.

A proof reads at most 16 leaf hashes and 16 nodes of level 4 under each end of the tree it touches, and above level 8 each
node that it quotes: what it costs grows with the log's height alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import (
    Frontier,
    NodeLookup,
    Part,
    fold_parts,
    frontier_parts,
    inclusion_parts,
    perfect_root,
    split_hashes,
)
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.store.transaction import Where, run

STORED_LEVELS = (0, 4, *range(8, 64))
"""Levels whose nodes are kept, the leaves in their runs; any other node is made from the nearest below."""

CHECKED_LEVELS = (0, 8, 12, 16)
"""Levels that a frontier is made from where the log is to go on from it: the newest leaves count, and few rows between."""

_READ_ALONG = 16
"""Leaf hashes that nobody wants are read where there are no more of them between two that somebody does."""

_EDGES = 16
remembered_edges: dict[tuple[int, bytes], Mapping[Part, bytes]] = {}
"""The right edges of the trees last proved from, by size and root: every proof quotes one, and it is half of its cost.

INVARIANT: an edge here makes the root that it stands under. It is what that root commits to, whatever has become of the
database since; where that holds another checkpoint, it is not found. Nothing else of a tree is remembered.
"""

# Hashes from index `a` to before `b` of leaves, as runs hold them; of stored nodes a set a level, where none is missing.
# How many are asked for is hidden in a subquery: seen, it would have the planner plan each proof anew, which takes longer
# than running it.
_HASHES = """
SELECT 0, greatest(r.start, w.a), substring(r.hashes
    FROM (32 * (greatest(r.start, w.a) - r.start))::int + 1 FOR (32 * (w.b - greatest(r.start, w.a)))::int)
FROM unnest((SELECT %(starts)s::text::bigint[]), (SELECT %(ends)s::text::bigint[])) AS w(a, b)
CROSS JOIN LATERAL (
    SELECT start, hashes FROM sealed_run
    WHERE start >= coalesce((SELECT max(start) FROM sealed_run WHERE start <= w.a), w.a) AND start < w.b
) AS r
UNION ALL
SELECT w.level, 0, n.hashes
FROM unnest((SELECT %(levels)s::text::smallint[]), (SELECT %(sets)s::text::text[])) AS w(level, indices)
CROSS JOIN LATERAL (
    SELECT string_agg(hash, ''::bytea ORDER BY index) AS hashes FROM tree_node
    WHERE level = w.level AND index = ANY(w.indices::bigint[])
    HAVING count(*) = cardinality(w.indices::bigint[])
) AS n
"""


async def load_nodes(
    where: Where, wanted: Iterable[Part], made_from: Sequence[int] = STORED_LEVELS
) -> NodeLookup:
    """Return a lookup that answers for the wanted nodes, (level, index), each of a perfect subtree; one statement.

    A node is made from those of the next lower of the levels `made_from`, all of which are stored; the first is 0.

    Raises:
        KeyError: from the lookup, for a node that the log does not hold.
    """
    below = _below(tuple(made_from))
    leaves: list[tuple[int, int]] = []
    sets: dict[int, set[int]] = {}
    for level, index in wanted:
        base = below[level]
        if base:
            width = level - base
            sets.setdefault(base, set()).update(range(index << width, (index + 1) << width))
        else:
            leaves.append((index << level, (index + 1) << level))
    stored = await _load(where, _joined(leaves), {level: sorted(sets[level]) for level in sets})

    def lookup(level: int, index: int) -> bytes:
        base = below[level]
        row = stored[base]
        if level == base:
            return row[index]
        width = level - base
        return perfect_root([row[i] for i in range(index << width, (index + 1) << width)])

    return lookup


async def load_inclusion_proof(where: Where, index: int, under: StoredCheckpoint) -> tuple[bytes, ...]:
    """Return the audit path of a leaf under a checkpoint, the leaf's sibling first; as `load_inclusion_proofs`."""
    return (await load_inclusion_proofs(where, (index,), under))[0]


async def load_inclusion_proofs(
    where: Where, indices: Sequence[int], under: StoredCheckpoint
) -> tuple[tuple[bytes, ...], ...]:
    """Return the audit path of each leaf under a checkpoint, the leaf's sibling first; one statement.

    Raises:
        KeyError: when the log does not hold a node of it; ValueError: when there is no such leaf.
    """
    proofs = [inclusion_parts(index, under.size) for index in indices]
    wanted = {part: None for proof in proofs for sibling in proof for part in sibling}
    edge = remembered_edges.get((under.size, under.root))
    if edge is None:
        nodes = await load_nodes(where, wanted | dict.fromkeys(frontier_parts(under.size)))
        _remember(under, nodes)
        return tuple(fold_parts(proof, nodes) for proof in proofs)
    others = await load_nodes(where, [part for part in wanted if part not in edge])

    def node(level: int, index: int) -> bytes:
        return edge.get((level, index)) or others(level, index)

    return tuple(fold_parts(proof, node) for proof in proofs)


async def load_stored_nodes(connection: AsyncConnection) -> dict[tuple[int, int], bytes]:
    """Return every stored node of the levels above the leaves, (level, index) -> hash."""
    rows = await run(connection, "SELECT level, index, hash FROM tree_node", {})
    return {(level, index): bytes(hash_) for level, index, hash_ in rows}


async def _load(
    where: Where, leaves: Collection[tuple[int, int]], sets: dict[int, list[int]]
) -> dict[int, dict[int, bytes]]:
    """Return hashes by level and index: of ranges of leaves, and of nodes of levels above, their indices in order."""
    if not leaves and not sets:
        return {}
    # Arrays as they are written: the driver takes a multiple of the time to write them from lists.
    asked = {
        "starts": _array(start for start, _ in leaves),
        "ends": _array(end for _, end in leaves),
        "levels": _array(sets),
        "sets": _array(f'"{_array(indices)}"' for indices in sets.values()),
    }
    stored: dict[int, dict[int, bytes]] = {0: {}, **{level: {} for level in sets}}
    for level, first, hashes in await run(where, _HASHES, asked):
        split = split_hashes(hashes)
        stored[level].update(
            zip(sets[level] if level else range(first, first + len(split)), split, strict=True)
        )
    return stored


def _remember(under: StoredCheckpoint, nodes: NodeLookup) -> None:
    """Remember a tree's right edge, unless it has holes or does not make the root that the checkpoint signed."""
    try:
        edge = {part: nodes(*part) for part in frontier_parts(under.size)}
    except KeyError:
        return
    if Frontier(under.size, tuple(edge.values())).root() != under.root:
        return
    while len(remembered_edges) >= _EDGES:
        del remembered_edges[next(iter(remembered_edges))]
    remembered_edges[under.size, under.root] = edge


@cache
def _below(levels: tuple[int, ...]) -> tuple[int, ...]:
    """Return for each level the next of `levels` at or below it."""
    return tuple(max(kept for kept in levels if kept <= level) for level in range(64))


def _array(members: Iterable[int | str]) -> str:
    return f"{{{','.join(map(str, members))}}}"


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges that touch, or nearly do, as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + _READ_ALONG:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
