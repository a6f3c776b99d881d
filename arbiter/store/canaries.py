"""Canary runs as they are kept, a row a seat and run, and whose turn it is to ask tonight.

Rows are inserted and never changed: what a seat answered then is what later nights are compared with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from arbiter.store.transaction import Where, run


class RunKind(StrEnum):
    """What a run was to a seat."""

    BASELINE = "baseline"
    COMPARISON = "comparison"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True)
class RunRow:
    """What one run found in one seat.

    `night` is the night that a scheduled run stands for, None for one that a person asked for. `digest` is that of the identity
    which answered, `asked` the hash of what was asked; both are None where nobody answered. `counts` holds, by canary
    case, how often each answer fell. `p_value` and `level` are decimal texts of a comparison. `anew` is true for a baseline
    that a person had taken: it ends the alarms before it, and nothing else does.
    """

    protocol: str
    member: str
    kind: RunKind
    night: date | None
    at: datetime
    digest: str | None
    asked: str | None
    counts: Mapping[str, Mapping[str, int]]
    p_value: str | None
    level: str | None
    alarmed: bool
    cause: str
    anew: bool = False


@dataclass(frozen=True, slots=True)
class StandingRow:
    """A seat's newest run, and the newest in which it was heard: whom and when.

    `baseline_at` is the newest baseline of the identity that was heard last. `alarmed_at` is the first alarm since a person
    had a baseline taken, of whatever identity: one that changes ends no alarm.
    """

    newest: RunRow
    heard_digest: str | None
    heard_at: datetime | None
    baseline_at: datetime | None
    alarmed_at: datetime | None


_COLUMNS = "protocol, member, kind, night, at, digest, asked, counts, p_value, level, alarmed, cause, anew"
_ADD = f"""
INSERT INTO canary_run ({_COLUMNS})
VALUES (%(protocol)s, %(member)s, %(kind)s, %(night)s, %(at)s, %(digest)s, %(asked)s, %(counts)s::jsonb, %(p_value)s,
    %(level)s, %(alarmed)s, %(cause)s, %(anew)s)
ON CONFLICT DO NOTHING RETURNING 1
"""  # noqa: S608 - names of ours
_BASELINE = f"""
SELECT {_COLUMNS} FROM canary_run
WHERE protocol = %(protocol)s AND member = %(member)s AND digest = %(digest)s AND asked = %(asked)s AND kind = 'baseline'
ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - names of ours
_STANDINGS = f"""
SELECT {", ".join(f"newest.{name}" for name in _COLUMNS.split(", "))}, heard.digest, heard.at, baseline.at, alarm.at
FROM (SELECT max(id) AS id FROM canary_run GROUP BY protocol, member) AS last
JOIN canary_run AS newest ON newest.id = last.id
LEFT JOIN LATERAL (
    SELECT digest, asked, at FROM canary_run AS r
    WHERE r.protocol = newest.protocol AND r.member = newest.member AND r.kind <> 'not-asked' ORDER BY id DESC LIMIT 1
) AS heard ON true
LEFT JOIN LATERAL (
    SELECT at FROM canary_run AS r
    WHERE r.protocol = newest.protocol AND r.member = newest.member AND r.digest = heard.digest AND r.asked = heard.asked
        AND r.kind = 'baseline' ORDER BY id DESC LIMIT 1
) AS baseline ON true
LEFT JOIN LATERAL (
    SELECT at FROM canary_run AS r
    WHERE r.protocol = newest.protocol AND r.member = newest.member AND r.alarmed AND r.id > coalesce((
        SELECT max(id) FROM canary_run AS a WHERE a.protocol = newest.protocol AND a.member = newest.member AND a.anew
    ), 0)
    ORDER BY id LIMIT 1
) AS alarm ON true
ORDER BY newest.protocol, newest.member
"""  # noqa: S608 - names of ours
_OF_NIGHT = "SELECT DISTINCT protocol FROM canary_run WHERE night = %(night)s"
_HOLD = """
INSERT INTO canary_lease AS held (one, holder, until)
VALUES (1, %(holder)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE held.holder = excluded.holder OR held.until < now()
RETURNING 1
"""
_END = "UPDATE canary_lease SET until = now() WHERE holder = %(holder)s RETURNING 1"


async def add_run(where: Where, row: RunRow) -> bool:
    """Keep what a run found in a seat; return whether it is the first for its night."""
    parameters = {
        "protocol": row.protocol,
        "member": row.member,
        "kind": row.kind.value,
        "night": row.night,
        "at": row.at,
        "digest": row.digest,
        "asked": row.asked,
        "counts": json.dumps({case: dict(counts) for case, counts in row.counts.items()}),
        "p_value": row.p_value,
        "level": row.level,
        "alarmed": row.alarmed,
        "cause": row.cause,
        "anew": row.anew,
    }
    return bool(await run(where, _ADD, parameters))


async def load_baseline(where: Where, protocol: str, member: str, digest: str, asked: str) -> RunRow | None:
    """Return the newest baseline of that identity for what is asked now, or None."""
    parameters = {"protocol": protocol, "member": member, "digest": digest, "asked": asked}
    rows = await run(where, _BASELINE, parameters)
    return _row(rows[0]) if rows else None


async def load_canary_standings(where: Where) -> tuple[StandingRow, ...]:
    """Return how each seat that was ever in a run stands, by protocol and member."""
    rows = await run(where, _STANDINGS, {})
    return tuple(StandingRow(_row(row[:-4]), *row[-4:]) for row in rows)


async def load_protocols_of_night(where: Where, night: date) -> frozenset[str]:
    """Return the protocols whose seats were asked for that night already."""
    return frozenset(row[0] for row in await run(where, _OF_NIGHT, {"night": night}))


async def hold_canary(where: Where, holder: str, seconds: int) -> bool:
    """Return whether it is this holder's turn to ask, for so many seconds from now on by the database's clock."""
    return bool(await run(where, _HOLD, {"holder": holder, "seconds": seconds}))


async def end_canary(where: Where, holder: str) -> None:
    """Let another process take its turn at once, if this one had it."""
    await run(where, _END, {"holder": holder})


def _row(row: Sequence[Any]) -> RunRow:
    protocol, member, kind, *rest = row
    return RunRow(protocol, member, RunKind(kind), *rest)
