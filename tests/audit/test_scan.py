"""Reading a batch at once and reading entry by entry say the same: nothing passes at once that is refused one by one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arbiter.audit import scan
from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash, root_of
from arbiter.audit.note import Ed25519NoteSigner, VerifierKey
from arbiter.audit.scan import Scanner, link_text
from arbiter.audit.verify import Finding, LogRefusedError, LogVerifier, Row
from arbiter.errors import VerificationError
from tests.audit.logs import KEYS, SIGNER, example_entries, example_entry, nodes_of, note_at

ENTRIES = example_entries(12)
OTHER = Ed25519NoteSigner("log.after.example/arbiter", b"o" * 32)
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
    scanned = Scanner().scan(entries)
    if scanned is not None:
        # What prev and seq say is the chain's to refuse.
        for entry, link in zip(entries, scanned.links, strict=True):
            spelt = re.fullmatch(r'(?:"count":[0-9]+,)?"prev":"(.{64})","seq":([0-9]+)', link)
            assert spelt is not None
            fitting = ("0" if spelt[2] == "0" else "1") * 64
            assert is_entry(entry.replace(link.encode(), link.replace(spelt[1], fitting).encode(), 1))


@example(b"\n")
@example(b'"')
@given(st.binary(min_size=1, max_size=2))
def test_entries_run_together_or_cut_in_two_are_not_scanned(between: bytes) -> None:
    assert Scanner().scan([ENTRIES[0] + between + ENTRIES[1]]) is None
    assert Scanner().scan([ENTRIES[0][:50], ENTRIES[0][50:]]) is None
    assert Scanner().scan([ENTRIES[0] + between + ENTRIES[1], b""]) is None


def test_whole_entries_are_scanned() -> None:
    entries = example_entries(20)
    scanned = Scanner().scan(entries)
    assert scanned is not None
    read = [Entry.from_bytes(entry) for entry in entries]
    assert list(scanned.cases) == [entry.case for entry in read]
    assert list(scanned.links) == [
        link_text(entry.seq, entry.prev, closes=entry.count is not None) for entry in read
    ]
    assert {entry.count for entry in read} > {None}


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
        (b'"seq":0', b'"seq":0,"count":1'),
        (b'","opinion":"', b'"\n"opinion":"'),
        (b'","opinion":"', b'"}"opinion":"'),
        (b'","opinion":"', b'","facts":"'),
        (b'","opinion":"', b'"","opinion":"'),
        (b'"opinion":"', b'"opinion":"0'),
        (b'"facts":"', b'"facts";"'),
        (b'{"facts":"', b'{a"facts":"'),
        (b'"},"prev":"', b'"a},"prev":"'),
    ],
)
@pytest.mark.parametrize("warm", [False, True])
def test_a_part_out_of_its_grammar_is_not_scanned(spelt: bytes, instead: bytes, warm: bool) -> None:
    changed = next(entry for entry in ENTRIES if spelt in entry).replace(spelt, instead, 1)
    scanner = Scanner()
    if warm:
        assert scanner.scan(ENTRIES) is not None
    assert not is_entry(changed)
    assert scanner.scan([ENTRIES[1], changed]) is None


@pytest.mark.parametrize("commits", [b"{a}", b"{,}", b'{"}', b'{""}', b'{"a"}', b'{"a":"}', b'{"a":""}'])
def test_commitments_that_are_none_are_not_scanned_where_they_stand_alone(commits: bytes) -> None:
    """With no other in the batch there are no quotes to count by, or too few."""
    changed = re.sub(rb'"commits":\{[^}]*\}', b'"commits":' + commits, ENTRIES[0])
    assert not is_entry(changed)
    assert Scanner().scan([changed]) is None
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


def test_what_is_remembered_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "KNOWN_LIMIT", 30)
    scanner = Scanner()
    for number in range(200):
        entry = example_entry(f"case-{number}", 0, "0" * 64).to_bytes()
        entry = entry.replace(b"0.1.0", b"0.%d" % number).replace(b'"facts":', b'"facts%d":' % number)
        assert scanner.scan([entry.replace(b"2026-", b"%d-" % (2026 + number))]) is not None
    for known in (scanner._words._seen, scanner._hours._seen, scanner._endings):
        assert 0 < len(known) <= 31 + 2


@given(st.lists(st.integers(1, 11), unique=True), st.integers(1, 12))
def test_checkpoints_and_batches_may_fall_anywhere(sizes: list[int], batch: int) -> None:
    rows = sealed(list(ENTRIES))
    notes = [note_at([row[2] for row in rows], size) for size in (*sorted(sizes), 12)]
    verifiers = [LogVerifier(notes, KEYS), OneByOne(notes, KEYS)]
    for verifier in verifiers:
        for start in range(0, 12, batch):
            verifier.feed(rows[start : start + batch])
    assert verifiers[0].finish() == verifiers[1].finish()


@given(st.data())
def test_faults_beside_checkpoints_are_told_in_one_order(data: st.DataObject) -> None:
    """Several edits, forged roots and an origin that changes unexplained, all in the midst of a batch."""
    entries = list(ENTRIES)
    for number in data.draw(st.sets(st.integers(0, 11), max_size=3)):
        entries[number] = data.draw(st.sampled_from([ENTRIES[5], ENTRIES[number][:-1], b"", b"\n"]))
    rows: list[Row] = sealed(entries)
    for number in data.draw(st.sets(st.integers(0, 11), max_size=1)):
        rows[number] = data.draw(
            st.sampled_from(
                [(number, None, rows[number][2]), (number, rows[number][1], b"f" * 32), (3, b"", b"")]
            )
        )
    sizes = sorted(data.draw(st.sets(st.integers(0, 13))))
    moved = data.draw(st.integers(0, 13))
    notes = []
    for size in sizes:
        signer = SIGNER if size <= moved else OTHER
        # A row's hash may be empty here; a checkpoint's root never is.
        honest = root_of([row[2] or bytes(32) for row in rows[:size]])
        root = b"f" * 32 if size and data.draw(st.booleans()) else honest
        notes.append(sign_checkpoint(Checkpoint(signer.name, size, root), [signer]))
    keys = (*KEYS, VerifierKey.parse(OTHER.verifier_key))
    kept = data.draw(st.sampled_from([None, *notes]))
    fast, slow = (way(notes, keys, kept=kept) for way in (LogVerifier, OneByOne))
    assert said(fast, rows) == said(slow, rows)
    assert fast.entries == slow.entries


@pytest.mark.parametrize("way", [LogVerifier, OneByOne])
@given(st.integers(1, 12))
def test_the_nodes_that_are_kept_are_the_trees(way: type[LogVerifier], batch: int) -> None:
    rows = sealed(list(ENTRIES))
    leaves = [row[2] for row in rows]
    verifier = way([note_at(leaves, 5), note_at(leaves, 12)], KEYS, node_levels=(1, 2, 3))
    for start in range(0, 12, batch):
        verifier.feed(rows[start : start + batch])
    node = nodes_of(leaves)
    places = [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 0), (2, 1), (2, 2), (3, 0)]
    assert verifier.finish().entries == 12
    assert verifier.nodes == {place: node(*place) for place in places}
