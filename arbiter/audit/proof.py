"""One inclusion proof in one file (C2SP tlog-proof): index, audit path and checkpoint, checkable offline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.audit.checkpoint import OpenedCheckpoint, open_checkpoint
from arbiter.audit.merkle import HASH_SIZE, verify_inclusion
from arbiter.audit.note import VerifierKey, decode_base64, encode_base64
from arbiter.errors import VerificationError

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof that leaf `index` stands in the tree of `checkpoint`, a signed note kept verbatim.

    `hashes` lead from the leaf's sibling to the root's child. `extra` is opaque and authenticated by nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Return the proof's text."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(encode_base64(hash_) for hash_ in self.hashes)
        return ("\n".join(lines) + "\n\n").encode("ascii") + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Return the proof that `data` spells, nothing of it verified; raises `VerificationError` if malformed."""
        head, separator, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise VerificationError(f"malformed proof: byte {error.start} is not ASCII") from error
        if lines.pop(0) != HEADER or not separator:
            raise VerificationError(f"malformed proof: expected {HEADER}, index, hashes and an empty line")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        match = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if match is None:
            raise VerificationError("malformed proof: expected a line with the index")
        if len(lines) > MAX_HASHES:
            raise VerificationError(
                f"malformed proof: expected at most {MAX_HASHES} hashes, came {len(lines)}"
            )
        return cls(int(match[1]), tuple(_hash(line) for line in lines), checkpoint, extra)


def verify_proof(proof: TlogProof, leaf: bytes, verifiers: Iterable[VerifierKey]) -> OpenedCheckpoint:
    """Check that the hash `leaf` stands at the proof's index under its checkpoint, and return the checkpoint.

    Raises `VerificationError`.
    """
    opened = open_checkpoint(proof.checkpoint, verifiers)
    verify_inclusion(leaf, proof.index, opened.checkpoint.size, proof.hashes, opened.checkpoint.root)
    return opened


def _hash(line: str) -> bytes:
    hash_ = decode_base64(line)
    if len(hash_) != HASH_SIZE:
        raise VerificationError(f"malformed proof: expected hashes of {HASH_SIZE} bytes, came {len(hash_)}")
    return hash_
