"""For any log and any single edit of what signs it, verification refuses and names what is wrong.

| edit | what a finding names |
|---|---|
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

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import Ed25519NoteSigner, NoteSignature, VerifierKey, parse_note
from arbiter.audit.verify import Finding
from arbiter.errors import VerificationError
from tests.audit.random_logs import (
    DATA,
    KNOWN,
    STRANGER,
    WITNESS_NAME,
    AnyLog,
    changed_entry,
    cosigner,
    flipped,
    index_in,
    logs,
    often,
    refusal,
    rows_of,
    signed,
    verify,
    words,
)

pytestmark = pytest.mark.filterwarnings("error")


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
    # What no checkpoint covers any more is found besides.
    assert len(found) >= len(expected)
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
    # A chain's end, so that only the tree differs; everything before that is as it was.
    ends = {Entry.from_bytes(entry).case: index for index, entry in enumerate(log.entries)}
    index = data.draw(st.sampled_from(sorted(ends.values())), label="index")
    kept_size = data.draw(st.integers(index + 1, log.size), label="kept")
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
