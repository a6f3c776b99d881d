"""Checkpoints (C2SP tlog-checkpoint): a tree head as a signed note.

Arbiter's checkpoints have no extension lines, and the log's key is named like the log's origin, so that a key
trusted for one log cannot speak for another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arbiter.audit.merkle import EMPTY_ROOT, HASH_SIZE
from arbiter.audit.note import (
    NoteSignature,
    SignatureType,
    Signer,
    VerifiedSignature,
    VerifierKey,
    decode_base64,
    encode_base64,
    is_key_name,
    open_note,
    sign_note,
)
from arbiter.errors import VerificationError

MAX_SIZE = 2**63 - 1

_BODY = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/=]{44})\n")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's `origin` with the `size` and `root` hash of its tree. Raises `ValueError` for unfit values."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.origin):
            raise ValueError("an origin is not empty and has no spaces, control characters or plus")
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"tree size {self.size} is out of range")
        if len(self.root) != HASH_SIZE:
            raise ValueError(f"a root hash has {HASH_SIZE} bytes, not {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ValueError("the empty tree has another root")

    def body(self) -> str:
        """Return the note's text: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, body: str) -> Checkpoint:
        """Return the checkpoint that a note's text spells; raises `VerificationError` for any other text."""
        match = _BODY.fullmatch(body)
        if match is None:
            raise VerificationError("expected a checkpoint of three lines: origin, size, root hash")
        try:
            return cls(match[1], int(match[2]), decode_base64(match[3]))
        except ValueError as error:
            raise VerificationError(f"expected a checkpoint: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class LogKey(VerifierKey):
    """A key of the log itself with the sizes of the checkpoints that it may sign; `last_size` None: not retired."""

    first_size: int = 0
    last_size: int | None = None

    def may_sign(self, size: int) -> bool:
        """Tell whether a checkpoint of this size is the key's to sign."""
        return self.first_size <= size and (self.last_size is None or size <= self.last_size)

    def public(self) -> VerifierKey:
        """Return the key without its range."""
        return VerifierKey(self.name, self.type, self.public_key)


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint that the log signed, with all verified signatures and the lines of unknown keys."""

    checkpoint: Checkpoint
    signatures: tuple[VerifiedSignature, ...]
    unknown: tuple[NoteSignature, ...]

    @property
    def cosignatures(self) -> tuple[VerifiedSignature, ...]:
        """The witnesses' signatures among the verified ones."""
        return tuple(
            s
            for s in self.signatures
            if s.key.type is not SignatureType.ED25519 and s.key.name != self.checkpoint.origin
        )

    @property
    def second(self) -> VerifiedSignature | None:
        """The log's own ML-DSA-44 signature, where the note carries one by a known key."""
        for signature in self.signatures:
            of_log = signature.key.name == self.checkpoint.origin
            if of_log and signature.key.type is SignatureType.MLDSA44_COSIGNATURE:
                return signature
        return None


def sign_checkpoint(
    checkpoint: Checkpoint, signers: Sequence[Signer], kept: Sequence[NoteSignature] = ()
) -> bytes:
    """Return the checkpoint as a signed note; `kept` are earlier lines over the same checkpoint (see `sign_note`)."""
    return sign_note(checkpoint.body(), signers, kept)


def open_checkpoint(note: bytes, verifiers: Iterable[VerifierKey]) -> OpenedCheckpoint:
    """Return the checkpoint of a note that the log itself signed, by a key of type 0x01 named like the origin.

    `verifiers` may hold witnesses' keys too: their cosignatures are verified and returned, and never stand in for the
    log's own. A `LogKey` counts only for sizes that are its to sign: a retired key's signature beyond its end, however
    good, is no signature of the log. Raises `VerificationError`.
    """
    opened = open_note(note, verifiers)
    checkpoint = Checkpoint.parse(opened.text)
    counted = tuple(s for s in opened.verified if _counts(s.key, checkpoint))
    if not any(s.key.type is SignatureType.ED25519 and s.key.name == checkpoint.origin for s in counted):
        beyond = [s.key for s in opened.verified if s not in counted and isinstance(s.key, LogKey)]
        if beyond:
            key = beyond[0]
            last = "on" if key.last_size is None else f"to {key.last_size}"
            raise VerificationError(
                f"checkpoint of size {checkpoint.size}: signed only by key {key.label}, which "
                f"may sign sizes from {key.first_size} {last}"
            )
        raise VerificationError(
            f"checkpoint of size {checkpoint.size}: no known key of its origin {checkpoint.origin} signed it"
        )
    return OpenedCheckpoint(checkpoint, counted, opened.unknown)


def _counts(key: VerifierKey, checkpoint: Checkpoint) -> bool:
    return not isinstance(key, LogKey) or key.may_sign(checkpoint.size)
