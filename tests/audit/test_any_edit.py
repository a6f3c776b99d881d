"""For any log and any single edit of its rows, verification refuses and names what is wrong.

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

Edits of what signs them are in `test_any_signature.py`, and what nobody can find is too.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.verify import Finding, Row
from tests.audit.random_logs import (
    DATA,
    AnyLog,
    changed_entry,
    flipped,
    index_in,
    logs,
    missing,
    not_as_signed,
    often,
    refusal,
    rows_of,
    signed,
    uncovered,
    verify,
    words,
)

pytestmark = pytest.mark.filterwarnings("error")


@often
@given(logs())
def test_an_unchanged_log_is_whole(log: AnyLog) -> None:
    report = verify(log.rows, log.notes, log.notes[-1])
    assert (report.entries, report.checkpoints) == (log.size, len(log.notes))
    entries = [Entry.from_bytes(entry) for entry in log.entries]
    assert report.chains == len({entry.case for entry in entries})
    assert report.closed_chains == len({entry.case for entry in entries if entry.count is not None})


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
