"""A quick look at the log: its newest entries, its signature, and that it extends the kept checkpoint.

The newest entries are hashed again from their bytes and put on the stored tree below them; what comes out must be the
signed root. `verify_log` does that for every entry; this takes a moment however long the log is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import VerifierKey
from arbiter.errors import VerificationError
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.leaves import stream_leaves
from arbiter.store.log.sealing import count_pending
from arbiter.store.transaction import Transaction
from arbiter.workflow.log.stored_tree import load_frontier

TAIL = 1_000
"""How many of the newest entries are read."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What was found: entries sealed and when last, how many were read again, how many wait and since when."""

    size: int
    sealed_at: datetime | None
    checked: int
    pending: int
    pending_since: datetime | None


async def check_tail(
    transaction: Transaction, verifiers: tuple[VerifierKey, ...], kept: Checkpoint | None
) -> Tail:
    """Return how the log stands; `kept` must have been read before the transaction began.

    Raises:
        VerificationError: naming what does not check out.
    """
    newest = await load_newest_checkpoint(transaction)
    pending, since = await count_pending(transaction)
    size = 0 if newest is None else newest.size
    if kept is not None and kept.size > size:
        raise VerificationError(f"the database's log has {size} entries, the kept checkpoint {kept.size}")
    if newest is None:
        return Tail(0, None, 0, pending, since)
    _check_signed(newest, verifiers)
    if kept is not None and (await load_frontier(transaction, kept.size)).root() != kept.root:
        raise VerificationError(f"the log's first {kept.size} entries are not those of the kept checkpoint")
    checked = await _check_newest_entries(transaction, newest)
    return Tail(size, newest.sealed_at, checked, pending, since)


def _check_signed(newest: StoredCheckpoint, verifiers: tuple[VerifierKey, ...]) -> None:
    signed = open_checkpoint(newest.note.encode("utf-8"), verifiers).checkpoint
    if (signed.size, signed.root) != (newest.size, newest.root):
        raise VerificationError(
            f"the newest checkpoint, of {newest.size} entries, is not the one that was signed"
        )


async def _check_newest_entries(transaction: Transaction, newest: StoredCheckpoint) -> int:
    start = max(0, newest.size - TAIL)
    hashes: list[bytes] = []
    async for batch in stream_leaves(transaction, TAIL, start):
        for index, body, stored in batch:
            if body is None or leaf_hash(body) != stored:
                raise VerificationError(f"entry {index} of the log is not the one that was sealed")
            hashes.append(stored)
    grown = (await load_frontier(transaction, start)).extend(hashes).frontier
    if grown.size != newest.size or grown.root() != newest.root:
        raise VerificationError(
            f"the log's entries {start} to {start + len(hashes)} do not lead to the newest checkpoint's root"
        )
    return len(hashes)
