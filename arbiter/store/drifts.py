"""The watch for drift as it is kept: how far the log is read, what is known of each protocol version, and what alarmed.

The cursor moves by compare-and-set, in the transaction that keeps what was read up to it: so each case counts once, whoever
reads and whatever dies on the way. Whoever changes a state holds the cursor's row first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from arbiter.model import ActorId
from arbiter.store.transaction import Transaction, Where, run


class DriftStep(StrEnum):
    """What happened to a stream."""

    ALARMED = "alarmed"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class SealedState:
    """What is kept of a protocol version, sealed under a key-encryption key."""

    kek_id: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VersionState:
    """What is kept of a protocol version, with the names people know it by."""

    protocol: str
    version: str
    protocol_hash: str
    state: SealedState


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """A run of a stream that has alarmed, by the protocol version it is of; `acknowledged_at` is None while that stands."""

    protocol: str
    version: str
    protocol_hash: str
    stream: str
    run: int
    alarmed_at: datetime
    acknowledged_at: datetime | None


@dataclass(frozen=True, slots=True)
class WindowRow:
    """Krippendorff's alpha, as decimal text, of the `number`-th window of so many cases; None where nothing could be compared."""

    protocol: str
    version: str
    asks: str
    number: int
    cases: int
    alpha: str | None
    ended_at: datetime


_HOLD = """
INSERT INTO drift_cursor AS held (one, leaves, holder, until)
VALUES (1, 0, %(holder)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE held.holder = excluded.holder OR held.until < now()
RETURNING leaves
"""
_END = "UPDATE drift_cursor SET until = now() WHERE holder = %(holder)s RETURNING 1"
_MOVE = "UPDATE drift_cursor SET leaves = %(to)s WHERE one = 1 AND leaves = %(since)s RETURNING 1"
_LOCK = "SELECT leaves FROM drift_cursor WHERE one = 1 FOR UPDATE"
_STATES = (
    "SELECT protocol_hash, kek_id, sealed FROM drift_state WHERE protocol_hash = ANY(%(hashes)s::text[])"
)
_EVERY_STATE = """
SELECT p.protocol_id, p.version, s.protocol_hash, s.kek_id, s.sealed
FROM drift_state AS s JOIN protocol_bundle AS p ON p.content_hash = s.protocol_hash
ORDER BY p.protocol_id, p.first_used_at, s.protocol_hash
"""
_KEEP = """
INSERT INTO drift_state (protocol_hash, kek_id, sealed) VALUES (%(protocol_hash)s, %(kek_id)s, %(sealed)s)
ON CONFLICT (protocol_hash) DO UPDATE SET kek_id = excluded.kek_id, sealed = excluded.sealed RETURNING 1
"""
_STEP = """
INSERT INTO drift_step (protocol_hash, stream, run, step, actor, at, reason)
VALUES (%(protocol_hash)s, %(stream)s, %(run)s, %(step)s, %(actor)s, %(at)s, %(reason)s)
ON CONFLICT DO NOTHING RETURNING 1
"""
_ALARMS = """
SELECT p.protocol_id, p.version, a.protocol_hash, a.stream, a.run, a.at, s.at
FROM drift_step AS a JOIN protocol_bundle AS p ON p.content_hash = a.protocol_hash
LEFT JOIN drift_step AS s ON (s.protocol_hash, s.stream, s.run, s.step) = (a.protocol_hash, a.stream, a.run, 'acknowledged')
WHERE a.step = 'alarmed' AND (s.id IS NULL OR NOT %(standing)s) ORDER BY a.id
"""
_ADD_WINDOW = """
INSERT INTO agreement_window (protocol_hash, asks, number, cases, alpha, ended_at)
VALUES (%(protocol_hash)s, %(asks)s, %(number)s, %(cases)s, %(alpha)s, %(ended_at)s) RETURNING 1
"""
_WINDOWS = """
SELECT * FROM (
    SELECT p.protocol_id, p.version, w.asks, w.number, w.cases, w.alpha, w.ended_at
    FROM agreement_window AS w JOIN protocol_bundle AS p ON p.content_hash = w.protocol_hash
    ORDER BY w.ended_at DESC, w.protocol_hash, w.asks, w.number DESC LIMIT %(limit)s
) AS newest ORDER BY protocol_id, version, asks, number
"""


async def hold_drift(where: Where, holder: str, seconds: int) -> int | None:
    """Return how many leaves are read, where it is this holder's turn for so many seconds from now on; None where it is not."""
    rows = await run(where, _HOLD, {"holder": holder, "seconds": seconds})
    return int(rows[0][0]) if rows else None


async def end_drift(where: Where, holder: str) -> None:
    """Let another process take its turn at once, if this one had it."""
    await run(where, _END, {"holder": holder})


async def move_cursor(where: Where, since: int, to: int) -> bool:
    """Move the cursor from where it was read to be; return False, and do nothing, where another process was first."""
    return bool(await run(where, _MOVE, {"since": since, "to": to}))


async def lock_drift(transaction: Transaction) -> None:
    """Let nobody change any state until the transaction ends."""
    await run(transaction, _LOCK, {})


async def load_states(where: Where, hashes: Collection[str]) -> dict[str, SealedState]:
    """Return what is kept of these protocol versions, by their hashes; one of which nothing is kept is absent."""
    rows = await run(where, _STATES, {"hashes": sorted(hashes)})
    return {protocol_hash: SealedState(kek_id, bytes(sealed)) for protocol_hash, kek_id, sealed in rows}


async def load_every_state(where: Where) -> tuple[VersionState, ...]:
    """Return what is kept of every protocol version, by protocol, the oldest version first."""
    return tuple(
        VersionState(protocol, version, protocol_hash, SealedState(kek_id, bytes(sealed)))
        for protocol, version, protocol_hash, kek_id, sealed in await run(where, _EVERY_STATE, {})
    )


async def keep_state(where: Where, protocol_hash: str, state: SealedState) -> None:
    """Keep what is known of a protocol version now."""
    parameters = {"protocol_hash": protocol_hash, "kek_id": state.kek_id, "sealed": state.sealed}
    await run(where, _KEEP, parameters)


async def add_drift_step(
    where: Where,
    of: tuple[str, str, int],
    step: DriftStep,
    actor: ActorId,
    at: datetime,
    reason: str | None = None,
) -> bool:
    """Note a step of a run, named by protocol hash, stream and number; return False where it was noted before."""
    protocol_hash, stream, number = of
    parameters = {
        "protocol_hash": protocol_hash,
        "stream": stream,
        "run": number,
        "step": step.value,
        "actor": actor,
        "at": at,
        "reason": reason,
    }
    return bool(await run(where, _STEP, parameters))


async def load_alarms(where: Where, *, standing: bool) -> tuple[DriftAlarm, ...]:
    """Return every alarm there ever was, oldest first; or with `standing` those that nobody has acknowledged."""
    return tuple(DriftAlarm(*row) for row in await run(where, _ALARMS, {"standing": standing}))


async def add_window(
    where: Where,
    of: tuple[str, str, int],
    cases: int,
    alpha: str | None,
    ended_at: datetime,
) -> None:
    """Keep how far members agreed in a window, named by protocol hash, what was asked and number."""
    protocol_hash, asks, number = of
    parameters: dict[str, Any] = {
        "protocol_hash": protocol_hash,
        "asks": asks,
        "number": number,
        "cases": cases,
        "alpha": alpha,
        "ended_at": ended_at,
    }
    await run(where, _ADD_WINDOW, parameters)


async def load_windows(where: Where, limit: int) -> Sequence[WindowRow]:
    """Return the newest windows, at most so many, by protocol, version, what was asked, and number."""
    return tuple(WindowRow(*row) for row in await run(where, _WINDOWS, {"limit": limit}))
