"""What is wrapped under which key-encryption key, and moving it to another: case keys, webhooks' secrets, exports' keys, the states of the watch for drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from arbiter.store.transaction import Where, run


class Kind(Enum):
    """What is wrapped; the value is (table, id column, ciphertext column)."""

    CASE_KEY = ("case_key", "case_id", "wrapped")
    WEBHOOK_SECRET = ("webhook_endpoint", "id", "sealed_secret")
    EXPORT_KEY = ("export_job", "id", "sealed_key")
    DRIFT_STATE = ("drift_state", "protocol_hash", "sealed")

    @property
    def words(self) -> str:
        """The kind in words, in the plural."""
        match self:
            case Kind.CASE_KEY:
                return "case keys"
            case Kind.WEBHOOK_SECRET:
                return "webhook secrets"
            case Kind.EXPORT_KEY:
                return "keys of exports"
            case Kind.DRIFT_STATE:
                return "states of the watch for drift"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """One wrapped key or secret."""

    owner: str
    kek_id: str
    ciphertext: bytes = field(repr=False)


# Names of tables and columns come from `Kind` alone.
_COUNT = "SELECT kek_id, count(*) FROM {0} WHERE kek_id IS NOT NULL GROUP BY kek_id"
_NEXT = "SELECT {1}, kek_id, {2} FROM {0} WHERE kek_id <> %(current)s AND {1} > %(after)s ORDER BY {1} LIMIT %(limit)s"
# Compared with what was read: a key that was erased or moved meanwhile stays as it is.
_MOVE = """
UPDATE {0} AS t SET kek_id = %(kek_id)s, {2} = d.fresh
FROM unnest(%(owners)s::text[], %(old)b::bytea[], %(fresh)b::bytea[]) AS d(owner, old, fresh)
WHERE t.{1} = d.owner AND t.{2} = d.old RETURNING t.{1}
"""
_RETIRE = "INSERT INTO retired_kek (id, at) VALUES (%(id)s, %(at)s) ON CONFLICT DO NOTHING RETURNING id"
_NOW = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_PASSED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= %(until)s"


async def count_wrapped(where: Where, kind: Kind) -> dict[str, int]:
    """Return how many are wrapped under each key-encryption key."""
    return {row[0]: row[1] for row in await run(where, _COUNT.format(*kind.value), {})}


async def count_all_wrapped(where: Where) -> dict[str, int]:
    """Return how many of whatever kind are wrapped under each key-encryption key."""
    counts: Counter[str] = Counter()
    for kind in Kind:
        counts.update(await count_wrapped(where, kind))
    return dict(counts)


async def next_wrapped(where: Where, kind: Kind, current: str, after: str, limit: int) -> tuple[Wrapped, ...]:
    """Return the next ones, by their owners' ids, that are wrapped under another key than `current`."""
    parameters = {"current": current, "after": after, "limit": limit}
    rows = await run(where, _NEXT.format(*kind.value), parameters)
    return tuple(Wrapped(owner, kek_id, bytes(ciphertext)) for owner, kek_id, ciphertext in rows)


async def move_wrapped(where: Where, kind: Kind, kek_id: str, moved: Sequence[tuple[Wrapped, bytes]]) -> int:
    """Store fresh ciphertexts under `kek_id` in place of those that were read; return how many were still as read."""
    parameters = {
        "kek_id": kek_id,
        "owners": [old.owner for old, _ in moved],
        "old": [old.ciphertext for old, _ in moved],
        "fresh": [fresh for _, fresh in moved],
    }
    return len(await run(where, _MOVE.format(*kind.value), parameters))


async def retire_kek(where: Where, kek_id: str, at: datetime) -> bool:
    """Let nothing be wrapped under a key-encryption key by any transaction that begins from now on; False: was so."""
    return bool(await run(where, _RETIRE, {"id": kek_id, "at": at}))


async def present_moment(where: Where) -> int:
    """Return a moment in the database's count of transactions: none that has begun lies beyond it."""
    return int((await run(where, _NOW, {}))[0][0])


async def has_passed(where: Where, moment: int) -> bool:
    """Tell whether every transaction that had begun at that moment has ended."""
    return bool((await run(where, _PASSED, {"until": moment}))[0][0])
