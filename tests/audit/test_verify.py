"""The whole log: every flip, loss, insertion, swap, cut and fork is refused, and the message names the place."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.entry import FIRST_PREV, Entry
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.verify import MAX_FINDINGS, LogRefusedError, LogReport, LogVerifier, Row, verify_log
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, ORIGIN, SIGNER, example_entry, example_log, note_at

SIZES = (1, 3, 8, 20, 21, 30)
LOG = example_log(30, *SIZES)


def verify(rows: list[Row], notes: tuple[bytes, ...] = LOG.notes, kept: bytes | None = None) -> LogReport:
    """Verify rows in batches of seven."""
    return verify_log([rows[i : i + 7] for i in range(0, len(rows), 7)], notes, KEYS, kept=kept)


def renumbered(rows: list[Row]) -> list[Row]:
    """Return the rows as a careful attacker leaves them: indices in order, leaf hashes fitting."""
    return [(i, data, leaf_hash(data or b"")) for i, (_, data, _) in enumerate(rows)]


def refusal(
    rows: list[Row], notes: tuple[bytes, ...] = LOG.notes, kept: bytes | None = None
) -> LogRefusedError:
    """Return the refusal that the rows meet."""
    with pytest.raises(LogRefusedError) as caught:
        verify(rows, notes, kept)
    assert isinstance(caught.value, VerificationError)
    return caught.value


def test_a_whole_log_is_evidence() -> None:
    seen: list[int] = []
    report = verify_log(
        [LOG.rows[:10], LOG.rows[10:]], LOG.notes, KEYS, kept=LOG.notes[3], progress=seen.append
    )
    assert seen == [10, 30]
    assert (report.entries, report.chains, report.closed_chains, report.checkpoints) == (30, 3, 3, len(SIZES))
    assert report.root == root_of(LOG.leaves)
    assert report.newest == Checkpoint(ORIGIN, 30, root_of(LOG.leaves))
    assert report.kept is not None
    assert report.kept.size == 20


def test_an_empty_log_is_whole() -> None:
    assert verify([], ()).newest is None
    assert verify([], (note_at((), 0),)).newest is not None


def test_rows_may_come_by_and_by() -> None:
    verifier = LogVerifier(LOG.notes, KEYS)
    for row in LOG.rows:
        verifier.feed([row])
    assert verifier.entries == 30
    assert verifier.finish().entries == 30


def test_checkpoints_are_read_as_the_rows_reach_them() -> None:
    read: list[int] = []

    def notes() -> Iterator[bytes]:
        for size, note in zip(SIZES, LOG.notes, strict=True):
            read.append(size)
            yield note

    verifier = LogVerifier(notes(), KEYS)
    verifier.feed(LOG.rows[:8])
    assert read == [1, 3, 8, 20]


@given(st.integers(0, 29), st.data())
def test_a_flipped_bit_in_an_entry_is_named(index: int, data: st.DataObject) -> None:
    rows = LOG.rows
    changed = bytearray(LOG.entries[index])
    bit = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[bit // 8] ^= 1 << bit % 8
    rows[index] = (index, bytes(changed), rows[index][2])
    assert str(refusal(rows)).startswith(f"entry {index}: its bytes do not hash to the stored leaf hash")
    refusal(renumbered(rows))


@given(st.integers(0, 29), st.integers(0, 255))
def test_a_flipped_bit_in_a_stored_leaf_hash_is_named(index: int, bit: int) -> None:
    rows = LOG.rows
    changed = bytearray(rows[index][2])
    changed[bit // 8] ^= 1 << bit % 8
    rows[index] = (*rows[index][:2], bytes(changed))
    assert str(refusal(rows)).startswith(f"entry {index}: its bytes do not hash")


@given(st.integers(0, len(SIZES) - 1), st.data())
def test_a_flipped_bit_in_a_checkpoint_is_refused(number: int, data: st.DataObject) -> None:
    changed = bytearray(LOG.notes[number])
    bit = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[bit // 8] ^= 1 << bit % 8
    notes = (*LOG.notes[:number], bytes(changed), *LOG.notes[number + 1 :])
    assert f"stored checkpoint {number}" in "; ".join(f.detail for f in refusal(LOG.rows, notes).findings)
    refusal(LOG.rows, LOG.notes, kept=bytes(changed))


@given(st.integers(0, 28), st.integers(1, 30))
def test_missing_rows_are_named(start: int, count: int) -> None:
    rows = LOG.rows
    del rows[start : min(start + count, 29)]
    end = min(start + count, 29)
    span = f"entry {start}" if end == start + 1 else f"entries {start} to {end - 1}"
    assert str(refusal(rows)).startswith(f"{span} missing: came entry {end}")
    refusal(renumbered(rows))


def test_one_missing_row_is_one_gap() -> None:
    rows = LOG.rows
    del rows[25]
    details = [finding.detail for finding in refusal(rows).findings]
    assert details == [
        "entry 25 missing: came entry 26",
        "entry 28: case case-0001, seq 9: seq 8 is missing",
        "the log ends at size 29, the checkpoint has size 30: entry 29 missing",
    ]


@given(st.integers(1, 30))
def test_a_cut_tail_is_named(count: int) -> None:
    kept = 30 - count
    span = "entry 29" if count == 1 else f"entries {kept} to 29"
    expected = f"the log ends at size {kept}, the checkpoint has size 30: {span} missing"
    assert str(refusal(LOG.rows[:kept])) == expected


@given(st.integers(0, len(SIZES) - 2))
def test_a_tail_cut_together_with_its_checkpoints_is_caught_by_the_kept_one(number: int) -> None:
    size = SIZES[number]
    rows, notes = LOG.rows[:size], LOG.notes[: number + 1]
    assert verify(rows, notes).entries == size
    found = str(refusal(rows, notes, kept=LOG.notes[-1]))
    assert f"the log ends at size {size}, the kept checkpoint has size 30" in found


def test_a_log_emptied_altogether_is_caught_by_the_kept_checkpoint() -> None:
    assert "entries 0 to 29 missing" in str(refusal([], (), kept=LOG.notes[-1]))


@given(st.integers(0, 30), st.integers(0, 29))
def test_an_inserted_row_is_refused(place: int, copied: int) -> None:
    rows = LOG.rows
    rows.insert(place, rows[copied])
    refusal(rows)
    refusal(renumbered(rows))


@given(st.integers(0, 30))
def test_an_inserted_entry_of_a_new_case_is_refused(place: int) -> None:
    rows = LOG.rows
    rows.insert(place, (0, example_entry("case-new", 0, FIRST_PREV).to_bytes(), b""))
    found = str(refusal(renumbered(rows)))
    span = next((end for end in SIZES if place < end), None)
    expected = f"checkpoint of size {span} contradicts" if span else "entry 30 under no checkpoint"
    assert expected in found


@given(st.integers(0, 29), st.integers(0, 29))
def test_swapped_rows_are_refused(one: int, other: int) -> None:
    rows = LOG.rows
    rows[one], rows[other] = rows[other], rows[one]
    if one == other:
        verify(rows)
        return
    refusal(rows)
    refusal(renumbered(rows))


def test_an_erased_entry_is_named() -> None:
    rows = LOG.rows
    rows[5] = (5, None, rows[5][2])
    assert str(refusal(rows)).startswith("entry 5 is gone")


def test_a_rewritten_entry_with_everything_stored_rewritten_is_placed_between_checkpoints() -> None:
    rows = LOG.rows
    entry = Entry.from_bytes(LOG.entries[12])
    rows[12] = (12, replace(entry, actor="member:mews").to_bytes(), b"")
    found = refusal(renumbered(rows))
    details = [finding.detail for finding in found.findings]
    assert details[0] == "entry 15: case case-0000, seq 5: prev is not the hash of seq 4"
    assert "checkpoint of size 20 contradicts the log (a fork): entries 8 to 19 not as signed" in details


def test_a_rewritten_whole_log_without_the_key_is_refused_at_the_first_checkpoint() -> None:
    rows = renumbered([(0, e, b"") for e in example_log(31).entries[:30]])
    rows[0] = (0, replace(Entry.from_bytes(LOG.entries[0]), actor="member:mews").to_bytes(), b"")
    found = refusal(renumbered(rows))
    assert "checkpoint of size 1 contradicts the log (a fork): entry 0 not as signed" in str(found)


def test_a_second_history_signed_with_the_stolen_key_contradicts_the_kept_checkpoint() -> None:
    forged = example_log(30).rows[:20]
    forged[19] = (19, replace(Entry.from_bytes(LOG.entries[19]), actor="member:mews").to_bytes(), b"")
    rows = renumbered(forged)
    notes = (note_at([leaf for _, _, leaf in rows], 20),)
    assert verify(rows, notes).entries == 20
    assert "kept checkpoint of size 20 contradicts the log (a fork)" in str(
        refusal(rows, notes, kept=LOG.notes[3])
    )


def test_two_signed_checkpoints_of_one_size_are_a_fork() -> None:
    fork = sign_checkpoint(Checkpoint(ORIGIN, 20, b"f" * 32), [SIGNER])
    notes = (*LOG.notes[:4], fork, *LOG.notes[4:])
    assert "two signed checkpoints of one size differ" in str(refusal(LOG.rows, notes))


def test_each_of_two_separate_forks_is_named() -> None:
    forks = [sign_checkpoint(Checkpoint(ORIGIN, size, b"f" * 32), [SIGNER]) for size in (3, 21)]
    notes = (LOG.notes[0], forks[0], *LOG.notes[2:4], forks[1], LOG.notes[5])
    details = [finding.detail for finding in refusal(LOG.rows, notes).findings]
    assert details == [
        "checkpoint of size 3 contradicts the log (a fork): entries 1 to 2 not as signed",
        "checkpoint of size 21 contradicts the log (a fork): entry 20 not as signed",
    ]


def test_descending_checkpoints_are_refused() -> None:
    notes = (LOG.notes[0], LOG.notes[2], LOG.notes[1], *LOG.notes[3:])
    assert "stored checkpoint 2 of size 3 follows one of size 8" in str(refusal(LOG.rows, notes))


def test_a_checkpoint_by_another_key_is_refused() -> None:
    stranger = Ed25519NoteSigner(ORIGIN, b"s" * 32)
    note = sign_checkpoint(Checkpoint(ORIGIN, 30, root_of(LOG.leaves)), [stranger])
    assert "stored checkpoint 0: none of the note's 1 signatures" in str(refusal(LOG.rows, (note,)))


def test_a_checkpoint_of_another_origin_is_refused_even_when_its_key_is_known() -> None:
    other = Ed25519NoteSigner("log.before.example", b"o" * 32)
    note = sign_checkpoint(Checkpoint(other.name, 30, root_of(LOG.leaves)), [other])
    with pytest.raises(LogRefusedError, match=r"origin log\.before\.example"):
        verify_log([LOG.rows], [*LOG.notes, note], [*KEYS, VerifierKey.parse(other.verifier_key)])


def test_rows_under_no_checkpoint_are_named() -> None:
    assert "entries 21 to 29 under no checkpoint" in str(refusal(LOG.rows, LOG.notes[:-1]))
    assert "entries 0 to 29 under no checkpoint" in str(refusal(LOG.rows, ()))


def test_a_kept_checkpoint_newer_than_any_stored_is_a_lost_checkpoint() -> None:
    details = [f.detail for f in refusal(LOG.rows, LOG.notes[:-1], kept=LOG.notes[-1]).findings]
    assert "the kept checkpoint of size 30 is newer than any stored one" in details


def signed(entries: list[Entry]) -> tuple[list[Row], tuple[bytes, ...]]:
    """Return a log that holds just these entries, honestly sealed."""
    rows = renumbered([(0, entry.to_bytes(), b"") for entry in entries])
    return rows, (note_at([leaf for _, _, leaf in rows], len(rows)),)


FIRST = example_entry("case-1", 0, FIRST_PREV)
SECOND = example_entry("case-1", 1, leaf_hash(FIRST.to_bytes()).hex())


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([FIRST, FIRST], "entry 1: case case-1, seq 0: duplicate seq, expected 1"),
        ([FIRST, SECOND, SECOND], "entry 2: case case-1, seq 1: duplicate seq, expected 2"),
        ([SECOND, FIRST], "entry 0: case case-1, seq 1: seq 0 is missing"),
        ([SECOND], "entry 0: case case-1, seq 1: seq 0 is missing"),
        ([FIRST, replace(SECOND, seq=2)], "entry 1: case case-1, seq 2: seq 1 is missing"),
        (
            [FIRST, replace(SECOND, prev="1" * 64)],
            "entry 1: case case-1, seq 1: prev is not the hash of seq 0",
        ),
        ([FIRST, replace(SECOND, count=9)], "entry 1: case case-1, seq 1: closes with a count of 9"),
        ([FIRST, replace(SECOND, case="case-2")], "entry 1: case case-2, seq 1: seq 0 is missing"),
    ],
)
def test_a_broken_chain_is_refused_although_sealed_honestly(entries: list[Entry], reason: str) -> None:
    assert str(refusal(*signed(entries))).startswith(reason)


def test_a_sealed_leaf_that_is_no_entry_is_refused() -> None:
    rows: list[Row] = [(0, b"hello", leaf_hash(b"hello"))]
    assert str(refusal(rows, (note_at([rows[0][2]], 1),))).startswith("entry 0: expected")


def test_findings_are_limited_and_the_first_is_the_message() -> None:
    rows: list[Row] = [(i, None, leaf) for i, leaf in enumerate(example_log(200).leaves)]
    found = refusal(rows, (b"no note",) * 100)
    assert len(found.findings) == MAX_FINDINGS
    assert str(found) == f"{found.findings[0].detail} (and {MAX_FINDINGS - 1} more findings)"


@pytest.mark.parametrize("kept", [b"", b"garbage"])
def test_a_kept_checkpoint_that_does_not_open_is_refused(kept: bytes) -> None:
    assert str(refusal(LOG.rows, LOG.notes, kept=kept)).startswith("kept checkpoint: malformed note")
