"""What a lost range means for the clinic, in words: for the entry that records it and for whoever ran the command."""

from __future__ import annotations

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.recovery import Loss
from arbiter.store.log.checkpoints import StoredCheckpoint


def words_of(kind: Loss, old: str, new: str, newest: StoredCheckpoint | None, kept: Checkpoint) -> str:
    """Return what was lost and what to do about it, a paragraph or a step a line."""
    return "\n".join((_found(kind, old, new, newest, kept), *_steps(kind, old, newest, kept)))


def _found(kind: Loss, old: str, new: str, newest: StoredCheckpoint | None, kept: Checkpoint) -> str:
    size = 0 if newest is None else newest.size
    if kind is Loss.BEHIND:
        lost = (
            f"{old} had signed {kept.size} entries, and the database has {size} of them at most: entries {size} to "
            f"{kept.size - 1} are lost"
        )
    else:
        lost = (
            f"{old} has signed two histories: the {kept.size} entries of the kept checkpoint are not the first of the "
            f"{size} in the database, and what differs in them is lost, from an unknown entry on"
        )
    return f"{lost}. The log goes on over the entries in the database as {new}, from entry {size} on."


def _steps(kind: Loss, old: str, newest: StoredCheckpoint | None, kept: Checkpoint) -> tuple[str, ...]:
    since = "the beginning" if newest is None else f"{newest.sealed_at.isoformat(timespec='seconds')}"
    if kind is Loss.FORKED:
        since = "the moment at which the histories parted, or since the beginning if it is not known"
    return (
        f"1. Of cases since {since}, what the lost entries began is unknown here; what they decided, changed, contested or",
        "   withdrew stands here as it was before. A decision that stands as released may have been withdrawn. No such case",
        "   is to be acted on until a clinician has looked at it.",
        "2. Ask every requesting system, and whoever receives webhooks and mail, for the cases, decisions and receipts it",
        f"   got since {since}. What they hold is the record now.",
        f"3. Receipts of the lost entries stay valid: they verify with the key of {old} (up to {kept.size} entries), by",
        "   `arbiter audit verify-receipt`. Keep that key, and that checkpoint's note, which this entry quotes.",
        "4. Cases that were being worked on are to be handed in again. A request that was sent before is a new case here.",
        "5. Accounts, clients and webhooks made or ended since then are to be looked through and put right.",
        "6. Tell witnesses, auditors and whoever verifies receipts the new verifier key, by a way that they trust.",
    )
