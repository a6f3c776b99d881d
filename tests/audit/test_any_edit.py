"""For any log and any single edit, verification refuses and names what is wrong.

| edit | what a finding names |
|---|---|
| a bit of an entry, of a stored leaf hash | the entry's index: its bytes do not hash |
| an entry rewritten, every leaf hash made to fit | entries between the two checkpoints around it: not as signed |
| an entry gone, its leaf left | the entry's index |
| a row deleted, inserted, repeated, swapped, its index changed | the first index out of place |
| the same with all indices and hashes made to fit | the span of entries not as signed, or the end that is missing or too much |
| a tail cut, the checkpoints left | the size the log ends at, and the entries missing |
| a tail cut with its checkpoints | the same, by the kept checkpoint |
| the newest checkpoints deleted or replaced by older ones | the entries under no checkpoint |
| the head of one log on the tail of another | entries not as signed |
| a bit of a stored or the kept checkpoint, on any line | which checkpoint; but see the end |
| a checkpoint of another key, of another origin | which checkpoint |
| a cosignature of another checkpoint, log or time | which checkpoint, and whose cosignature |
| a count, a link of a case's chain changed and all of it signed anew | the entry's index, the case, and how the link is broken |
| another history signed with the log's own key | the kept checkpoint, and the entries not as signed |

Not found, because nothing is lost by it or nothing could tell, each a test at the end: a checkpoint that is there twice
or, between others, not there; a cosignature taken away; an older kept checkpoint; a tail cut with its checkpoints where no
newer one was kept.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import Ed25519NoteSigner, NoteSignature, VerifierKey, parse_note
from arbiter.audit.verify import Finding, Row
from arbiter.errors import VerificationError
from tests.audit.random_logs import (
    KNOWN,
    STRANGER,
    WITNESS_NAME,
    AnyLog,
    changed_entry,
    cosigner,
    flipped,
    logs,
    refusal,
    rows_of,
    signed,
    verify,
)

pytestmark = pytest.mark.filterwarnings("error")
often = settings(max_examples=40, deadline=None)
DATA = st.data()


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


@often
@given(logs())
def test_an_unchanged_log_is_whole(log: AnyLog) -> None:
    report = verify(log.rows, log.notes, log.notes[-1])
    assert (report.entries, report.checkpoints) == (log.size, len(log.notes))
    entries = [Entry.from_bytes(entry) for entry in log.entries]
    assert report.cases == len({entry.case for entry in entries})
    assert report.closed_cases == len({entry.case for entry in entries if entry.count is not None})


# --- rows changed in place -----------------------------------------------------------------------------------------


@often
@given(logs(), DATA)
def test_a_changed_bit_of_an_entry_is_named_by_its_index(log: AnyLog, data: st.DataObject) -> None:
    index = index_in(log, data)
    rows = log.rows
    bit = data.draw(st.integers(0, 8 * len(log.entries[index]) - 1), label="bit")
    rows[index] = (index, flipped(log.entries[index], bit), rows[index][2])
    first = refusal(rows, log.notes)[0]
    assert first == Finding(index, f"entry {index}: its bytes do not hash to the stored leaf hash")


@often
@given(logs(), DATA)
def test_a_changed_bit_of_a_stored_leaf_hash_is_named_by_its_index(log: AnyLog, data: st.DataObject) -> None:
    index = index_in(log, data)
    rows = log.rows
    stored = flipped(rows[index][2], data.draw(st.integers(0, 255), label="bit"))
    rows[index] = (index, log.entries[index], stored)
    # What is stored beside the entries is all that is wrong.
    assert refusal(rows, log.notes, log.notes[-1]) == (
        Finding(index, f"entry {index}: its bytes do not hash to the stored leaf hash"),
    )


@often
@given(logs(), DATA)
def test_a_changed_bit_with_fitting_hashes_is_named_between_the_checkpoints_around_it(
    log: AnyLog, data: st.DataObject
) -> None:
    index = index_in(log, data)
    bit = data.draw(st.integers(0, 8 * len(log.entries[index]) - 1), label="bit")
    entries = list(log.entries)
    entries[index] = flipped(entries[index], bit)
    assert not_as_signed(*log.covering(index)) in words(refusal(rows_of(entries), log.notes))


@often
@given(logs(), DATA)
def test_an_entry_in_other_words_with_fitting_hashes_is_named_by_what_follows_it_and_by_span(
    log: AnyLog, data: st.DataObject
) -> None:
    index = index_in(log, data)
    entries = list(log.entries)
    entries[index] = changed_entry(entries[index], actor="member:mews")
    found = refusal(rows_of(entries), log.notes)
    assert not_as_signed(*log.covering(index)) in words(found)
    case = Entry.from_bytes(entries[index]).case
    after = next((i for i in range(index + 1, log.size) if Entry.from_bytes(entries[i]).case == case), None)
    if after is not None:
        seq = Entry.from_bytes(entries[index]).seq
        assert (after, f"prev is not the hash of seq {seq}") in {
            (finding.index, finding.detail.rsplit(": ", 1)[1]) for finding in found
        }


@often
@given(logs(), DATA)
def test_an_entry_that_is_gone_is_named_by_its_index(log: AnyLog, data: st.DataObject) -> None:
    index = index_in(log, data)
    rows = log.rows
    rows[index] = (index, None, rows[index][2])
    assert refusal(rows, log.notes)[0] == Finding(index, f"entry {index} is gone: its leaf stands alone")


# --- rows deleted, inserted, repeated, swapped ----------------------------------------------------------------------


@often
@given(logs(), DATA)
def test_a_deleted_row_is_named_by_its_index(log: AnyLog, data: st.DataObject) -> None:
    index = index_in(log, data)
    rows = [row for row in log.rows if row[0] != index]
    found = refusal(rows, log.notes)
    if index < log.size - 1:
        assert found[0] == Finding(index, f"entry {index} missing: came entry {index + 1}")
    else:
        assert Finding(index, f"the log ends at size {index}, the checkpoint has size {log.size}: "
                       f"entry {index} missing") in found  # fmt: skip


@often
@given(logs(), DATA)
def test_a_deleted_row_whose_gap_was_closed_is_named_by_the_end_and_by_span(
    log: AnyLog, data: st.DataObject
) -> None:
    index = index_in(log, data)
    found = words(refusal(rows_of(log.entries[:index] + log.entries[index + 1 :]), log.notes))
    assert f"the log ends at size {log.size - 1}, the checkpoint has size {log.size}" in found
    first, last = log.covering(index)
    if last < log.size - 1:
        assert not_as_signed(first, last) in found


@often
@given(logs(), logs(), DATA)
def test_an_inserted_row_is_named_by_its_index(log: AnyLog, other: AnyLog, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, log.size), label="index")
    rows: list[Row] = log.rows
    rows.insert(index, (index, other.entries[0], leaf_hash(other.entries[0])))
    found = refusal(rows, log.notes)
    if index < log.size:
        assert f"entry {index} came where entry {index + 1} was expected" in words(found)
    else:
        assert Finding(log.size, uncovered(log.size, log.size)) in found


@often
@given(logs(), logs(), DATA)
def test_an_inserted_row_with_all_made_to_fit_is_named_by_the_end_and_by_span(
    log: AnyLog, other: AnyLog, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, log.size), label="index")
    assume(log.entries[0] != other.entries[0])
    rows = rows_of(log.entries[:index] + other.entries[:1] + log.entries[index:])
    found = words(refusal(rows, log.notes))
    assert uncovered(log.size, log.size) in found
    if index < log.size:
        assert not_as_signed(*log.covering(index)) in found


@often
@given(logs(), DATA)
def test_a_repeated_row_is_named_by_its_index_and_by_its_case(log: AnyLog, data: st.DataObject) -> None:
    index = index_in(log, data)
    rows = log.rows
    rows.insert(index + 1, rows[index])
    found = refusal(rows, log.notes)
    assert found[0].index == index
    assert found[0].detail.startswith(f"entry {index} came where entry {index + 1} was expected: repeated")
    fitting = refusal(rows_of(log.entries[: index + 1] + log.entries[index:]), log.notes)
    seq = Entry.from_bytes(log.entries[index]).seq
    assert fitting[0].index in {index + 1, log.covering(index)[0]}
    assert f"seq {seq}: duplicate seq, expected {seq + 1}" in words(fitting)


@often
@given(logs(at_least=2), DATA)
def test_two_swapped_rows_are_named_by_the_first_of_them(log: AnyLog, data: st.DataObject) -> None:
    one = data.draw(st.integers(0, log.size - 2), label="one")
    other = data.draw(st.integers(one + 1, log.size - 1), label="other")
    rows = log.rows
    rows[one], rows[other] = rows[other], rows[one]
    assert refusal(rows, log.notes)[0] == Finding(one, f"{missing(one, other - 1)}: came entry {other}")


@often
@given(logs(at_least=2), DATA)
def test_two_swapped_entries_with_all_made_to_fit_are_named_by_span(log: AnyLog, data: st.DataObject) -> None:
    one = data.draw(st.integers(0, log.size - 2), label="one")
    other = data.draw(st.integers(one + 1, log.size - 1), label="other")
    entries = list(log.entries)
    entries[one], entries[other] = entries[other], entries[one]
    found = refusal(rows_of(entries), log.notes)
    assert not_as_signed(*log.covering(one)) in words(found)
    assert found[0].index is not None
    assert log.covering(one)[0] <= found[0].index <= other


@often
@given(logs(), DATA, st.sampled_from([-1, 1, 7, -(2**63), 2**63 - 1]))
def test_a_changed_index_is_named(log: AnyLog, data: st.DataObject, by: int) -> None:
    index = index_in(log, data)
    rows = log.rows
    rows[index] = (index + by, *rows[index][1:])
    first = refusal(rows, log.notes)[0]
    if by > 0:
        assert first == Finding(index, f"{missing(index, index + by - 1)}: came entry {index + by}")
    else:
        assert first.detail.startswith(f"entry {index + by} came where entry {index} was expected")


# --- ends cut off, heads and tails of other logs -------------------------------------------------------------------------


@often
@given(logs(), DATA)
def test_a_cut_tail_is_named_by_where_the_log_ends_and_what_is_missing(
    log: AnyLog, data: st.DataObject
) -> None:
    size = index_in(log, data)
    end = f"the log ends at size {size}, the checkpoint has size {log.size}: {missing(size, log.size - 1)}"
    assert Finding(size, end) in refusal(log.rows[:size], log.notes)


@often
@given(logs(at_least=2), DATA)
def test_a_tail_cut_with_its_checkpoints_is_named_by_the_kept_checkpoint(
    log: AnyLog, data: st.DataObject
) -> None:
    kept_size = data.draw(st.integers(1, log.size), label="kept")
    size = data.draw(st.integers(0, kept_size - 1), label="size")
    kept = signed(log.leaves, kept_size)
    notes = [note for n, note in log.checkpoints if n <= size]
    found = words(refusal(log.rows[:size], notes, kept))
    expected = f"the kept checkpoint has size {kept_size}: {missing(size, kept_size - 1)}"
    assert f"the log ends at size {size}, {expected}" in found


@often
@given(logs(), DATA)
def test_deleted_newest_checkpoints_are_named_by_the_entries_they_leave_uncovered(
    log: AnyLog, data: st.DataObject
) -> None:
    left = data.draw(st.integers(0, len(log.notes) - 1), label="left")
    covered = log.checkpoints[left - 1][0] if left else 0
    found = refusal(log.rows, log.notes[:left], log.notes[-1])
    assert Finding(covered, uncovered(covered, log.size - 1)) in found
    assert f"the kept checkpoint of size {log.size} is newer than any stored one" in words(found)


@often
@given(logs(at_least=2), DATA)
def test_an_older_checkpoint_replayed_as_the_newest_is_named(log: AnyLog, data: st.DataObject) -> None:
    older = data.draw(st.integers(1, log.size - 1), label="older")
    notes = [*log.notes[:-1], signed(log.leaves, older)]
    found = words(refusal(log.rows, notes))
    covered = max(older, *(size for size, _ in log.checkpoints[:-1]), 0)
    assert uncovered(covered, log.size - 1) in found
    if covered > older:
        assert f"stored checkpoint {len(notes) - 1} of size {older} follows one of size {covered}" in found


@often
@given(logs(), logs(), DATA)
def test_a_splice_of_two_logs_is_named_by_the_entries_not_as_signed(
    head: AnyLog, tail: AnyLog, data: st.DataObject
) -> None:
    assume(head.entries[0] != tail.entries[0])
    cut = data.draw(st.integers(1, min(head.size, tail.size)), label="cut")
    rows = rows_of(head.entries[:cut] + tail.entries[cut:])
    notes = [n for size, n in head.checkpoints if size <= cut] + [n for s, n in tail.checkpoints if s > cut]
    kept = signed(head.leaves, head.size)
    if cut < tail.size:
        assert "not as signed" in words(refusal(rows, notes))
        assert "not as signed" in words(refusal(rows, notes, kept))
    elif cut < head.size:
        # Nothing of the other log is left: it is a cut tail.
        assert f"the kept checkpoint has size {head.size}: " in words(refusal(rows, notes, kept))
    # Another log altogether, honestly signed by the same key: what was kept of the first tells.
    assert "kept checkpoint" in words(refusal(tail.rows, tail.notes, kept))


# --- checkpoints -----------------------------------------------------------------------------------------------------


@often
@given(logs(), DATA)
def test_a_changed_bit_of_a_stored_checkpoint_is_named_or_takes_only_a_cosignature_away(
    log: AnyLog, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(log.notes) - 1), label="checkpoint")
    bit = data.draw(st.integers(0, 8 * len(log.notes[number]) - 1), label="bit")
    notes = log.notes
    notes[number] = flipped(notes[number], bit)
    if not takes_a_cosignature_away(notes[number]):
        assert f"stored checkpoint {number}: " in words(refusal(log.rows, notes))


@often
@given(logs(), DATA)
def test_a_changed_bit_of_the_kept_checkpoint_is_named_or_takes_only_a_cosignature_away(
    log: AnyLog, data: st.DataObject
) -> None:
    kept = signed(log.leaves, log.size, cosigner(7))
    changed = flipped(kept, data.draw(st.integers(0, 8 * len(kept) - 1), label="bit"))
    if not takes_a_cosignature_away(changed):
        assert refusal(log.rows, log.notes, changed)[0].detail.startswith("kept checkpoint: ")


@pytest.mark.parametrize("line", range(6))
def test_a_changed_line_of_a_checkpoint_is_named_or_takes_only_a_cosignature_away(line: int) -> None:
    """Every bit of every line: origin, size, root, the empty line, the log's signature, the witness's."""
    log = AnyLog((), (), ())
    kept = signed(log.leaves, 0, cosigner(7))
    lines = kept.splitlines(keepends=True)
    assert len(lines) == 6
    for bit in range(8 * len(lines[line])):
        changed = b"".join([*lines[:line], flipped(lines[line], bit), *lines[line + 1 :]])
        if takes_a_cosignature_away(changed):
            assert line == 5
        else:
            assert refusal([], [], changed)[0].detail.startswith("kept checkpoint: ")


def takes_a_cosignature_away(note: bytes) -> bool:
    """Say whether a note still opens, with a witness's line that is now by nobody who is known."""
    try:
        opened = open_checkpoint(note, KNOWN)
    except VerificationError:
        return False
    assert opened.cosignatures == ()
    assert len(opened.unknown) == 1
    return True


@often
@given(logs(), DATA)
def test_a_checkpoint_signed_by_another_key_is_named(log: AnyLog, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(log.notes) - 1), label="checkpoint")
    notes = log.notes
    size = log.checkpoints[number][0]
    notes[number] = signed(log.leaves, size, log=STRANGER)
    assert f"stored checkpoint {number}: none of the note's 1 signatures" in words(refusal(log.rows, notes))
    # A witness's word does not stand in for the log's.
    notes[number] = signed(log.leaves, size, cosigner(1), log=STRANGER)
    assert f"stored checkpoint {number}: checkpoint of size {size}: no known key" in words(
        refusal(log.rows, notes)
    )


@often
@given(logs())
def test_a_log_read_with_another_key_is_refused_checkpoint_by_checkpoint(log: AnyLog) -> None:
    found = refusal(log.rows, log.notes, log.notes[-1], (VerifierKey.parse(STRANGER.verifier_key),))
    expected = ["kept checkpoint: ", *(f"stored checkpoint {i}: " for i in range(len(log.notes)))]
    for finding, what in zip(found, expected, strict=False):
        assert finding.index is None
        assert finding.detail.startswith(what)


@often
@given(logs(), DATA, st.booleans())
def test_a_checkpoint_of_another_origin_is_named(log: AnyLog, data: st.DataObject, known: bool) -> None:
    other = Ed25519NoteSigner("log.elsewhere.example", b"o" * 32)
    number = data.draw(st.integers(0, len(log.notes) - 1), label="checkpoint")
    notes = log.notes
    notes[number] = signed(log.leaves, log.checkpoints[number][0], origin=other.name, log=other)
    keys = (*KNOWN, VerifierKey.parse(other.verifier_key)) if known else KNOWN
    found = words(refusal(log.rows, notes, signed(log.leaves, log.size), keys))
    if known:
        # As a change of origin that no entry explains, or as one that is not the kept checkpoint's.
        assert "origin" in found
        assert other.name in found
    else:
        assert f"stored checkpoint {number}: none of the note's 1 signatures" in found
    # Under the origin's name, by the key of another log: a key speaks for its own name alone.
    notes[number] = signed(log.leaves, log.checkpoints[number][0], log=other)
    assert f"stored checkpoint {number}: " in words(refusal(log.rows, notes, known=keys))


@often
@given(logs(at_least=2), logs(), DATA)
def test_a_cosignature_taken_from_elsewhere_is_named_with_its_witness(
    log: AnyLog, other: AnyLog, data: st.DataObject
) -> None:
    assume(log.entries[0] != other.entries[0])
    at = data.draw(st.integers(0, 2**40), label="time")
    earlier = data.draw(st.integers(1, log.size - 1), label="earlier")
    own = line_of(signed(log.leaves, log.size, cosigner(at)))
    later = (at + 1).to_bytes(8, "big") + own.signature[8:]
    borrowed = [
        line_of(signed(log.leaves, earlier, cosigner(at))),
        line_of(signed(other.leaves, other.size, cosigner(at))),
        NoteSignature(own.name, own.key_id, later),
        NoteSignature(own.name, own.key_id, own.signature[8:]),
    ]
    for line in borrowed:
        notes = [*log.notes[:-1], signed(log.leaves, log.size) + line.line().encode()]
        found = words(refusal(log.rows, notes))
        assert f"stored checkpoint {len(notes) - 1}: bad signature by key {WITNESS_NAME}" in found or (
            "timestamp beyond" in found
        )
    verify(log.rows, [*log.notes[:-1], signed(log.leaves, log.size) + own.line().encode()])


def line_of(note: bytes) -> NoteSignature:
    """Return the witness's line."""
    return parse_note(note).signatures[-1]


# --- what the log's own key signed and should not have ------------------------------------------------------------------


@often
@given(logs(), DATA, st.sampled_from([-1, 1, 3]))
def test_another_count_of_a_closing_entry_is_named_although_it_is_signed(
    log: AnyLog, data: st.DataObject, by: int
) -> None:
    index = index_in(log, data)
    entry = Entry.from_bytes(log.entries[index])
    assume(entry.seq + 1 + by >= 0)
    entries = list(log.entries)
    entries[index] = changed_entry(entries[index], count=entry.seq + 1 + by)
    found = refusal(rows_of(entries), [signed([leaf_hash(e) for e in entries], log.size)])
    said = f"closes with a count of {entry.seq + 1 + by}, the chain has {entry.seq + 1}"
    assert found[0] == Finding(index, f"entry {index}: case {entry.case}, seq {entry.seq}: {said}")


@often
@given(logs(at_least=2), DATA)
def test_a_step_left_out_of_a_case_is_named_although_the_rest_is_signed(
    log: AnyLog, data: st.DataObject
) -> None:
    index = index_in(log, data)
    left = Entry.from_bytes(log.entries[index])
    entries = log.entries[:index] + log.entries[index + 1 :]
    rows, notes = rows_of(entries), [signed([leaf_hash(e) for e in entries], len(entries))]
    after = [
        i
        for i, e in enumerate(entries)
        if (read := Entry.from_bytes(e)).case == left.case and read.seq > left.seq
    ]
    if after:
        first = refusal(rows, notes)[0]
        assert first.index == after[0]
        assert f"case {left.case}, seq {left.seq + 1}: seq {left.seq} is missing" in first.detail
    else:
        # The last entry of its case: the chain shows nothing behind it, the log as it was kept does.
        assert verify(rows, notes).entries == len(entries)
        assert "kept checkpoint" in words(refusal(rows, notes, signed(log.leaves, log.size)))


@often
@given(logs(), DATA)
def test_another_history_signed_with_the_logs_own_key_is_named_by_what_was_kept(
    log: AnyLog, data: st.DataObject
) -> None:
    index = index_in(log, data)
    kept_size = data.draw(st.integers(index + 1, log.size), label="kept")
    case = Entry.from_bytes(log.entries[index]).case
    # The chain's end, so that only the tree differs; everything before that is as it was.
    assume(all(Entry.from_bytes(e).case != case for e in log.entries[index + 1 :]))
    entries = list(log.entries)
    entries[index] = changed_entry(entries[index], actor="member:mews")
    forged = [signed([leaf_hash(e) for e in entries], size) for size, _ in log.checkpoints]
    assert verify(rows_of(entries), forged).entries == log.size
    found = words(refusal(rows_of(entries), forged, signed(log.leaves, kept_size)))
    assert f"kept checkpoint of size {kept_size} contradicts the log (a fork)" in found
    mixed = [*log.notes, forged[-1]]
    assert "contradicts the log (a fork)" in words(refusal(rows_of(entries), mixed))


# --- what no one can find, said aloud -----------------------------------------------------------------------------------


@often
@given(logs(), DATA)
def test_a_checkpoint_twice_or_missing_between_others_changes_nothing_that_is_proved(
    log: AnyLog, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(log.notes) - 1), label="checkpoint")
    twice = [*log.notes[: number + 1], *log.notes[number:]]
    assert verify(log.rows, twice).root == verify(log.rows, log.notes).root
    without = [*log.notes[:number], *log.notes[number + 1 : -1], log.notes[-1]]
    assert verify(log.rows, without).root == verify(log.rows, log.notes).root


@often
@given(logs())
def test_a_cosignature_taken_away_is_missed_by_whoever_requires_it_alone(log: AnyLog) -> None:
    bare = [signed(log.leaves, size) for size, _ in log.checkpoints]
    assert verify(log.rows, bare).entries == log.size
    assert all(open_checkpoint(note, KNOWN).cosignatures == () for note in bare)


@often
@given(logs(at_least=2), DATA)
def test_an_older_kept_checkpoint_is_a_lower_bound_and_the_report_says_which(
    log: AnyLog, data: st.DataObject
) -> None:
    older = data.draw(st.integers(0, log.size - 1), label="older")
    report = verify(log.rows, log.notes, signed(log.leaves, older))
    assert report.kept is not None
    assert report.newest is not None
    assert (report.kept.size, report.newest.size) == (older, log.size)


@often
@given(logs(at_least=2), DATA)
def test_a_tail_cut_with_its_checkpoints_passes_where_no_newer_one_was_kept(
    log: AnyLog, data: st.DataObject
) -> None:
    size = data.draw(st.integers(0, log.size - 1), label="size")
    notes = [signed(log.leaves, size)]
    older = signed(log.leaves, data.draw(st.integers(0, size), label="kept"))
    assert verify(log.rows[:size], notes).entries == size
    assert verify(log.rows[:size], notes, older).entries == size
