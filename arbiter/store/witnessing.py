"""Cosignatures as they are kept, whose turn it is to ask for more, and how each witness stands.

Nothing read here is believed: whoever counts cosignatures verifies each line again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from arbiter.store.transaction import Where, run

LEASE_SECONDS = 10.0
"""How long a process that asks the witnesses may be silent before another takes over, by the database's clock."""

_ADD = """
INSERT INTO cosignature (size, witness, root, line, seconds, received_at)
VALUES (%(size)s, %(witness)s, %(root)s, %(line)s, %(seconds)s, %(now)s)
ON CONFLICT DO NOTHING RETURNING 1
"""
_COSIGNED = """
WITH tried AS MATERIALIZED (
    SELECT DISTINCT size, root FROM cosignature WHERE size > %(above)s ORDER BY size {order} LIMIT {tried}
)
SELECT c.size, c.root, c.note, c.sealed_at, left_by.lines
FROM tried JOIN checkpoint AS c ON c.size = tried.size AND c.root = tried.root CROSS JOIN LATERAL (
    SELECT array_agg(line ORDER BY witness) AS lines FROM cosignature AS s
    WHERE s.size = tried.size AND s.root = tried.root AND s.witness = ANY(%(witnesses)s)
) AS left_by
WHERE cardinality(left_by.lines) >= %(least)s ORDER BY c.size {order}
"""
TRIED = 100
"""Checkpoints looked at in one statement."""

_NEWEST_FIRST = _COSIGNED.format(order="DESC", tried=TRIED)
_OLDEST_FIRST = _COSIGNED.format(order="ASC", tried=TRIED)
_LINES = "SELECT line FROM cosignature WHERE size = %(size)s AND root = %(root)s AND witness = ANY(%(witnesses)s) ORDER BY witness"
_HOLD = f"""
INSERT INTO witness_lease AS held (one, holder, until) VALUES (1, %(holder)s, now() + interval '{LEASE_SECONDS} seconds')
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE held.holder = excluded.holder OR held.until < now()
RETURNING 1
"""  # noqa: S608 - a number of ours
_END = "UPDATE witness_lease SET until = now() WHERE holder = %(holder)s RETURNING 1"
_TELL = """
INSERT INTO witness_standing AS standing (witness, fault, since) VALUES (%(witness)s, %(fault)s, %(now)s)
ON CONFLICT (witness) DO UPDATE SET fault = excluded.fault, since = excluded.since
WHERE standing.fault IS DISTINCT FROM excluded.fault
RETURNING 1
"""
_STANDINGS = """
SELECT w.witness, last.size, last.seconds, behind.sealed_at, standing.fault, standing.since
FROM unnest(%(witnesses)s::text[]) WITH ORDINALITY AS w(witness, place)
LEFT JOIN LATERAL (
    SELECT size, seconds FROM cosignature WHERE witness = w.witness ORDER BY size DESC LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT sealed_at FROM checkpoint WHERE size > coalesce(last.size, -1) ORDER BY size LIMIT 1
) AS behind ON true
LEFT JOIN witness_standing AS standing ON standing.witness = w.witness
ORDER BY w.place
"""


@dataclass(frozen=True, slots=True)
class CosignedCheckpoint:
    """A stored checkpoint with the lines that witnesses left for it, none of them verified."""

    size: int
    root: bytes
    note: str
    sealed_at: datetime
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """How a witness stands: the size it cosigned last and when, the first checkpoint it has not cosigned, its trouble."""

    witness: str
    size: int | None
    cosigned_at_seconds: int | None
    behind_since: datetime | None
    fault: str | None
    fault_since: datetime | None


async def add_cosignature(
    where: Where, size: int, root: bytes, witness: str, line: str, seconds: int, now: datetime
) -> None:
    """Keep a cosignature; the first one of a witness on a checkpoint stays."""
    parameters = {
        "size": size,
        "root": root,
        "witness": witness,
        "line": line,
        "seconds": seconds,
        "now": now,
    }
    await run(where, _ADD, parameters)


async def load_cosigned(
    where: Where, witnesses: Sequence[str], *, above: int, least: int, newest_first: bool
) -> tuple[CosignedCheckpoint, ...]:
    """Return those of the `TRIED` newest or oldest checkpoints beyond a size that so many of these witnesses left a line for."""
    parameters = {"witnesses": list(witnesses), "above": above, "least": least}
    rows = await run(where, _NEWEST_FIRST if newest_first else _OLDEST_FIRST, parameters)
    return tuple(
        CosignedCheckpoint(size, bytes(root), note, at, tuple(lines)) for size, root, note, at, lines in rows
    )


async def load_lines(where: Where, size: int, root: bytes, witnesses: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that these witnesses left for a checkpoint."""
    rows = await run(where, _LINES, {"size": size, "root": root, "witnesses": list(witnesses)})
    return tuple(row[0] for row in rows)


async def hold_asking(where: Where, holder: str) -> bool:
    """Return whether it is this holder's turn to ask the witnesses, for `LEASE_SECONDS` from now on."""
    return bool(await run(where, _HOLD, {"holder": holder}))


async def end_asking(where: Where, holder: str) -> None:
    """Let another process take its turn at once, if this one had it."""
    await run(where, _END, {"holder": holder})


async def tell_standing(where: Where, witness: str, fault: str | None, now: datetime) -> bool:
    """Note what is wrong with a witness, or that nothing is; return whether that is news."""
    return bool(await run(where, _TELL, {"witness": witness, "fault": fault, "now": now}))


async def load_standings(where: Where, witnesses: Sequence[str]) -> tuple[WitnessStanding, ...]:
    """Return how each of these witnesses stands, in their order."""
    rows = await run(where, _STANDINGS, {"witnesses": list(witnesses)})
    return tuple(WitnessStanding(*row) for row in rows)
