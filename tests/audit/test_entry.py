"""Entries: one byte form, nothing else accepted; commitments; a case's chain."""

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from arbiter.audit.entry import FIRST_PREV, MAX_ENTRY_BYTES, Entry, commit, verify_chain
from arbiter.audit.merkle import leaf_hash
from arbiter.errors import VerificationError
from tests.audit.logs import BEGIN, example_entry

FIRST = example_entry("case-1", 0, FIRST_PREV)
SECOND = example_entry("case-1", 1, leaf_hash(FIRST.to_bytes()).hex(), closes=True)

LETTERS = string.ascii_letters + string.digits
WORDS = st.builds(str.__add__, st.sampled_from(LETTERS), st.text(LETTERS + "._:/@+=~-", max_size=20))
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
ENTRIES = st.builds(
    Entry,
    type=WORDS,
    case=WORDS,
    seq=st.integers(1, 2**40),
    prev=HASHES.filter(lambda h: h != FIRST_PREV),
    at=st.datetimes(timezones=st.just(UTC)),
    actor=WORDS,
    trace=st.just("") | st.binary(min_size=16, max_size=16).map(bytes.hex),
    versions=st.dictionaries(WORDS, WORDS, max_size=4).map(lambda d: tuple(sorted(d.items()))),
    commits=st.dictionaries(WORDS, HASHES, max_size=4).map(lambda d: tuple(sorted(d.items()))),
    count=st.none() | st.integers(0, 2**40),
)


def as_document(entry: Entry) -> dict[str, Any]:
    """Return the entry's fields as FORMATS has them, built without the code under test."""
    document: dict[str, Any] = {
        "v": entry.v,
        "type": entry.type,
        "case": entry.case,
        "seq": entry.seq,
        "prev": entry.prev,
        "at": entry.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0"),
        "actor": entry.actor,
        "trace": entry.trace,
        "versions": dict(entry.versions),
        "commits": dict(entry.commits),
    }
    return document if entry.count is None else {**document, "count": entry.count}


@given(ENTRIES)
def test_an_entry_is_rfc_8785_and_reads_back(entry: Entry) -> None:
    data = entry.to_bytes()
    assert data == rfc8785.dumps(as_document(entry))
    assert Entry.from_bytes(data) == entry


@given(st.data())
def test_a_changed_byte_is_refused_or_another_entry(data: st.DataObject) -> None:
    original = SECOND.to_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != original[place]))
    changed = original[:place] + bytes([byte]) + original[place + 1 :]
    try:
        entry = Entry.from_bytes(changed)
    except VerificationError:
        return
    assert entry.to_bytes() == changed
    assert entry != SECOND


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extra": "x"}, "unknown"),
        ({"v": 2}, "field v"),
        ({"v": "1"}, "field v"),
        ({"v": True}, "field v"),
        ({"seq": "0"}, "field seq"),
        ({"seq": -1}, "field seq"),
        ({"seq": 1}, "64 zeros"),
        ({"seq": 2**53 - 1, "prev": "1" * 64}, "out of range"),
        ({"prev": "1" * 64}, "64 zeros"),
        ({"prev": ""}, "field prev"),
        ({"prev": "A" * 64}, "field prev"),
        ({"at": "2026-11-22T03:00:00Z"}, "field at"),
        ({"at": "2026-11-22T03:00:00.000Z"}, "field at"),
        ({"at": "2026-11-22T03:00:00.000000+00:00"}, "field at"),
        ({"at": "2026-11-22 03:00:00.000000Z"}, "field at"),
        ({"at": "2026-11-22T24:00:00.000000Z"}, "field at"),
        ({"at": "2026-11-22T23:59:60.000000Z"}, "field at"),
        ({"at": "2026-02-30T03:00:00.000000Z"}, "consistent"),
        ({"at": "0000-01-01T03:00:00.000000Z"}, "consistent"),
        ({"actor": ""}, "field actor"),
        ({"actor": "Dr Jane Doe"}, "field actor"),
        ({"case": "caf\u00e9"}, "field case"),
        ({"case": "a\u0000"}, "field case"),
        ({"case": 7}, "field case"),
        ({"type": "x" * 201}, "field type"),
        ({"trace": "0AF7651916CD43DD8448EB211C80319C"}, "field trace"),
        ({"trace": "0af7"}, "field trace"),
        ({"count": "1"}, "field count"),
        ({"count": -1}, "field count"),
        ({"versions": []}, "field versions"),
        ({"versions": {"code": 1}}, "field versions"),
        ({"versions": {"code": {"a": "b"}}}, "field versions"),
        ({"versions": {"code": ""}}, "field versions"),
        ({"commits": {"facts": "0" * 63}}, "field commits"),
        ({"commits": {"facts": "G" * 64}}, "field commits"),
        ({"commits": {"": "0" * 64}}, "field commits"),
    ],
)
def test_a_field_out_of_its_grammar_is_refused_and_named(change: dict[str, Any], reason: str) -> None:
    document = as_document(FIRST) | change
    with pytest.raises(VerificationError, match=reason):
        Entry.from_bytes(rfc8785.dumps(document))


@pytest.mark.parametrize("name", sorted(as_document(FIRST)))
def test_a_missing_field_is_refused_and_named(name: str) -> None:
    document = as_document(FIRST)
    del document[name]
    with pytest.raises(VerificationError, match=f"the field {name}"):
        Entry.from_bytes(rfc8785.dumps(document))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        FIRST.to_bytes() + b"\n",
        b" " + FIRST.to_bytes(),
        FIRST.to_bytes().replace(b'"seq":0', b'"seq": 0'),
        FIRST.to_bytes().replace(b'"seq":0', b'"seq":00'),
        FIRST.to_bytes().replace(b'"seq":0', b'"seq":0.0'),
        FIRST.to_bytes().replace(b'"seq":0', b'"seq":-0'),
        FIRST.to_bytes().replace(b'"seq":0', b'"seq":0,"seq":0'),
        FIRST.to_bytes().replace(b'"v":1', b'"v":null'),
        FIRST.to_bytes().replace(b"case-1", b"case\\u002d1"),
        FIRST.to_bytes().replace(b"case-1", b"c" * 70_000),
    ],
)
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        Entry.from_bytes(data)


def test_unsorted_commitments_are_refused() -> None:
    data = FIRST.to_bytes()
    first, second = (
        data[data.index(name) : data.index(name) + len(name) + 67] for name in (b'"facts"', b'"opinion"')
    )
    swapped = data.replace(first, b"#").replace(second, first).replace(b"#", second)
    assert len(swapped) == len(data)
    assert swapped != data
    with pytest.raises(VerificationError):
        Entry.from_bytes(swapped)


def test_a_value_cannot_smuggle_in_another_pair() -> None:
    smuggled = 'a":"' + "0" * 64 + '","b'
    with pytest.raises(ValueError, match="commits"):
        replace(FIRST, commits=((smuggled, "1" * 64),)).to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - a naive time is the attack
        {"at": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
        {"commits": (("b", "0" * 64), ("a", "0" * 64))},
        {"commits": (("a", "0" * 64), ("a", "0" * 64))},
        {"versions": (("b", "1"), ("a", "1"))},
        {"seq": 3},
        {"prev": "1" * 64},
        {"seq": -1},
    ],
)
def test_contradicting_values_make_no_entry(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(FIRST, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "Jane Doe"},
        {"case": ""},
        {"type": 'x"'},
        {"v": 2},
        {"trace": "x"},
        {"commits": (("a", "short"),)},
    ],
)
def test_values_outside_the_grammar_are_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        replace(FIRST, **change).to_bytes()


def test_an_entry_of_64_kib_is_neither_written_nor_read() -> None:
    many = tuple((f"{i:0199d}", "0" * 64) for i in range(300))
    with pytest.raises(ValueError, match="bytes"):
        replace(FIRST, commits=many).to_bytes()
    document = as_document(replace(FIRST, commits=many))
    assert len(rfc8785.dumps(document)) > MAX_ENTRY_BYTES
    with pytest.raises(VerificationError, match="at most"):
        Entry.from_bytes(rfc8785.dumps(document))


def test_commitment_is_the_documented_hash() -> None:
    expected = sha256(b"arbiter/commitment/v1\x00facts\x00" + b"s" * 32 + b"content").hexdigest()
    assert commit("facts", b"s" * 32, b"content") == expected


@pytest.mark.parametrize(
    ("name", "salt"),
    [("facts", b""), ("facts", b"s" * 31), ("facts", b"s" * 33), ("", b"s" * 32), ("a\x00b", b"s" * 32)],
)
def test_a_weak_salt_or_an_ambiguous_name_is_refused(name: str, salt: bytes) -> None:
    with pytest.raises(ValueError, match=r"salt|name"):
        commit(name, salt, b"content")


def test_a_chain_is_evidence_of_its_length() -> None:
    chain = verify_chain([FIRST, SECOND])
    assert (chain.case, chain.length, chain.closed) == ("case-1", 2, True)
    assert chain.last.hash == leaf_hash(SECOND.to_bytes()).hex()
    assert not verify_chain([FIRST]).closed


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "came none"),
        ([SECOND], "seq 0 is missing"),
        ([FIRST, FIRST], "duplicate seq"),
        ([FIRST, SECOND, SECOND], "duplicate seq"),
        ([FIRST, replace(SECOND, seq=2)], "seq 1 is missing"),
        ([FIRST, replace(SECOND, prev="1" * 64)], "prev is not the hash of seq 0"),
        ([replace(FIRST, at=BEGIN + timedelta(days=1)), SECOND], "prev is not the hash of seq 0"),
        ([FIRST, replace(SECOND, case="case-2")], "an entry of case case-2"),
        ([FIRST, replace(SECOND, count=1)], "count of 1, the chain has 2"),
        ([FIRST, replace(SECOND, count=3)], "count of 3, the chain has 2"),
        ([replace(FIRST, count=0)], "count of 0, the chain has 1"),
    ],
)
def test_a_broken_chain_is_refused_with_its_place(entries: list[Entry], reason: str) -> None:
    with pytest.raises(VerificationError, match=f"case.*{reason}|{reason}"):
        verify_chain(entries)
