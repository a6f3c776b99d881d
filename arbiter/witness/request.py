"""What a log asks of a witness: the body of `add-checkpoint`, bytes in, a frozen request out.

Nothing is verified here. A checkpoint may carry extension lines: they are part of what is signed, and of no other meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from arbiter.audit.checkpoint import MAX_SIZE
from arbiter.audit.merkle import EMPTY_ROOT, HASH_SIZE
from arbiter.audit.note import Note, decode_base64, parse_note
from arbiter.errors import VerificationError

MAX_BYTES = 128 * 1024
"""63 hashes take 3 KiB; the rest is room for a note with dozens of signatures, post-quantum ones too."""

MAX_HASHES = 63

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_HEAD = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/=]{44})\n(?:[^\n]+\n)*")


@dataclass(frozen=True, slots=True)
class Request:
    """A checkpoint offered with a proof of consistency from the tree of `old` leaves; `note` are the signed bytes."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes
    parsed: Note
    origin: str
    size: int
    root: bytes


def parse_request(body: bytes) -> Request:
    """Return the request that a body spells; raises `VerificationError` naming what is malformed."""
    if len(body) > MAX_BYTES:
        raise VerificationError(f"expected at most {MAX_BYTES} bytes, came {len(body)}")
    head, separator, note = body.partition(b"\n\n")
    try:
        old, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise VerificationError(f"expected ASCII before the checkpoint, byte {error.start} is not") from error
    match = _OLD.fullmatch(old)
    if match is None or not separator:
        raise VerificationError("expected `old` and a size, hashes, an empty line and a checkpoint")
    if len(hashes) > MAX_HASHES:
        raise VerificationError(f"expected at most {MAX_HASHES} hashes, came {len(hashes)}")
    parsed = parse_note(note)
    origin, size, root = _tree_head(parsed.text)
    return Request(_size(match[1]), tuple(_hash(line) for line in hashes), note, parsed, origin, size, root)


def _tree_head(text: str) -> tuple[str, int, bytes]:
    match = _HEAD.fullmatch(text)
    if match is None:
        raise VerificationError("expected a checkpoint: a line each of origin, size and root hash")
    size, root = _size(match[2]), _hash(match[3])
    if size == 0 and root != EMPTY_ROOT:
        raise VerificationError(
            f"expected the empty tree's root, SHA-256 of nothing, for size 0; came {root.hex()}"
        )
    return match[1], size, root


def _size(digits: str) -> int:
    size = int(digits)
    if size > MAX_SIZE:
        raise VerificationError(f"expected a size below 2^63, came {digits[:40]}")
    return size


def _hash(line: str) -> bytes:
    hash_ = decode_base64(line)
    if len(hash_) != HASH_SIZE:
        raise VerificationError(f"expected hashes of {HASH_SIZE} bytes, came one of {len(hash_)}")
    return hash_
