"""The forms of an export's small members: whatever else comes is refused as evidence that does not check out."""

import pytest

from arbiter.audit.canonical import Json, canonical_bytes
from arbiter.audit.export.layout import (
    ExportedEntry,
    parse_note_line,
    parse_number,
    parse_proof_line,
)
from arbiter.audit.export.statements import StatedInLog
from arbiter.errors import VerificationError

ENTRY = ExportedEntry.of(7, b"an entry")
STATED = StatedInLog(7, b"an entry", (bytes(32),), b"s" * 32, b"a statement")
FIELDS: dict[str, Json] = {
    "content": "a statement",
    "entry": "an entry",
    "hashes": ["A" * 43 + "="],
    "index": 7,
    "salt": "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M=",
}
NOT_STATEMENTS: dict[str, Json] = {
    "a list": [],
    "text": "",
    "true for an index": FIELDS | {"index": True},
    "an index below 0": FIELDS | {"index": -1},
    "a salt that is no text": FIELDS | {"salt": 1},
    "a salt that is no base64": FIELDS | {"salt": "?"},
    "no content": {name: value for name, value in FIELDS.items() if name != "content"},
    "a field more": FIELDS | {"seq": 1},
    "hashes that are no list": FIELDS | {"hashes": "A" * 43 + "="},
    "more hashes than a tree is high": FIELDS | {"hashes": ["A" * 43 + "="] * 64},
}
NOT_ENTRIES = {
    "true for an index": {"entry": "an entry", "hash": ENTRY.hash.hex(), "index": True},
    "an index below 0": {"entry": "an entry", "hash": ENTRY.hash.hex(), "index": -1},
    "another hash": {"entry": "an entry", "hash": "00" * 32, "index": 7},
    "a hash that is no text": {"entry": "an entry", "hash": 7, "index": 7},
    "no hash": {"entry": "an entry", "index": 7},
}


def test_a_statement_is_read_as_it_was_written() -> None:
    assert STATED.line() == canonical_bytes(FIELDS) + b"\n"
    assert StatedInLog.parse(STATED.line().removesuffix(b"\n")) == STATED


@pytest.mark.parametrize("value", NOT_STATEMENTS.values(), ids=NOT_STATEMENTS)
def test_another_line_is_no_statement(value: Json) -> None:
    with pytest.raises(VerificationError):
        StatedInLog.parse(canonical_bytes(value))


def test_an_entrys_line_is_read_as_it_was_written() -> None:
    assert ExportedEntry.parse(ENTRY.line().removesuffix(b"\n")) == ENTRY


@pytest.mark.parametrize("value", NOT_ENTRIES.values(), ids=NOT_ENTRIES)
def test_another_line_is_no_entry(value: object) -> None:
    with pytest.raises(VerificationError):
        ExportedEntry.parse(canonical_bytes(value))


@pytest.mark.parametrize("text", ["", "-1", "1.0", "01", " 1", "9" * 17, "9" * 5000, "\u00b2"])
def test_a_number_that_no_export_writes_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_number(text)


@pytest.mark.parametrize("line", [b"[]", b"1", b'{"index":0}', b'{"index":true,"proof":""}'])
def test_another_line_is_neither_proof_nor_note(line: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_proof_line(line)
    with pytest.raises(VerificationError):
        parse_note_line(line)
