"""The forms of an export's small members: whatever else comes is refused as evidence that does not check out."""

import pytest

from arbiter.audit.canonical import canonical_bytes
from arbiter.audit.export.layout import (
    ExportedEntry,
    parse_note_line,
    parse_number,
    parse_proof_line,
    parse_statements,
    statements_document,
)
from arbiter.errors import VerificationError

ENTRY = ExportedEntry.of(7, b"an entry")
OPENED = {"salt": "AAAA", "content": "AAAA"}
NOT_STATEMENTS = {
    "a list": [],
    "text": "",
    "a number too long to be one": {"1" * 5000: OPENED},
    "a number with a zero before it": {"01": OPENED},
    "digits of another script": {"\u0661": OPENED},
    "a salt that is no text": {"1": {"salt": 1, "content": "AAAA"}},
    "no salt": {"1": {"content": "AAAA"}},
    "a field more": {"1": {**OPENED, "seq": 1}},
}
NOT_ENTRIES = {
    "true for an index": {"entry": "an entry", "hash": ENTRY.hash.hex(), "index": True},
    "an index below 0": {"entry": "an entry", "hash": ENTRY.hash.hex(), "index": -1},
    "another hash": {"entry": "an entry", "hash": "00" * 32, "index": 7},
    "a hash that is no text": {"entry": "an entry", "hash": 7, "index": 7},
    "no hash": {"entry": "an entry", "index": 7},
}


def test_statements_are_read_as_they_were_written() -> None:
    statements = {0: (b"salt", b"content"), 12: (b"other", b"")}
    assert parse_statements(statements_document(statements)) == statements
    assert parse_statements(b"{}") == {}


@pytest.mark.parametrize("value", NOT_STATEMENTS.values(), ids=NOT_STATEMENTS)
def test_other_statements_are_refused(value: object) -> None:
    with pytest.raises(VerificationError):
        parse_statements(canonical_bytes(value))


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
