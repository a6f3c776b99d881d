"""A log that lost entries and goes on under a new origin, put together by hand, and its statement of what was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.contradiction import PrefixProof
from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.audit.merkle import leaf_hash, prove_consistency, root_of
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.recovery import RECOVERED, RECOVERY_CHAIN, STATEMENT, Loss, Statement
from arbiter.audit.verify import LogRefusedError, LogReport, Row, verify_log
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_entry, example_log, nodes_of, note_at

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


def of_other(size: int, signer: Ed25519NoteSigner = SIGNER) -> bytes:
    """Return a checkpoint of the other history, by the old origin where no other is named."""
    return of_new(OTHER_LEAVES, size, signer)


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


def under_new(entries: tuple[bytes, ...]) -> Recovered:
    """Return these entries as the new origin signs them after the old one's notes, beside the good log's statement."""
    leaves = [leaf_hash(entry) for entry in entries]
    return Recovered(entries, (*LOG.notes, of_new(leaves, len(entries))), GOOD.statements)


def resealed(entry: bytes, statements: Mapping[int, tuple[bytes, bytes]] = GOOD.statements) -> Recovered:
    """Return the good log with another entry in the recovery's place, honestly sealed."""
    entries = (*GOOD.entries[:LEFT], entry, *GOOD.entries[LEFT + 1 :])
    leaves = [leaf_hash(each) for each in entries]
    notes = (*LOG.notes, of_new(leaves, LEFT + 1), of_new(leaves, len(entries)))
    return Recovered(entries, notes, statements, notes[-1])


def twice() -> Recovered:
    """Return the good log, recovered once more: its last two entries were lost, and one kept note told of them."""
    left = GOOD.entries[: LEFT + 2]
    leaves = [leaf_hash(entry) for entry in left]
    stored = of_new(leaves, LEFT + 2)
    said = replace(
        SAID, old=NEW.name, new=THIRD.name, kept=GOOD.notes[-1], stored=stored, lost=(LEFT + 2, LEFT + 4)
    )
    note = said.sign((NEW, THIRD))
    entry = recovery_entry(note, 1, leaf_hash(GOOD.entries[LEFT]).hex()).to_bytes()
    entries = (*left, entry)
    leaves = [leaf_hash(each) for each in entries]
    last = of_new(leaves, len(entries), THIRD)
    notes = (*GOOD.notes[:-1], stored, last)
    return Recovered(entries, notes, {**GOOD.statements, 1: (SALT, note)}, last)


def forked(kept_size: int) -> Recovered:
    """Return the log of what is left, recovered because a kept checkpoint contradicted it."""
    prefix = None
    if kept_size != LEFT:
        nodes = nodes_of(LOG.leaves[:LEFT])
        prefix = PrefixProof(root_of(LOG.leaves[:kept_size]), prove_consistency(kept_size, LEFT, nodes))
    said = replace(SAID, kind=Loss.FORKED, kept=of_other(kept_size), lost=(None, kept_size), prefix=prefix)
    return recovered(said)
