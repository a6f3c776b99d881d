"""A log that changed its origin: accepted only where its first entry beyond the old one says why, in notes that hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.contradiction import PrefixProof
from arbiter.audit.entry import FIRST_PREV, Entry, commit
from arbiter.audit.merkle import leaf_hash, prove_consistency, root_of
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, sign_note
from arbiter.audit.recovery import (
    RECOVERED,
    RECOVERY_CHAIN,
    STATEMENT,
    Loss,
    Statement,
    verify_recovery,
)
from arbiter.audit.verify import LogRefusedError, LogReport, Row, verify_log
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_entry, example_log, nodes_of, note_at

LOST = 30
LEFT = 20
LOG = example_log(LOST, 8, LEFT)
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


def test_a_recovered_log_verifies_and_says_what_was_lost() -> None:
    report = GOOD.verify()
    assert (report.entries, report.newest and report.newest.origin) == (LEFT + 4, NEW.name)
    (recovery,) = report.recoveries
    assert (recovery.statement.lost, recovery.index, recovery.signed_by_old) == ((LEFT, LOST), LEFT, True)
    assert str(recovery) == (
        f"entries {LEFT} to {LOST - 1} of {ORIGIN} were lost; {NEW.name} begins at entry {LEFT}"
    )


def test_a_log_that_never_was_recovered_says_nothing_of_it() -> None:
    assert verify_log([LOG.rows[:LEFT]], LOG.notes, ALL_KEYS).recoveries == ()


def test_without_the_old_key_it_verifies_and_says_so() -> None:
    (recovery,) = recovered(signers=(NEW,)).verify().recoveries
    assert not recovery.signed_by_old


def test_a_database_that_lost_everything_begins_with_the_recovery() -> None:
    said = replace(SAID, stored=None, lost=(0, LOST))
    report = recovered(said, left=(), notes=()).verify()
    assert (report.recoveries[0].index, report.entries) == (0, 4)


# --- the entry and where it stands -----------------------------------------------------------------------------------


def test_an_origin_that_changes_without_an_entry_is_refused() -> None:
    entries = (*LOG.entries[:LEFT], *GOOD.entries[LEFT + 1 :])
    leaves = [leaf_hash(entry) for entry in entries]
    bare = Recovered(entries, (*LOG.notes, of_new(leaves, len(entries))), GOOD.statements)
    assert f"the origin changes from {ORIGIN} to {NEW.name} here, and the entry is opinion" in bare.refusal()


def test_a_removed_entry_is_refused_although_all_after_it_was_signed_anew() -> None:
    entries = (*GOOD.entries[:LEFT], *GOOD.entries[LEFT + 1 :])
    leaves = [leaf_hash(entry) for entry in entries]
    cut = replace(GOOD, entries=entries, notes=(*LOG.notes, of_new(leaves, len(entries))), kept=None)
    assert "not log.recovered" in cut.refusal()


def test_an_entry_that_is_gone_explains_nothing() -> None:
    rows = GOOD.rows
    rows[LEFT] = (LEFT, None, rows[LEFT][2])
    with pytest.raises(LogRefusedError) as refused:
        verify_log([rows], GOOD.notes, ALL_KEYS, statements=GOOD.statements)
    said = "; ".join(finding.detail for finding in refused.value.findings)
    assert f"entry {LEFT} is gone" in said
    assert "no entry log.recovered says why" in said


def test_an_entry_that_is_not_the_first_is_refused() -> None:
    before, entry, after, *rest = GOOD.entries[LEFT - 1 :]
    entries = (*GOOD.entries[: LEFT - 1], before, after, entry, *rest)
    leaves = [leaf_hash(entry) for entry in entries]
    late = replace(
        GOOD, entries=entries, notes=(*LOG.notes, of_new(leaves, len(entries))), kept=None
    ).refusal()
    assert "not log.recovered" in late
    assert "log.recovered where no origin begins" in late


def test_a_recovery_in_a_log_whose_origin_stays_is_refused() -> None:
    entries = GOOD.entries
    leaves = [leaf_hash(entry) for entry in entries]
    same = Recovered(entries, (*LOG.notes, note_at(leaves, len(entries))), GOOD.statements)
    assert f"entry {LEFT}: log.recovered where no origin begins" in same.refusal()


def test_a_recovery_in_another_chain_is_refused() -> None:
    note = SAID.sign((SIGNER, NEW))
    entry = replace(recovery_entry(note), case="house").to_bytes()
    assert "expected recovery" in resealed(entry).refusal()


def resealed(entry: bytes, statements: Mapping[int, tuple[bytes, bytes]] = GOOD.statements) -> Recovered:
    """Return the good log with another entry in the recovery's place, honestly sealed."""
    entries = (*GOOD.entries[:LEFT], entry, *GOOD.entries[LEFT + 1 :])
    leaves = [leaf_hash(each) for each in entries]
    notes = (*LOG.notes, of_new(leaves, LEFT + 1), of_new(leaves, len(entries)))
    return Recovered(entries, notes, statements, notes[-1])


def test_an_entry_that_commits_to_nothing_is_refused() -> None:
    note = SAID.sign((SIGNER, NEW))
    entry = replace(recovery_entry(note), commits=()).to_bytes()
    assert "is not the one that the entry commits to" in resealed(entry).refusal()


def test_an_entry_that_commits_to_more_is_refused() -> None:
    note = SAID.sign((SIGNER, NEW))
    entry = recovery_entry(note)
    more = replace(entry, commits=(*entry.commits, ("zero", "0" * 64)))
    assert "is not the one that the entry commits to" in resealed(more.to_bytes()).refusal()


@pytest.mark.parametrize("statements", [{}, {1: GOOD.statements[0]}])
def test_a_statement_that_is_not_shown_explains_nothing(
    statements: Mapping[int, tuple[bytes, bytes]],
) -> None:
    assert "is not there to be read" in replace(GOOD, statements=statements).refusal()


@given(st.integers(0, len(GOOD.statements[0][1]) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_statement_is_refused(place: int, by: int) -> None:
    salt, note = GOOD.statements[0]
    changed = bytes(b ^ by if i == place else b for i, b in enumerate(note))
    assert (
        "is not the one that the entry commits to" in replace(GOOD, statements={0: (salt, changed)}).refusal()
    )
    refused = replace(GOOD, statements={0: (b"x" * 32, note)}).refusal()
    assert "is not the one that the entry commits to" in refused
    assert "a salt has 32 bytes" in replace(GOOD, statements={0: (b"", note)}).refusal()


# --- what the statement says -------------------------------------------------------------------------------------------

OTHER_LEAVES = (*LOG.leaves[:12], *reversed(LOG.leaves[12:]))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (replace(SAID, kept=note_at(LOG.leaves, LEFT)), "the database was not behind"),
        (replace(SAID, kept=note_at(LOG.leaves, 8), lost=(LEFT, 8)), "the database was not behind"),
        (replace(SAID, lost=(LEFT, LOST - 1)), "not the one that its notes prove"),
        (replace(SAID, lost=(LEFT + 1, LOST)), "not the one that its notes prove"),
        (replace(SAID, lost=(None, LOST)), "not the one that its notes prove"),
        (replace(SAID, by=("anna", "anna")), "two different persons"),
        (replace(SAID, by=("anna",)), "two different persons"),
        (replace(SAID, by=("anna", "ben", "carl")), "two different persons"),
        (replace(SAID, by=()), "two different persons"),
        (replace(SAID, kept=of_new(LOG.leaves, LOST)), f"of origin {NEW.name}, expected"),
        (replace(SAID, kept=of_new(LOG.leaves, LOST, STRANGER)), "expected"),
        (replace(SAID, kept=b"nothing"), "malformed note"),
        (replace(SAID, stored=None, lost=(0, LOST)), "does not quote the stored checkpoint"),
        (
            replace(SAID, stored=note_at(LOG.leaves, 8), lost=(8, LOST)),
            "does not quote the stored checkpoint",
        ),
        (replace(SAID, stored=note_at(OTHER_LEAVES, LEFT)), "does not quote the stored checkpoint"),
        (replace(SAID, old=NEW.name), "old and new origin are both"),
        (replace(SAID, old=STRANGER.name), "expected log.elsewhere.example"),
        (replace(SAID, kind=Loss.FORKED, lost=(None, LOST)), "a fork needs a stored checkpoint not smaller"),
        (
            replace(SAID, kind=Loss.FORKED, kept=note_at(LOG.leaves, LEFT), lost=(None, LEFT)),
            "they agree",
        ),
        (
            replace(SAID, kind=Loss.FORKED, kept=note_at(OTHER_LEAVES, 16), lost=(None, 16)),
            "nothing shows",
        ),
        (replace(SAID, prefix=PrefixProof(b"f" * 32, ())), "the database was not behind"),
    ],
)
def test_a_statement_that_its_notes_do_not_bear_out_is_refused(said: Statement, reason: str) -> None:
    assert reason in recovered(said).refusal()


def test_a_statement_about_another_database_is_refused() -> None:
    elsewhere = example_log(26, 22)
    leaves = [leaf_hash(entry + b" ") for entry in elsewhere.entries]
    kept, stored = (
        sign_checkpoint(Checkpoint(STRANGER.name, size, root_of(leaves[:size])), [STRANGER])
        for size in (26, 22)
    )
    said = replace(SAID, old=STRANGER.name, kept=kept, stored=stored, lost=(22, 26))
    assert "does not quote the stored checkpoint" in recovered(said, (STRANGER, NEW)).refusal()


@pytest.mark.parametrize("signers", [(SIGNER,), (SIGNER, THIRD), (STRANGER,)])
def test_a_statement_that_the_new_key_did_not_sign_is_refused(signers: tuple[Ed25519NoteSigner, ...]) -> None:
    assert f"no known key of the new origin {NEW.name} signed it" in recovered(signers=signers).refusal()


def test_a_statement_for_another_new_origin_is_refused() -> None:
    said = replace(SAID, new=THIRD.name)
    assert "not the origin after it" in recovered(said, (SIGNER, THIRD)).refusal()


def test_without_the_old_origins_key_nothing_of_it_is_believed() -> None:
    with pytest.raises(LogRefusedError, match="by a known key"):
        verify_log([GOOD.rows], GOOD.notes, [VerifierKey.parse(NEW.verifier_key)], statements=GOOD.statements)


def rewritten(text: str) -> bytes:
    return sign_note(text, [SIGNER, NEW])


FIELDS = json.loads(SAID.sign([NEW]).split(b"\n\n")[0])


@pytest.mark.parametrize(
    "change",
    [
        {"format": "arbiter/recovery/v2"},
        {"kind": "mislaid"},
        {"by": "anna"},
        {"by": [1, 2]},
        {"lost": [LEFT, LOST]},
        {"lost": {"start": LEFT}},
        {"lost": {"start": "20", "end": LOST}},
        {"at": "then"},
        {"reason": 1},
        {"kept": 1},
        {"stored": 1},
        {"prefix": "x"},
        {"more": "x"},
        {"words": None},
    ],
)
def test_a_statement_in_another_form_is_refused(change: dict[str, object]) -> None:
    fields = {k: v for k, v in sorted((FIELDS | change).items()) if v is not None}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False) + "\n"
    with pytest.raises(VerificationError):
        verify_recovery(rewritten(text), ALL_KEYS)


@pytest.mark.parametrize("text", ["\n", "{}\n", "[]\n", "arbiter\n", '{"format":"arbiter/recovery/v1"}\n'])
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        verify_recovery(rewritten(text), ALL_KEYS)


def test_the_fields_are_those_that_this_test_changes() -> None:
    text = json.dumps(dict(sorted(FIELDS.items())), separators=(",", ":"), ensure_ascii=False) + "\n"
    assert verify_recovery(rewritten(text), ALL_KEYS).statement == SAID


# --- origins ---------------------------------------------------------------------------------------------------------


def test_a_new_origin_that_signs_no_new_entry_is_refused() -> None:
    notes = (*LOG.notes, of_new(LOG.leaves, LEFT))
    with pytest.raises(LogRefusedError, match=f"signs {LEFT} entries, and {ORIGIN} had signed {LEFT}"):
        verify_log([LOG.rows[:LEFT]], notes, ALL_KEYS)


def test_an_origin_that_was_left_does_not_come_back() -> None:
    more = (*GOOD.entries, example_entry("again", 0, FIRST_PREV).to_bytes())
    leaves = [leaf_hash(entry) for entry in more]
    back = replace(GOOD, entries=more, notes=(*GOOD.notes, note_at(leaves, len(more))), kept=None)
    assert f"origin {ORIGIN} was left and comes back after {NEW.name}" in back.refusal()


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


def test_a_log_may_be_recovered_twice() -> None:
    assert [r.statement.new for r in twice().verify().recoveries] == [NEW.name, THIRD.name]


def test_of_two_recoveries_neither_may_be_missing() -> None:
    for seq in (0, 1):
        statements = {n: said for n, said in twice().statements.items() if n != seq}
        assert "is not there to be read" in replace(twice(), statements=statements).refusal()


def test_two_recoveries_statements_cannot_change_places() -> None:
    first, second = twice().statements[0], twice().statements[1]
    assert "commits to" in replace(twice(), statements={0: second, 1: first}).refusal()


# --- checkpoints that outsiders kept -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8, LEFT, LEFT + 1, LOST - 1, LOST])
def test_an_old_checkpoint_that_the_recovery_covers_is_believed(size: int) -> None:
    assert replace(GOOD, kept=note_at(LOG.leaves, size)).verify().kept == Checkpoint(
        ORIGIN, size, root_of(LOG.leaves[:size])
    )


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_an_old_checkpoint_of_another_history_is_a_fork(size: int) -> None:
    forked = replace(GOOD, kept=note_at(OTHER_LEAVES, size)).refusal()
    assert f"kept checkpoint of size {size} contradicts the log (a fork)" in forked


def test_an_old_checkpoint_of_the_lost_size_with_another_root_is_a_fork() -> None:
    forked = replace(GOOD, kept=note_at(OTHER_LEAVES, LOST)).refusal()
    assert "more was lost than it says" in forked


def test_an_old_checkpoint_beyond_what_the_recovery_quotes_is_refused() -> None:
    more = example_log(LOST + 5)
    beyond = replace(GOOD, kept=note_at(more.leaves, LOST + 1)).refusal()
    assert f"which quotes one of {LOST}: more was lost than it says" in beyond


@pytest.mark.parametrize("size", [5, 8, LEFT])
def test_a_new_origins_checkpoint_over_old_entries_alone_must_have_their_root(size: int) -> None:
    assert "contradicts the log (a fork)" in replace(GOOD, kept=of_new(OTHER_LEAVES, max(size, 13))).refusal()


def test_a_checkpoint_of_a_third_origin_is_not_this_logs() -> None:
    kept = of_new(GOOD.leaves, LEFT + 4, THIRD)
    assert f"kept checkpoint is of origin {THIRD.name}" in replace(GOOD, kept=kept).refusal()


def test_a_cut_tail_of_the_new_origin_is_caught_by_its_kept_checkpoint() -> None:
    cut = replace(GOOD, entries=GOOD.entries[: LEFT + 1], notes=GOOD.notes[:-1])
    assert f"the log ends at size {LEFT + 1}, the kept checkpoint has size {LEFT + 4}" in cut.refusal()


# --- forks -----------------------------------------------------------------------------------------------------------


def forked(kept_size: int) -> Recovered:
    """Return the log of what is left, recovered because a kept checkpoint contradicted it."""
    prefix = None
    if kept_size != LEFT:
        nodes = nodes_of(LOG.leaves[:LEFT])
        prefix = PrefixProof(root_of(LOG.leaves[:kept_size]), prove_consistency(kept_size, LEFT, nodes))
    said = replace(
        SAID, kind=Loss.FORKED, kept=note_at(OTHER_LEAVES, kept_size), lost=(None, kept_size), prefix=prefix
    )
    return recovered(said)


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_a_fork_is_quoted_and_believed(size: int) -> None:
    (recovery,) = forked(size).verify().recoveries
    assert "from an unknown one on (a fork)" in str(recovery)
    quoted = replace(forked(size), kept=note_at(OTHER_LEAVES, size))
    assert quoted.verify().kept is not None


@pytest.mark.parametrize("size", [14, 15, 17, LEFT, LEFT + 1])
def test_another_checkpoint_of_the_other_history_is_still_a_fork(size: int) -> None:
    refused = replace(forked(16), kept=note_at(OTHER_LEAVES, size)).refusal()
    assert "contradicts the log (a fork)" in refused or "more was lost than it says" in refused


def test_a_quoted_fork_that_no_entry_commits_to_explains_nothing() -> None:
    """Its statement lies beside the log, well signed, and the log does not hold it."""
    statements = {7: forked(16).statements[0]}
    plain = Recovered(LOG.entries[:LEFT], LOG.notes, statements, note_at(OTHER_LEAVES, 16))
    assert "contradicts the log (a fork)" in plain.refusal()


@pytest.mark.parametrize("size", [13, 16, LEFT])
def test_a_log_cut_below_a_quoted_fork_is_behind_where_no_entry_quotes_it(size: int) -> None:
    """The recovery and what it stood on are cut away; its statement alone must not explain the kept checkpoint."""
    statements = forked(size).statements
    cut = Recovered(LOG.entries[:8], LOG.notes[:1], statements, note_at(OTHER_LEAVES, size))
    assert f"the log ends at size 8, the kept checkpoint has size {size}" in cut.refusal()
