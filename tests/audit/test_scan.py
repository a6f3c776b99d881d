"""Reading a batch at once and reading entry by entry say the same: nothing passes at once that is refused one by one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.scan import KNOWN_LIMIT, Scanner
from arbiter.audit.verify import Finding, LogRefusedError, LogVerifier, Row
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, example_entries, example_entry, note_at

ENTRIES = example_entries(12)
STRUCTURE = [bytes([byte]) for byte in b'\n"{},:.0a1A Zz\\']


class OneByOne(LogVerifier):
    """The same verifier without its fast way."""

    def _pass(self, rows: object) -> int:
        assert rows
        return 0


def sealed(entries: list[bytes]) -> list[Row]:
    return [(index, data, leaf_hash(data)) for index, data in enumerate(entries)]


def said(verifier: LogVerifier, rows: list[Row]) -> object:
    verifier.feed(rows)
    try:
        return verifier.finish()
    except LogRefusedError as refused:
        return tuple(Finding(finding.index, finding.detail) for finding in refused.findings)


def check_same(entries: list[bytes]) -> None:
    rows = sealed(entries)
    note = note_at([row[2] for row in rows], len(rows))
    assert said(LogVerifier([note], KEYS), rows) == said(OneByOne([note], KEYS), rows)


def is_entry(data: bytes) -> bool:
    try:
        Entry.from_bytes(data)
    except VerificationError:
        return False
    return True


@given(st.data())
def test_any_edit_of_an_honestly_sealed_entry_is_told_alike(data: st.DataObject) -> None:
    entries = list(ENTRIES)
    number = data.draw(st.integers(0, len(entries) - 1))
    start = data.draw(st.integers(0, len(entries[number]) - 1))
    end = data.draw(st.integers(start, min(start + 70, len(entries[number]))))
    put = data.draw(st.binary(max_size=3) | st.sampled_from(STRUCTURE) | st.just(entries[0][start:end]))
    entries[number] = entries[number][:start] + put + entries[number][end:]
    check_same(entries)


@given(st.data())
def test_what_is_scanned_is_entries(data: st.DataObject) -> None:
    """Two edits at once, across the border of two entries too: parts must not be lent from one to the other."""
    entries = list(ENTRIES[:4])
    for number in (1, 2):
        place = data.draw(st.integers(0, len(entries[number])))
        put = data.draw(st.sampled_from([*STRUCTURE, b"", b'","', b'"}', b"\n" + ENTRIES[3]]))
        skipped = data.draw(st.integers(0, 2))
        entries[number] = entries[number][:place] + put + entries[number][place + skipped :]
    scanned = Scanner().scan(entries, ())
    if scanned is not None:
        # What prev and seq say is the chain's to refuse.
        for entry, prev, seq in zip(entries, scanned.prevs, scanned.seqs, strict=True):
            fitting = (b"0" if seq == b"0" else b"1") * 64
            assert is_entry(entry.replace(b'"prev":"' + prev, b'"prev":"' + fitting, 1))


@example(b"\n")
@example(b'"')
@given(st.binary(min_size=1, max_size=2))
def test_entries_run_together_or_cut_in_two_are_not_scanned(between: bytes) -> None:
    assert Scanner().scan([ENTRIES[0] + between + ENTRIES[1]], ()) is None
    assert Scanner().scan([ENTRIES[0][:50], ENTRIES[0][50:]], ()) is None
    assert Scanner().scan([ENTRIES[0] + between + ENTRIES[1], b""], ()) is None


def test_whole_entries_are_scanned() -> None:
    scanned = Scanner().scan(ENTRIES, ())
    assert scanned is not None
    read = [Entry.from_bytes(entry) for entry in ENTRIES]
    assert [case.decode() for case in scanned.cases] == [entry.case for entry in read]
    assert [prev.decode() for prev in scanned.prevs] == [entry.prev for entry in read]
    assert [int(seq) for seq in scanned.seqs] == [entry.seq for entry in read]
    assert [int(count) if count else None for count in scanned.counts] == [entry.count for entry in read]


@pytest.mark.parametrize(
    ("spelt", "instead"),
    [
        (b"2026-11-22", b"2026-11-31"),
        (b"2026-11-22", b"2026-02-29"),
        (b"2026-11-22", b"0000-01-01"),
        (b"T03:", b"T24:"),
        (b"T03:", b"t03:"),
        (b'"facts":"', b'"zfacts":"'),
        (b'"opinion":"', b'"facts":"'),
        (b'"commits":{"facts":"9', b'"commits":{"facts":"A'),
        (b'"commits":{', b'"commits":{,'),
        (b'"actor":"', b'"actor":"-'),
        (b'"case":"', b'"case":" '),
        (b'"code":"', b'"zcode":"'),
        (b'"trace":"0af', b'"trace":"0Af'),
        (b'"v":1', b'"v":2'),
        (b'"seq":0', b'"seq":00'),
    ],
)
@pytest.mark.parametrize("warm", [False, True])
def test_a_part_out_of_its_grammar_is_not_scanned(spelt: bytes, instead: bytes, warm: bool) -> None:
    changed = next(entry for entry in ENTRIES if spelt in entry).replace(spelt, instead, 1)
    scanner = Scanner()
    if warm:
        assert scanner.scan(ENTRIES, ()) is not None
    assert not is_entry(changed)
    assert scanner.scan([ENTRIES[1], changed], ()) is None


@pytest.mark.parametrize("commits", [b"{a}", b"{,}", b'{"}', b'{""}', b'{"a"}', b'{"a":"}', b'{"a":""}'])
def test_commitments_that_are_none_are_not_scanned_where_they_stand_alone(commits: bytes) -> None:
    """With no other in the batch there are no quotes to count by, or too few."""
    changed = re.sub(rb'"commits":\{[^}]*\}', b'"commits":' + commits, ENTRIES[0])
    assert not is_entry(changed)
    assert Scanner().scan([changed], ()) is None
    check_same([changed])


def test_a_prev_in_capitals_is_refused() -> None:
    """The scanner cuts prev out and leaves it to the chain, which knows its one spelling."""
    entries = list(ENTRIES)
    number = next(n for n, entry in enumerate(entries) if Entry.from_bytes(entry).seq == 1)
    prev = Entry.from_bytes(entries[number]).prev
    entries[number] = entries[number].replace(prev.encode(), prev.upper().encode())
    rows = sealed(entries)
    findings = said(LogVerifier([note_at([row[2] for row in rows], len(rows))], KEYS), rows)
    assert isinstance(findings, tuple)
    assert "field prev" in findings[0].detail
    check_same(entries)


def test_what_is_remembered_is_limited() -> None:
    scanner = Scanner()
    for start in range(0, 4 * KNOWN_LIMIT, KNOWN_LIMIT // 2):
        batch = [
            example_entry(f"case-{number}", 0, "0" * 64).to_bytes().replace(b"0.1.0", b"0.%d" % number)
            for number in range(start, start + 20)
        ]
        assert scanner.scan(batch, ()) is not None
    assert len(scanner._words._seen) <= 2 * KNOWN_LIMIT
    assert len(scanner._endings) <= 2 * KNOWN_LIMIT


@given(st.lists(st.integers(1, 11), unique=True), st.integers(1, 12))
def test_checkpoints_and_batches_may_fall_anywhere(sizes: list[int], batch: int) -> None:
    rows = sealed(list(ENTRIES))
    notes = [note_at([row[2] for row in rows], size) for size in (*sorted(sizes), 12)]
    verifiers = [LogVerifier(notes, KEYS), OneByOne(notes, KEYS)]
    for verifier in verifiers:
        for start in range(0, 12, batch):
            verifier.feed(rows[start : start + batch])
    assert verifiers[0].finish() == verifiers[1].finish()
