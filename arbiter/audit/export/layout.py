"""The names of an export's members, and the forms of those that are written a line an entry.

`entries.jsonl` is what counts: a line an entry in the order of the log, canonical JSON with the entry's exact bytes as
text, its leaf hash in hex and its index. `entries.csv` says the same for spreadsheets; both are made by the functions
here, so that a reader can make them again and compare.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from arbiter.audit.canonical import canonical_bytes, parse_canonical, plain_bytes
from arbiter.audit.entry import Entry, spell_instant
from arbiter.audit.fields import exact_fields, field_of
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.proof import TlogProof
from arbiter.errors import VerificationError

ENTRIES = "entries.jsonl"
TABLE = "entries.csv"
EVENTS = "events.ndjson"
CHECKPOINT = "checkpoints/newest"
ALL_CHECKPOINTS = "checkpoints/all.jsonl"
STATEMENTS = "keys/statements.jsonl"
PROOFS_FOLDER = "proofs/"
PROOFS = "proofs/all.jsonl"
KEYS = "keys.txt"
README = "README.txt"
MANIFEST = "manifest.json"
MANIFEST_NOTE = "manifest.note"
PAYLOADS_FOLDER = "payloads/"
REPLAY_FOLDER = "replay/"
PROTOCOLS_FOLDER = "protocols/"
CALIBRATIONS_FOLDER = "calibrations/"
PAPER_FOLDER = "cases/"
SOURCE_FOLDER = "source/"
SCRIPT = "verify.py"
SALTS = "salts.json"

MOST_PROOF_FILES = 1_000
"""Up to so many entries each proof is a file of its own; beyond, all are lines of one."""

_MEMBER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_LINE_FIELDS = {"entry", "hash", "index"}
_COLUMNS = (
    "index",
    "at",
    "case",
    "seq",
    "type",
    "actor",
    "count",
    "commits",
    "versions",
    "trace",
    "leaf_hash",
)


def is_member_name(name: str) -> bool:
    """Tell whether a member may be called so: relative, plain, and in no way leading out of a folder."""
    return _MEMBER.fullmatch(name) is not None and len(name) <= 400


def proof_name(index: int) -> str:
    """Return the name of the member that holds the proof of one entry."""
    return f"{PROOFS_FOLDER}{index}.tlog-proof"


def payload_name(case: str, seq: int, name: str) -> str:
    """Return the name of the member that holds a decrypted document: byte for byte what the entry commits to."""
    return f"{PAYLOADS_FOLDER}{case}/{seq}-{name}.json"


def salts_name(case: str) -> str:
    """Return the name of the member with the salts of a case's documents."""
    return f"{PAYLOADS_FOLDER}{case}/{SALTS}"


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """An entry with its place in the log; `body` is its exact bytes."""

    index: int
    body: bytes
    hash: bytes

    @classmethod
    def of(cls, index: int, body: bytes) -> ExportedEntry:
        """Return the entry with its leaf hash."""
        return cls(index, body, leaf_hash(body))

    def line(self) -> bytes:
        """Return the line of `entries.jsonl`, with its end."""
        fields = {"entry": self.body.decode("utf-8"), "hash": self.hash.hex(), "index": self.index}
        return plain_bytes(fields) + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> ExportedEntry:
        """Return the entry that a line (without its end) spells; its hash is checked. Raises `VerificationError`."""
        value = parse_canonical(line)
        fields = exact_fields(value, _LINE_FIELDS, "entry")
        text, hexed = (field_of(fields, name, str, "entry") for name in ("entry", "hash"))
        index = field_of(fields, "index", int, "entry")
        if index < 0:
            raise VerificationError(f"expected an index from 0 on, came {index}")
        made = cls.of(index, text.encode("utf-8"))
        if hexed != made.hash.hex():
            raise VerificationError(f"entry {index}: its bytes do not hash to the leaf hash beside them")
        return made


def table_head() -> bytes:
    """Return the first line of `entries.csv`."""
    return (",".join(_COLUMNS) + "\r\n").encode("ascii")


def table_row(exported: ExportedEntry, entry: Entry) -> bytes:
    """Return an entry's row of `entries.csv` (RFC 4180).

    An entry's grammar has no comma, quote or line end, and lets nothing begin like a spreadsheet's formula.
    """
    cells = (
        str(exported.index),
        spell_instant(entry.at),
        entry.case,
        str(entry.seq),
        entry.type,
        entry.actor,
        "" if entry.count is None else str(entry.count),
        " ".join(name for name, _ in entry.commits),
        " ".join(f"{name}={value}" for name, value in entry.versions),
        entry.trace,
        exported.hash.hex(),
    )
    return (",".join(cells) + "\r\n").encode("ascii")


def proof_line(proof: TlogProof) -> bytes:
    """Return the line of `proofs/all.jsonl` for one entry: the proof file's text as a JSON value."""
    return plain_bytes({"index": proof.index, "proof": proof.encode().decode("utf-8")}) + b"\n"


def parse_proof_line(line: bytes) -> TlogProof:
    """Return the proof of a line without its end; nothing is verified but that its index is the line's."""
    fields = exact_fields(parse_canonical(line), {"index", "proof"}, "proof")
    index = field_of(fields, "index", int, "proof")
    proof = TlogProof.parse(field_of(fields, "proof", str, "proof").encode("utf-8"))
    if proof.index != index:
        raise VerificationError(f"expected the proof of entry {index}, came that of {proof.index}")
    return proof


def parse_number(text: str) -> int:
    """Return an entry's number in its chain as the names of members and salts spell it."""
    if _NUMBER.fullmatch(text) is None:
        raise VerificationError("expected an entry's number in its chain")
    return int(text)


def note_line(note: bytes) -> bytes:
    """Return the line of `checkpoints/all.jsonl` for one checkpoint: the note's text as a JSON string."""
    return canonical_bytes(note.decode("utf-8")) + b"\n"


def parse_note_line(line: bytes) -> bytes:
    """Return the note of a line without its end."""
    value = parse_canonical(line)
    if not isinstance(value, str):
        raise VerificationError("expected a checkpoint's note as a JSON string")
    return value.encode("utf-8")
