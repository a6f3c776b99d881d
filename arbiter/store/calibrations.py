"""Calibrations as used: kept by content hash for as long as the cases decided by them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_bytes, calibration_from
from arbiter.errors import NotFoundError, VerificationError
from arbiter.store.tables import calibration as calibrations
from arbiter.store.transaction import Where, run


async def keep_calibration(connection: AsyncConnection, calibration: Calibration, now: datetime) -> None:
    """Keep a calibration unless it is kept already; its protocol is kept first."""
    await connection.execute(
        insert(calibrations)
        .values(
            content_hash=calibration.content_hash,
            protocol_hash=calibration.protocol_hash,
            document=calibration_bytes(calibration),
            first_used_at=now,
        )
        .on_conflict_do_nothing()
    )


async def load_calibration(where: Where, content_hash: str) -> Calibration:
    """Return the kept calibration of that hash.

    Raises:
        NotFoundError: when none is kept; VerificationError: when what is kept has another hash now.
    """
    rows = await run(
        where, "SELECT document FROM calibration WHERE content_hash = %(hash)s", {"hash": content_hash}
    )
    if not rows:
        raise NotFoundError(f"no calibration {content_hash}")
    kept = calibration_from(bytes(rows[0][0]))
    if kept.content_hash != content_hash:
        raise VerificationError(f"the kept calibration {content_hash} has another hash now")
    return kept
