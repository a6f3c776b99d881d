"""A log that changed its origin: accepted only where its first entry beyond the old one says why, in notes that hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, LogKey, open_checkpoint, sign_checkpoint
from arbiter.audit.contradiction import PrefixProof
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey, sign_note
from arbiter.audit.recovery import Loss, Statement, verify_recovery
from arbiter.audit.verify import LogRefusedError, verify_log
from arbiter.errors import VerificationError
from tests.audit.logs import ORIGIN, SIGNER, example_log, note_at
from tests.audit.recoveries import (
    ALL_KEYS,
    GOOD,
    LEFT,
    LOG,
    LOST,
    NEW,
    SAID,
    STRANGER,
    THIRD,
    of_new,
    of_other,
    recovered,
    recovery_entry,
    resealed,
    under_new,
)


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


def test_a_statement_vouches_for_the_keys_that_it_names() -> None:
    key = VerifierKey.parse(NEW.verifier_key)
    said = replace(SAID, keys=(key, VerifierKey.parse(MlDsa44Key(NEW.name, b"2" * 32).verifier_key)))
    (recovery,) = recovered(said).verify().recoveries
    assert recovery.statement == said
    assert recovered().verify().recoveries[0].statement.keys == ()


@pytest.mark.parametrize(
    "keys",
    [
        (Ed25519NoteSigner(NEW.name, b"n" * 32).verifier_key,),
        (THIRD.verifier_key,),
        (NEW.verifier_key, THIRD.verifier_key),
        (MlDsa44Key(NEW.name, b"2" * 32).verifier_key,),
    ],
    ids=["a namesake's", "another origin's", "another's beside", "none of Ed25519"],
)
def test_a_statement_that_names_keys_which_did_not_sign_it_is_refused(keys: tuple[str, ...]) -> None:
    said = replace(SAID, keys=tuple(map(VerifierKey.parse, keys)))
    assert "first key that it names" in recovered(said).refusal()


@pytest.mark.parametrize(("last", "counts"), [(LOST, True), (LOST - 1, False), (LEFT, False)])
def test_a_retired_key_does_not_speak_for_the_old_origin(last: int, *, counts: bool) -> None:
    """The kept checkpoint is of a size that is another key's to sign: only that one can say that it was lost."""
    keys = [replace_range(key, last) if key.name == ORIGIN else key for key in ALL_KEYS]
    present = Ed25519NoteSigner(ORIGIN, sha256(b"the key that followed").digest())
    said = replace(SAID, kept=sign_checkpoint(open_checkpoint(SAID.kept, ALL_KEYS).checkpoint, [present]))
    note = said.sign([SIGNER, NEW])
    recovery = verify_recovery(note, (*keys, VerifierKey.parse(present.verifier_key)))
    assert recovery.signed_by_old is counts


@pytest.mark.parametrize(("first", "last"), [(0, LEFT), (LEFT + 2, None)])
def test_a_key_that_may_not_sign_the_first_checkpoint_cannot_begin_an_origin(
    first: int, last: int | None
) -> None:
    keys = [replace_range(key, last, first) if key.name == NEW.name else key for key in ALL_KEYS]
    with pytest.raises(VerificationError, match=f"no known key of the new origin {NEW.name} signed it"):
        verify_recovery(SAID.sign([SIGNER, NEW]), keys)


def replace_range(key: VerifierKey, last: int | None, first: int = 0) -> LogKey:
    return LogKey(key.name, key.type, key.public_key, first, last)


# --- the entry and where it stands -----------------------------------------------------------------------------------


def test_an_origin_that_changes_without_an_entry_is_refused() -> None:
    bare = under_new((*LOG.entries[:LEFT], *GOOD.entries[LEFT + 1 :]))
    assert f"the origin changes from {ORIGIN} to {NEW.name} here, and the entry is opinion" in bare.refusal()


def test_a_removed_entry_is_refused_although_all_after_it_was_signed_anew() -> None:
    cut = under_new((*GOOD.entries[:LEFT], *GOOD.entries[LEFT + 1 :]))
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
    late = under_new((*GOOD.entries[: LEFT - 1], before, after, entry, *rest)).refusal()
    assert "not log.recovered" in late
    assert "log.recovered where no origin begins" in late


def test_a_recovery_in_a_log_whose_origin_stays_is_refused() -> None:
    notes = (*LOG.notes, note_at(GOOD.leaves, len(GOOD.entries)))
    same = replace(GOOD, notes=notes, kept=None)
    assert f"entry {LEFT}: log.recovered where no origin begins" in same.refusal()


def test_a_recovery_in_another_chain_is_refused() -> None:
    note = SAID.sign((SIGNER, NEW))
    entry = replace(recovery_entry(note), case="house").to_bytes()
    assert "expected recovery" in resealed(entry).refusal()


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
        (replace(SAID, kept=of_new(LOG.leaves, LOST, STRANGER)), f"of origin {STRANGER.name}, expected"),
        (replace(SAID, kept=b"nothing"), "malformed note"),
        (replace(SAID, stored=None, lost=(0, LOST)), "does not quote the stored checkpoint"),
        (
            replace(SAID, stored=note_at(LOG.leaves, 8), lost=(8, LOST)),
            "does not quote the stored checkpoint",
        ),
        (replace(SAID, stored=of_other(LEFT)), "does not quote the stored checkpoint"),
        (replace(SAID, old=NEW.name), "old and new origin are both"),
        (replace(SAID, old=STRANGER.name), "expected log.elsewhere.example"),
        (replace(SAID, kind=Loss.FORKED, lost=(None, LOST)), "a fork needs a stored checkpoint not smaller"),
        (
            replace(SAID, kind=Loss.FORKED, kept=note_at(LOG.leaves, LEFT), lost=(None, LEFT)),
            "they agree",
        ),
        (
            replace(SAID, kind=Loss.FORKED, kept=of_other(16), lost=(None, 16)),
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
