"""A case's entries with their proofs under one checkpoint: what an auditor is handed of one case, checkable offline.

The document is canonical JSON: `format` ("arbiter/case-proofs/v1"), `case` (the chain's name), `checkpoint` (a signed
note) and `entries`, in the chain's order, each `{index, entry, proof}`: the leaf's index as a decimal string, the
entry's bytes as text, and the audit path's hashes in base64, leaf's sibling first. Every entry stands under the same
checkpoint, so that one signature is checked for all. Nothing in it is content: an entry is opaque ids and commitments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.audit.canonical import Json, canonical_bytes, parse_canonical
from arbiter.audit.checkpoint import OpenedCheckpoint, open_checkpoint
from arbiter.audit.entry import Entry, Link, check_link
from arbiter.audit.fields import exact_fields, field_of, hashes_of
from arbiter.audit.merkle import leaf_hash, verify_inclusion
from arbiter.audit.note import VerifierKey, encode_base64
from arbiter.audit.proof import MAX_HASHES, TlogProof
from arbiter.errors import VerificationError

FORMAT = "arbiter/case-proofs/v1"
MAX_BYTES = 64 * 1024 * 1024

_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry's bytes, its leaf's index, and the audit path to the root of the document's checkpoint."""

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]

    def proof(self, checkpoint: bytes) -> TlogProof:
        """Return the entry's proof as one that stands alone (C2SP tlog-proof)."""
        return TlogProof(self.index, self.hashes, checkpoint)


@dataclass(frozen=True, slots=True)
class CaseProofs:
    """Entries of one chain under one checkpoint, nothing of it verified."""

    case: str
    checkpoint: bytes
    entries: tuple[ProvenEntry, ...]

    def encode(self) -> bytes:
        """Return the document's canonical JSON."""
        return canonical_bytes(
            {
                "format": FORMAT,
                "case": self.case,
                "checkpoint": self.checkpoint.decode("utf-8"),
                "entries": [
                    {
                        "index": str(proven.index),
                        "entry": proven.entry.decode("ascii"),
                        "proof": [encode_base64(hash_) for hash_ in proven.hashes],
                    }
                    for proven in self.entries
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> CaseProofs:
        """Return what `data` spells; raises `VerificationError` if malformed or over the size limit."""
        if len(data) > MAX_BYTES:
            raise VerificationError(f"expected proofs of at most {MAX_BYTES} bytes, came {len(data)}")
        fields = exact_fields(
            parse_canonical(data), {"format", "case", "checkpoint", "entries"}, "case proofs"
        )
        if fields["format"] != FORMAT:
            raise VerificationError(f"expected case proofs of format {FORMAT}, came another")
        return cls(
            field_of(fields, "case", str, "case proofs"),
            field_of(fields, "checkpoint", str, "case proofs").encode("utf-8"),
            tuple(
                _proven(entry, f"entry {number} of the list")
                for number, entry in enumerate(field_of(fields, "entries", list, "case proofs"))
            ),
        )


@dataclass(frozen=True, slots=True)
class VerifiedCase:
    """What the document proves: these entries of the case, gapless, at these places of the log.

    `from_start` is False for a page that begins behind the chain's first entry. `closed` tells that an entry with the
    case's count is among them. That nothing follows the last one is not proved, and cannot be.
    """

    case: str
    entries: tuple[tuple[int, Entry], ...]
    opened: OpenedCheckpoint
    from_start: bool
    closed: bool


def verify_case_proofs(data: bytes, verifiers: Iterable[VerifierKey]) -> VerifiedCase:
    """Check a case's proofs offline, from their bytes and the verifier keys alone, and return what they prove.

    Checks the log's signature, each entry's form, its inclusion at its index, that all are of the case named, and
    that each follows the one before. Raises `VerificationError` naming the entry that fails.
    """
    proofs = CaseProofs.parse(data)
    opened = open_checkpoint(proofs.checkpoint, verifiers)
    if not proofs.entries:
        raise VerificationError("expected proofs of at least one entry, came none")
    checkpoint = opened.checkpoint
    found: list[tuple[int, Entry]] = []
    before: Link | None = None
    for proven in proofs.entries:
        entry = Entry.from_bytes(proven.entry)
        if entry.case != proofs.case:
            raise VerificationError(
                f"entry at index {proven.index}: it is of another case than {proofs.case}"
            )
        if not found and entry.seq > 0:
            before = Link(entry.seq - 1, entry.prev)
        check_link(entry, before)
        if found and proven.index <= found[-1][0]:
            raise VerificationError(
                f"case {entry.case}, seq {entry.seq}: it stands before the entry it follows"
            )
        leaf = leaf_hash(proven.entry)
        verify_inclusion(leaf, proven.index, checkpoint.size, proven.hashes, checkpoint.root)
        before = Link(entry.seq, leaf.hex())
        found.append((proven.index, entry))
    return VerifiedCase(
        proofs.case,
        tuple(found),
        opened,
        from_start=found[0][1].seq == 0,
        closed=any(entry.count is not None for _, entry in found),
    )


def _proven(value: Json, place: str) -> ProvenEntry:
    fields = exact_fields(value, {"index", "entry", "proof"}, place)
    index, entry = (field_of(fields, name, str, place) for name in ("index", "entry"))
    if _INDEX.fullmatch(index) is None:
        raise VerificationError(f"{place}: expected an index")
    return ProvenEntry(int(index), entry.encode("utf-8"), hashes_of(fields, "proof", place, MAX_HASHES))
