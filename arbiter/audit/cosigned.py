"""Which cosignatures on a checkpoint count, and whether enough do.

A witness counts once, whatever number of lines it left, and only by a key that whoever checks knows as a witness's. Its
signature is over this very checkpoint, so one on another log's, another size's or another root's is no signature here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arbiter.audit.checkpoint import OpenedCheckpoint
from arbiter.audit.note import SignatureType, VerifiedSignature, VerifierKey
from arbiter.errors import VerificationError

SLACK_SECONDS = 60
"""How far two honest clocks may be apart.

A cosignature says that at its time this was the largest tree seen. One dated after now was made by a clock that is
wrong, or was made to be used later; one dated before what it covers existed says something false. Neither counts.
"""


def counted(
    opened: OpenedCheckpoint, witnesses: Iterable[VerifierKey], *, not_before: int, now: int
) -> tuple[VerifiedSignature, ...]:
    """Return the cosignatures that count, one a witness; times are POSIX seconds.

    `not_before` is when what the checkpoint covers was written. The note must have been opened with these keys.
    """
    found: dict[bytes, VerifiedSignature] = {}
    known = {key for key in witnesses if key.type is not SignatureType.ED25519}
    for signature in opened.signatures:
        key, at = signature.key, signature.timestamp_seconds
        if key not in known or at is None:
            continue
        if not_before - SLACK_SECONDS <= at <= now + SLACK_SECONDS:
            # By the key itself: one key under two names is one witness.
            found.setdefault(key.public_key, signature)
    return tuple(found.values())


def require_quorum(
    opened: OpenedCheckpoint, witnesses: Sequence[VerifierKey], quorum: int, *, not_before: int, now: int
) -> tuple[VerifiedSignature, ...]:
    """Return the cosignatures that count, as `counted`; raises `VerificationError` when fewer than `quorum` do."""
    if not 1 <= quorum <= len({key.public_key for key in witnesses}):
        raise VerificationError(
            f"expected a quorum of 1 to {len(witnesses)}, one for each known witness, came {quorum}"
        )
    found = counted(opened, witnesses, not_before=not_before, now=now)
    if len(found) < quorum:
        raise VerificationError(
            f"checkpoint of size {opened.checkpoint.size}: {len(found)} of {len(witnesses)} known witnesses have "
            f"cosigned it, {quorum} are needed"
        )
    return found
