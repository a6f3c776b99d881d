"""What each process told of its model servers, and how long ago by the database's clock.

A row is a process's newest word, replaced every few seconds. What a process that ended left behind is kept for a while,
so that its end is seen, and then taken away by whoever tells next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from arbiter.store.transaction import Where, run

KEPT: Final = timedelta(hours=1)
READ_AT_MOST: Final = 200

_TELL = f"""
WITH ended AS (
    DELETE FROM fleet_state WHERE at < now() - interval '{int(KEPT.total_seconds())} seconds'
        AND (process, began) <> (%(process)s, %(began)s)
)
INSERT INTO fleet_state (process, began, at, document) VALUES (%(process)s, %(began)s, now(), %(document)s)
ON CONFLICT (process, began) DO UPDATE SET at = excluded.at, document = excluded.document
RETURNING 1
"""  # noqa: S608 - a number of ours
_TAKE_BACK = "DELETE FROM fleet_state WHERE process = %(process)s AND began = %(began)s RETURNING 1"
_LOAD = """
SELECT process, began, at, greatest(extract(epoch FROM now() - at), 0)::float8, document
FROM fleet_state WHERE at >= now() - %(kept)s ORDER BY at DESC, process, began LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a process told and when, by the database's clock; `age` is how long that is ago. Nobody has read it yet."""

    process: str
    began: datetime
    at: datetime
    age: timedelta
    document: bytes


async def tell_state(where: Where, process: str, began: datetime, document: bytes) -> None:
    """Put this process's state in the place of its last one, and take away what ended processes left long ago."""
    await run(where, _TELL, {"process": process, "began": began, "document": document})


async def take_back_state(where: Where, process: str, began: datetime) -> None:
    """Take this process's state away: it ends, and says so."""
    await run(where, _TAKE_BACK, {"process": process, "began": began})


async def load_states(where: Where) -> tuple[Told, ...]:
    """Return what processes told within `KEPT`, the newest first, `READ_AT_MOST` of them."""
    rows = await run(where, _LOAD, {"kept": KEPT, "limit": READ_AT_MOST})
    return tuple(
        Told(process, began, at, timedelta(seconds=age), bytes(document))
        for process, began, at, age, document in rows
    )
