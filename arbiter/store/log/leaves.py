"""The log in its order: places with the entries that they stand for.

A run that says more or other than its entries do is handed on as it stands, an entry gone or a hash too few included.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import chain, islice, pairwise

from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.audit.merkle import split_hashes
from arbiter.store.transaction import DirectConnection, driver_connection, run

_FIRST_RUN = "SELECT coalesce(max(start), 0) FROM sealed_run WHERE start <= %(start)s"
_RUNS = """
SELECT start, ARRAY(SELECT lower(s) FROM unnest(ids) AS s), ARRAY(SELECT upper(s) FROM unnest(ids) AS s), hashes
FROM sealed_run, (SELECT min(start) AS first FROM sealed_run WHERE start >= %(from)s) AS next
WHERE start >= first AND start < first + %(batch)s ORDER BY start
"""
# Spans and not ids, because the driver takes as long to write an id as to read an entry.
_ENTRIES = """
SELECT id, body FROM entry WHERE id = ANY(ARRAY(
    SELECT generate_series(first, last) FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS span(first, last)
))
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
        places = _Places()
        for first, lowers, uppers, hashes in runs:
            places.add(first, lowers, uppers, hashes, start)
        for begin in range(0, len(places.indices), batch):
            part = slice(begin, begin + batch)
            ids = places.ids[part]
            bodies = await _load_bodies(connection, ids)
            # Put together column by column, without a step of Python's for each entry.
            yield tuple(zip(places.indices[part], map(bodies.get, ids), places.hashes[part], strict=True))
        following = runs[-1][0] + 1


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


class _Places:
    """Leaves in order, a column each: index, id of the entry or None, stored hash."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.ids: list[int | None] = []
        self.hashes: list[bytes] = []

    def add(
        self,
        first: int,
        lowers: Sequence[int | None],
        uppers: Sequence[int | None],
        hashes: bytes,
        start: int,
    ) -> None:
        """Take in a run's leaves from index `start` on, and at most one id that has no hash."""
        every = chain.from_iterable(
            range(lower, upper)
            for lower, upper in zip(lowers, uppers, strict=True)
            if lower is not None and upper is not None
        )
        split = split_hashes(hashes)
        ids: list[int | None] = list(islice(every, len(split) + 1))
        length = max(len(ids), len(split))
        ids += [None] * (length - len(ids))
        split += [b""] * (length - len(split))
        before = max(0, start - first)
        self.indices += range(first, first + length)[before:]
        self.ids += ids[before:]
        self.hashes += split[before:]


async def _load_bodies(connection: AsyncConnection, ids: Sequence[int | None]) -> dict[int | None, bytes]:
    raw: DirectConnection = await driver_connection(connection)
    named = [entry_id for entry_id in ids if entry_id is not None]
    firsts = named[:1] + [after for before, after in pairwise(named) if after != before + 1]
    lasts = [before for before, after in pairwise(named) if after != before + 1] + named[-1:]
    found = await raw.execute(_ENTRIES, {"firsts": firsts, "lasts": lasts}, binary=True)
    return dict(await found.fetchall())
