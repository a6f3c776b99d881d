"""Logs of any shape for properties: cases interleaved, some closed, checkpoints at any sizes, some of them cosigned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.entry import FIRST_PREV, Entry
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.note import Ed25519Cosigner, Ed25519NoteSigner, Signer, VerifierKey
from arbiter.audit.verify import Finding, LogRefusedError, LogReport, Row, verify_log
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_entry

WITNESS_NAME, WITNESS_SEED = "witness.example/w1", b"w" * 32
WITNESS_KEY = VerifierKey.parse(Ed25519Cosigner(WITNESS_NAME, WITNESS_SEED, 0).verifier_key)
KNOWN = (*KEYS, WITNESS_KEY)
STRANGER = Ed25519NoteSigner(ORIGIN, b"s" * 32)
often = settings(max_examples=40, deadline=None)
DATA = st.data()
DEGENERATE = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)


def cosigner(timestamp_seconds: int) -> Ed25519Cosigner:
    """Return the witness at one moment."""
    return Ed25519Cosigner(WITNESS_NAME, WITNESS_SEED, timestamp_seconds)


def signed(
    leaves: Sequence[bytes], size: int, *cosigners: Signer, origin: str = ORIGIN, log: Signer = SIGNER
) -> bytes:
    """Return the checkpoint of the first `size` leaves, signed by the log and these witnesses."""
    return sign_checkpoint(Checkpoint(origin, size, root_of(leaves[:size])), [log, *cosigners])


@dataclass(frozen=True)
class AnyLog:
    """Entries, and checkpoints as (size, note), sizes ascending, the last one of all entries."""

    entries: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    checkpoints: tuple[tuple[int, bytes], ...]

    @property
    def rows(self) -> list[Row]:
        return list(zip(range(self.size), self.entries, self.leaves, strict=True))

    @property
    def notes(self) -> list[bytes]:
        return [note for _, note in self.checkpoints]

    @property
    def size(self) -> int:
        return len(self.entries)

    def covering(self, index: int) -> tuple[int, int]:
        """Return the span of entries that only the first checkpoint beyond `index` vouches for: (first, last)."""
        sizes = [size for size, _ in self.checkpoints]
        return max((s for s in sizes if s <= index), default=0), min(s for s in sizes if s > index) - 1


def rows_of(entries: Sequence[bytes]) -> list[Row]:
    """Return rows as a careful attacker leaves them: indices in order, leaf hashes fitting."""
    return [(index, entry, leaf_hash(entry)) for index, entry in enumerate(entries)]


def any_entries(chance: Random, size: int) -> tuple[bytes, ...]:
    """Return entries of up to six cases that take turns at random; some close, some go on after that."""
    heads = dict.fromkeys(range(chance.randint(1, 6)), (0, FIRST_PREV))
    # Two logs of one size differ from their first entry on.
    mark = chance.randrange(10**9)
    entries = []
    for number in range(size):
        case = chance.choice(list(heads))
        seq, prev = heads[case]
        entry = example_entry(
            f"case-{mark}-{case}", seq, prev, number, closes=seq > 2 and chance.random() < 0.2
        )
        entries.append(entry.to_bytes())
        heads[case] = (seq + 1, leaf_hash(entries[-1]).hex())
    return tuple(entries)


@cache
def any_log(seed: int, size: int) -> AnyLog:
    """Return a log of that size with checkpoints here and there and one at its end."""
    chance = Random(f"{seed} {size}")
    entries = any_entries(chance, size)
    leaves = tuple(map(leaf_hash, entries))
    sizes = {*chance.sample(range(1, size + 1), chance.randint(0, min(size, 6))), size}
    cosigners = [[cosigner(at)] if chance.random() < 0.4 else [] for at in range(len(sizes))]
    notes = [signed(leaves, n, *by) for n, by in zip(sorted(sizes), cosigners, strict=True)]
    return AnyLog(entries, leaves, tuple(zip(sorted(sizes), notes, strict=True)))


SIZES = st.sampled_from(DEGENERATE) | st.integers(1, 100)


@st.composite
def logs(draw: st.DrawFn, at_least: int = 1) -> AnyLog:
    """Any log."""
    size = draw(SIZES.filter(lambda n: n >= at_least))
    return any_log(draw(st.integers(0, 20)), size)


def verify(rows: Sequence[Row], notes: Sequence[bytes], kept: bytes | None = None) -> LogReport:
    return verify_log([rows], notes, KNOWN, kept=kept)


def refusal(
    rows: Sequence[Row],
    notes: Sequence[bytes],
    kept: bytes | None = None,
    known: Sequence[VerifierKey] = KNOWN,
) -> tuple[Finding, ...]:
    """Return what verification finds; it must refuse."""
    try:
        report = verify_log([rows], notes, known, kept=kept)
    except LogRefusedError as refused:
        return refused.findings
    raise AssertionError(f"not refused: {report}")


def changed_entry(entry: bytes, **changes: object) -> bytes:
    """Return an entry's bytes with other values in some fields."""
    fields = {name: getattr(Entry.from_bytes(entry), name) for name in Entry.__dataclass_fields__}
    return Entry(**{**fields, **changes}).to_bytes()


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# --- the words of findings ---------------------------------------------------------------------------------------


def words(findings: Iterable[Finding]) -> str:
    return "\n".join(finding.detail for finding in findings)


def index_in(log: AnyLog, data: st.DataObject) -> int:
    return data.draw(st.integers(0, log.size - 1), label="index")


def not_as_signed(first: int, last: int) -> str:
    return f"entry {first} not as signed" if first == last else f"entries {first} to {last} not as signed"


def missing(first: int, last: int) -> str:
    return f"entry {first} missing" if first == last else f"entries {first} to {last} missing"


def uncovered(first: int, last: int) -> str:
    span = f"entry {first}" if first == last else f"entries {first} to {last}"
    return f"{span} under no checkpoint"
