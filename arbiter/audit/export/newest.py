"""The newest checkpoint of an export: signed twice by the log, with Ed25519 and with ML-DSA-44, and by its witnesses.

The Ed25519 signature is what an export rests on. The ML-DSA-44 one must stand beside it where the log has such a key, and
is checked where the installed `cryptography` can; where it cannot, that is said and never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from arbiter.audit.checkpoint import LogKey, OpenedCheckpoint, open_checkpoint
from arbiter.audit.note import SignatureType, VerifierKey, can_check, parse_note
from arbiter.errors import VerificationError


class Second(StrEnum):
    """What is known of the log's ML-DSA-44 signature on the newest checkpoint."""

    GOOD = "good"
    NOT_CHECKED = "not checked"
    NO_KEY = "no key"


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest checkpoint's note, without its ML-DSA-44 lines too, opened."""

    note: bytes
    short: bytes
    opened: OpenedCheckpoint
    second: Second


def open_newest(note: bytes, keys: Sequence[VerifierKey]) -> Newest:
    """Check the newest checkpoint's signatures by the believed keys; raises `VerificationError`."""
    checked = [key for key in keys if can_check(key.type)]
    opened = open_checkpoint(note, checked)
    origin, size = opened.checkpoint.origin, opened.checkpoint.size
    mldsa = [key for key in keys if (key.name, key.type) == (origin, SignatureType.MLDSA44_COSIGNATURE)]
    due = [key for key in mldsa if not isinstance(key, LogKey) or key.may_sign(size)]
    ids = {key.key_id for key in due}
    came = {line.key_id for line in parse_note(note).signatures if line.name == origin}
    if due and not came & ids:
        raise VerificationError(
            f"the newest checkpoint, of size {size}, lacks the ML-DSA-44 signature of its log {origin}: expected one by key "
            f"{_spelt(ids)}, came signatures by {_spelt(came)} alone. Somebody took it off or put another in its place"
        )
    checked_too = Second.GOOD if opened.second is not None else Second.NOT_CHECKED
    return Newest(note, without(note, mldsa), opened, checked_too if due else Second.NO_KEY)


def _spelt(ids: Iterable[bytes]) -> str:
    return ", ".join(sorted(key_id.hex() for key_id in ids))


def without(note: bytes, keys: Sequence[VerifierKey]) -> bytes:
    """Return a note without the signature lines of these keys, the others as they stand; raises `VerificationError`."""
    parsed = parse_note(note)
    taken = {(key.name, key.key_id) for key in keys}
    kept = [line.line() for line in parsed.signatures if (line.name, line.key_id) not in taken]
    return (parsed.text + "\n" + "".join(kept)).encode("utf-8")
