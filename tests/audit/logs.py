"""Example logs for these tests: entries of a few cases, their leaves, and signed checkpoints. Nothing is random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.audit.merkle import Frontier, NodeLookup, leaf_hash
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey

ORIGIN = "log.hospital.example/arbiter"
SIGNER = Ed25519NoteSigner(ORIGIN, sha256(b"the log's test key").digest())
KEYS = (VerifierKey.parse(SIGNER.verifier_key),)
BEGIN = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
FACTS = b'{"respiratory-rate":"24"}'
OPINION = b'{"votes":"review"}'


def salt(label: str) -> bytes:
    """Return 32 bytes that depend on `label`."""
    return sha256(b"salt " + label.encode()).digest()


def example_entry(case: str, seq: int, prev: str, number: int = 0, *, closes: bool = False) -> Entry:
    """Return an entry whose commitments open to FACTS and OPINION under `salt`."""
    return Entry(
        type="case.released" if closes else "opinion.recorded",
        case=case,
        seq=seq,
        prev=prev,
        at=BEGIN + timedelta(microseconds=number),
        actor="member:news2",
        trace="0af7651916cd43dd8448eb211c80319c",
        versions=(("code", "0.1.0"), ("protocol", "deterioration@1")),
        commits=(
            ("facts", commit("facts", salt("facts"), FACTS)),
            ("opinion", commit("opinion", salt("opinion"), OPINION)),
        ),
        count=seq + 1 if closes else None,
    )


@dataclass(frozen=True)
class ExampleLog:
    """Entries' bytes, their leaf hashes, and the notes of the checkpoints signed along the way."""

    entries: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    notes: tuple[bytes, ...]

    @property
    def rows(self) -> list[tuple[int, bytes | None, bytes]]:
        """The rows as the database would tell them."""
        return [(i, *pair) for i, pair in enumerate(zip(self.entries, self.leaves, strict=True))]


@cache
def example_entries(size: int, cases: int = 3) -> tuple[bytes, ...]:
    """Return `size` entries dealt out in turn to `cases` cases; each case's fifth entry closes it."""
    heads = dict.fromkeys(range(cases), (0, FIRST_PREV))
    entries = []
    for number in range(size):
        seq, prev = heads[number % cases]
        data = example_entry(f"case-{number % cases:04d}", seq, prev, number, closes=seq == 4).to_bytes()
        heads[number % cases] = (seq + 1, leaf_hash(data).hex())
        entries.append(data)
    return tuple(entries)


@cache
def example_log(size: int, *checkpoint_sizes: int) -> ExampleLog:
    """Return a log of `size` entries with checkpoints at the given sizes; without any, at its full size."""
    entries = example_entries(size)
    leaves = tuple(map(leaf_hash, entries))
    return ExampleLog(entries, leaves, tuple(note_at(leaves, n) for n in checkpoint_sizes or (size,)))


def note_at(leaves: Sequence[bytes], size: int) -> bytes:
    """Return the signed checkpoint of the first `size` leaves."""
    return sign_checkpoint(
        Checkpoint(ORIGIN, size, Frontier().extend(leaves[:size]).frontier.root()), [SIGNER]
    )


def nodes_of(leaves: Sequence[bytes]) -> NodeLookup:
    """Return a lookup of every perfect subtree over `leaves`."""
    rows = [list(leaves)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        pairs = zip(row[::2], row[1::2], strict=False)
        rows.append([sha256(b"\x01" + left + right).digest() for left, right in pairs])
    return lambda level, index: rows[level][index]
