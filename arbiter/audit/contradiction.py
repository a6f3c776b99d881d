"""Two checkpoints that one log signed and that cannot both be true: what outsiders need to prove a fork.

Two notes of one size with different roots prove it by themselves. Of different sizes they do with a prefix proof: the
root that the larger tree had at the smaller size, and the consistency proof (RFC 9162 2.1.4) that leads from it to the
larger root. That root is another than the one that was signed, and a tree has one root at each size.

Evidence is kept as canonical JSON: `format` ("arbiter/evidence/v1"), `notes` (both, verbatim), `compared` (what compared
them, in words), `found_at`, and `prefix` (`root` and `hashes` in base64) where the sizes differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from arbiter.audit.canonical import Json, canonical_bytes, parse_canonical
from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.fields import exact_fields, field_of, hashes_of, texts_of
from arbiter.audit.merkle import verify_consistency
from arbiter.audit.note import VerifierKey, decode_base64, encode_base64
from arbiter.audit.proof import MAX_HASHES
from arbiter.errors import VerificationError

EVIDENCE_FORMAT = "arbiter/evidence/v1"
MAX_EVIDENCE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PrefixProof:
    """The root that a larger tree had at a smaller size, and the consistency proof that leads from it to the larger."""

    root: bytes
    hashes: tuple[bytes, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the proof as JSON."""
        return {"root": encode_base64(self.root), "hashes": [encode_base64(hash_) for hash_ in self.hashes]}

    @classmethod
    def from_json(cls, value: Json) -> PrefixProof:
        """Return the proof that JSON spells; raises `VerificationError`."""
        fields = exact_fields(value, {"root", "hashes"}, "prefix proof")
        root = field_of(fields, "root", str, "prefix proof")
        return cls(decode_base64(root), hashes_of(fields, "hashes", "prefix proof", MAX_HASHES))


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What two notes prove: one key of one origin signed both, and no tree has both. The smaller (or first) stands first."""

    smaller: Checkpoint
    larger: Checkpoint

    def __str__(self) -> str:
        """Say it in words."""
        if self.smaller.size == self.larger.size:
            return f"{self.smaller.origin} signed two roots for {self.smaller.size} entries"
        return (
            f"{self.smaller.origin} signed {self.larger.size} entries whose first {self.smaller.size} are not those "
            f"of its checkpoint of that size"
        )


def verify_contradiction(
    note_a: bytes, note_b: bytes, verifiers: Iterable[VerifierKey], prefix: PrefixProof | None = None
) -> Contradiction:
    """Check that two notes contradict each other and return what they prove. `prefix` is needed where the sizes differ.

    Raises `VerificationError` for a note that its log did not sign, for two logs, and for notes that may both be true.
    """
    keys = tuple(verifiers)
    first, second = (open_checkpoint(note, keys).checkpoint for note in (note_a, note_b))
    if first.origin != second.origin:
        raise VerificationError(
            f"checkpoints of two logs, {first.origin} and {second.origin}: no contradiction"
        )
    smaller, larger = (first, second) if first.size <= second.size else (second, first)
    if smaller.size == larger.size:
        if prefix is not None:
            raise VerificationError("a prefix proof between checkpoints of one size proves nothing")
        if smaller.root == larger.root:
            raise VerificationError(
                f"both checkpoints are of {smaller.size} entries and one root: they agree"
            )
        return Contradiction(smaller, larger)
    if prefix is None:
        raise VerificationError(
            f"checkpoints of {smaller.size} and {larger.size} entries: nothing shows what the larger had at size "
            f"{smaller.size}"
        )
    verify_consistency(smaller.size, prefix.root, larger.size, larger.root, prefix.hashes)
    if prefix.root == smaller.root:
        raise VerificationError(
            f"the checkpoint of {larger.size} entries extends that of {smaller.size}: they agree"
        )
    return Contradiction(smaller, larger)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two contradictory notes as kept; nothing of it is verified until `verify`."""

    notes: tuple[bytes, bytes]
    compared: str
    found_at: datetime
    prefix: PrefixProof | None = None

    def verify(self, verifiers: Iterable[VerifierKey]) -> Contradiction:
        """Return what the notes prove, or raise `VerificationError`."""
        return verify_contradiction(*self.notes, verifiers, self.prefix)

    def encode(self) -> bytes:
        """Return the evidence's canonical JSON."""
        fields: dict[str, Json] = {
            "format": EVIDENCE_FORMAT,
            "notes": [note.decode("utf-8") for note in self.notes],
            "compared": self.compared,
            "found_at": self.found_at.isoformat(timespec="microseconds"),
        }
        if self.prefix is not None:
            fields["prefix"] = self.prefix.to_json()
        return canonical_bytes(fields)

    @classmethod
    def parse(cls, data: bytes) -> Evidence:
        """Return the evidence that `data` spells; raises `VerificationError` if malformed."""
        if len(data) > MAX_EVIDENCE_BYTES:
            raise VerificationError(
                f"expected evidence of at most {MAX_EVIDENCE_BYTES} bytes, came {len(data)}"
            )
        names = {"format", "notes", "compared", "found_at"}
        fields = exact_fields(parse_canonical(data), names, "evidence", optional={"prefix"})
        if fields["format"] != EVIDENCE_FORMAT:
            raise VerificationError(f"expected evidence of format {EVIDENCE_FORMAT}, came another")
        notes = texts_of(fields, "notes", "evidence")
        if len(notes) != 2:
            raise VerificationError(f"evidence: expected two notes, came {len(notes)}")
        return cls(
            notes=(notes[0].encode("utf-8"), notes[1].encode("utf-8")),
            compared=field_of(fields, "compared", str, "evidence"),
            found_at=instant(field_of(fields, "found_at", str, "evidence")),
            prefix=PrefixProof.from_json(fields["prefix"]) if "prefix" in fields else None,
        )


def instant(text: str) -> datetime:
    """Return an instant spelt in ISO 8601 and UTC; raises `VerificationError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise VerificationError("expected an instant in ISO 8601") from error
    if at.utcoffset() != UTC.utcoffset(None):
        raise VerificationError("expected an instant in UTC")
    return at
