"""Checkpoints as they are kept: each with its signed note, none of them verified."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.store.tables import checkpoint
from arbiter.store.transaction import Where, run

NEWEST = "SELECT size, root, note, sealed_at FROM checkpoint ORDER BY size DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as kept: size and root hash of the tree, the signed note, when it was sealed."""

    size: int
    root: bytes
    note: str
    sealed_at: datetime


async def load_newest_checkpoint(where: Where) -> StoredCheckpoint | None:
    """Return the newest checkpoint, or None when nothing was ever sealed."""
    rows = await run(where, NEWEST, {})
    return StoredCheckpoint(*rows[0]) if rows else None


async def load_checkpoint_from(connection: AsyncConnection, size: int) -> StoredCheckpoint | None:
    """Return the smallest checkpoint of at least `size` leaves: the first that covered leaf `size - 1`."""
    row = (
        await connection.execute(
            select(checkpoint).where(checkpoint.c.size >= size).order_by(checkpoint.c.size).limit(1)
        )
    ).one_or_none()
    return None if row is None else StoredCheckpoint(*row)


async def load_checkpoints(connection: AsyncConnection) -> tuple[StoredCheckpoint, ...]:
    """Return every checkpoint, smallest first."""
    rows = await connection.execute(select(checkpoint).order_by(checkpoint.c.size))
    return tuple(StoredCheckpoint(*row) for row in rows)


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
        yield tuple(StoredCheckpoint(*row) for row in rows)
        last = rows[-1].size


async def load_seals(connection: AsyncConnection, size: int, limit: int) -> tuple[tuple[int, datetime], ...]:
    """Return (size, when it was sealed) of at most `limit` checkpoints of at least `size` leaves, smallest first."""
    rows = await connection.execute(
        select(checkpoint.c.size, checkpoint.c.sealed_at)
        .where(checkpoint.c.size >= size)
        .order_by(checkpoint.c.size)
        .limit(limit)
    )
    return tuple((row.size, row.sealed_at) for row in rows)
