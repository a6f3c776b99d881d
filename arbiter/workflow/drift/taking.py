"""The watch for drift as standing work: every minute one process reads on in the log and counts what has concluded.

A lease in the database says whose turn it is; that each case counts once rests on the cursor, which moves in the transaction
that keeps what was counted. Process death in between leaves the cursor where it was, and the same cases are read again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from arbiter.errors import (
    ConfigurationError,
    NotFoundError,
    RefusedError,
    VerificationError,
)
from arbiter.store.drifts import end_drift, hold_drift, move_cursor
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.store.log.leaves import load_leaves_from
from arbiter.telemetry import Safe
from arbiter.telemetry.catalogue import DRIFT_STREAM, PROTOCOL
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import DRIFT_ALARMS
from arbiter.workflow.drift.adding import add
from arbiter.workflow.drift.observing import Conclusion, Counted, conclusions, count_case
from arbiter.workflow.house import House
from arbiter.workflow.standing_work import every_minute

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 300
"""Longer than any one batch takes: a process that is silent for so long has died."""

LEAVES: Final = 2_000
"""How many of the log's entries are read at a time."""


async def watch_drift(house: House) -> None:
    """Read on in the log every minute until cancelled."""
    await every_minute("watching for drift", lambda: catch_up(house), ConfigurationError)


async def catch_up(house: House) -> None:
    """Count all that has concluded and is sealed, if it is this process's turn; half of the time is left to whoever is served.

    Raises:
        ConfigurationError: when a case needs a key-encryption key that this host lacks; nothing beyond it is counted.
        UnavailableError: when the database does not answer.
    """
    loop = asyncio.get_running_loop()
    holder = house.chance.token(16).hex()
    try:
        while (since := await hold_drift(house.store, holder, LEASE_SECONDS)) is not None:
            began = loop.time()
            if not await take_batch(house, since):
                return
            await asyncio.sleep(loop.time() - began)
    finally:
        await end_drift(house.store, holder)


async def take_batch(house: House, since: int) -> bool:
    """Count what concluded in the log's next leaves; return whether there were any, and no other process was first."""
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
        if newest is None or newest.size <= since:
            return False
        leaves = await load_leaves_from(transaction, since, LEAVES)
    # One by one and outside a transaction: an old snapshot would keep a key that is being destroyed from going.
    counted = [
        taken
        for found in conclusions(body for _, body in leaves)
        if (taken := await _count(house, found)) is not None
    ]
    now = house.clock.now()
    async with house.store.begin() as transaction:
        if not leaves or not await move_cursor(transaction, since, leaves[-1][0] + 1):
            return False
        alarmed = await add(house, transaction, counted, now)
    for protocol, run in alarmed:
        count(DRIFT_ALARMS, {PROTOCOL: protocol.id, DRIFT_STREAM: run.stream})
        log.warning(
            "drift: %s of protocol %s has moved since its reference", Safe(run.stream), Safe(protocol.id)
        )
    return True


async def _count(house: House, found: Conclusion) -> Counted | None:
    try:
        return await count_case(house, found)
    except (NotFoundError, RefusedError, VerificationError) as error:
        # One damaged case stops the watch over no other.
        log.warning(
            "case %s is left out of the watch for drift: %s", Safe(found.case), Safe(type(error).__name__)
        )
        return None
