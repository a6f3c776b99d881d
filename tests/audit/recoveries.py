"""A log that lost entries and goes on under a new origin, put together by hand, and its statement of what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.recovery import (
    RECOVERED,
    RECOVERY_CHAIN,
    STATEMENT,
    Loss,
    Statement,
)
from arbiter.audit.verify import LogRefusedError, LogReport, Row, verify_log
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_entry, example_log, note_at

LOST = 30
LEFT = 20
LOG = example_log(LOST, 8, LEFT)
OTHER_LEAVES = (*LOG.leaves[:12], *reversed(LOG.leaves[12:]))
"""The same log up to twelve entries, and another from there on."""
NEW = Ed25519NoteSigner(f"{ORIGIN}.2", sha256(b"the new origin's test key").digest())
THIRD = Ed25519NoteSigner(f"{ORIGIN}.3", sha256(b"the third origin's test key").digest())
STRANGER = Ed25519NoteSigner("log.elsewhere.example", b"s" * 32)
ALL_KEYS = (*KEYS, *(VerifierKey.parse(signer.verifier_key) for signer in (NEW, THIRD, STRANGER)))
AT = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
SALT = b"r" * 32
SAID = Statement(
    kind=Loss.BEHIND,
    old=ORIGIN,
    new=NEW.name,
    kept=note_at(LOG.leaves, LOST),
    stored=note_at(LOG.leaves, LEFT),
    lost=(LEFT, LOST),
    by=("anna", "ben"),
    at=AT,
    reason="the disk is gone",
    words="what to do",
)


def of_new(leaves: Sequence[bytes], size: int, signer: Ed25519NoteSigner = NEW) -> bytes:
    return sign_checkpoint(Checkpoint(signer.name, size, root_of(leaves[:size])), [signer])


@dataclass(frozen=True)
class Recovered:
    """A log that goes on after a recovery: rows, notes, and what the recovery's entry commits to."""

    entries: tuple[bytes, ...]
    notes: tuple[bytes, ...]
    statements: Mapping[int, tuple[bytes, bytes]]
    kept: bytes | None = None

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(entry) for entry in self.entries]

    @property
    def rows(self) -> list[Row]:
        return [(i, entry, leaf_hash(entry)) for i, entry in enumerate(self.entries)]

    def verify(self) -> LogReport:
        return verify_log([self.rows], self.notes, ALL_KEYS, kept=self.kept, statements=self.statements)

    def refusal(self) -> str:
        with pytest.raises(LogRefusedError) as refused:
            self.verify()
        return "; ".join(finding.detail for finding in refused.value.findings)


def recovery_entry(note: bytes, seq: int = 0, prev: str = FIRST_PREV) -> Entry:
    return Entry(
        type=RECOVERED,
        case=RECOVERY_CHAIN,
        seq=seq,
        prev=prev,
        at=AT,
        actor="anna",
        trace="",
        versions=(("code", "test"),),
        commits=((STATEMENT, commit(STATEMENT, SALT, note)),),
    )


def recovered(
    said: Statement = SAID,
    signers: Sequence[Ed25519NoteSigner] = (SIGNER, NEW),
    left: Sequence[bytes] = LOG.entries[:LEFT],
    notes: Sequence[bytes] = LOG.notes,
) -> Recovered:
    """Return a log of what is left, the recovery and three entries more, honestly sealed under the new origin."""
    note = said.sign(signers)
    more = [example_entry(f"later-{i}", 0, FIRST_PREV).to_bytes() for i in range(3)]
    entries = (*left, recovery_entry(note).to_bytes(), *more)
    leaves = [leaf_hash(entry) for entry in entries]
    new = [of_new(leaves, len(left) + 1), of_new(leaves, len(entries))]
    return Recovered(entries, (*notes, *new), {0: (SALT, note)}, new[-1])


GOOD = recovered()
