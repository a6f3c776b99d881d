"""A log entry: the envelope of one step of one case, in exactly one byte form.

An entry says who did what to which case under which versions, and commits to contents that it does not hold. It is
RFC 8785 JSON of strings and integers in a grammar so narrow (tokens of printable ASCII without spaces, quotes or
escapes) that no value has two spellings, that free text does not fit, and that one expression decides membership.

Entries of one case form a chain: `seq` counts from 0 and `prev` is the leaf hash (RFC 6962, in hex) of the case's
entry before; the first entry's `prev` is `FIRST_PREV`, 64 zeros. An entry that closes a case carries `count`, the
number of the case's entries up to and with itself. Entries may follow a closing one (an outcome, a contest, a read):
a chain proves completeness up to the last entry shown and no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from arbiter.audit.canonical import MAX_INTEGER, canonical_bytes, parse_canonical
from arbiter.audit.merkle import leaf_hash
from arbiter.errors import VerificationError

ENTRY_VERSION = 1
MAX_ENTRY_BYTES = 65_535
SALT_BYTES = 32
FIRST_PREV = "0" * 64
COMMITMENT_DOMAIN = b"arbiter/commitment/v1\x00"

Pairs = tuple[tuple[str, str], ...]

WORD = r"[A-Za-z0-9][A-Za-z0-9._:/@+=~-]{0,199}"
NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_HEX_HASH = r"[0-9a-f]{64}"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"


def _object_of(pair: str) -> str:
    return rf"\{{((?:{pair}(?:,{pair})*)?)\}}"


# Every field's JSON spelling, one capturing group each, in canonical order.
FIELDS = {
    "actor": rf'"({WORD})"',
    "at": rf'"({_INSTANT})"',
    "case": rf'"({WORD})"',
    "commits": _object_of(rf'"{WORD}":"{_HEX_HASH}"'),
    "count": rf"({NUMBER})",
    "prev": rf'"({_HEX_HASH})"',
    "seq": rf"({NUMBER})",
    "trace": r'"((?:[0-9a-f]{32})?)"',
    "type": rf'"({WORD})"',
    "v": rf"({ENTRY_VERSION})",
    "versions": _object_of(rf'"{WORD}":"{WORD}"'),
}
_OPTIONAL = {"count"}

_GRAMMAR = re.compile(
    r"\{"
    + "".join(
        rf'(?:"{name}":{spelling},)?' if name in _OPTIONAL else rf'"{name}":{spelling},'
        for name, spelling in FIELDS.items()
    ).removesuffix(",")
    + r"\}"
)
_NAME = re.compile(WORD)
# Ten names, and six values that are strings.
_QUOTES = 2 * (10 + 6)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` is aware UTC; `trace` is a W3C trace id (32 hex digits) or empty; pairs are sorted by name.

    `case` names the chain the entry belongs to; `commits` maps names to commitments (`commit`), `versions` maps
    protocol, policy, calibration and code to the versions in force. Raises `ValueError` when the values contradict
    each other; the spelling of each is checked by `to_bytes`.
    """

    type: str
    case: str
    seq: int
    prev: str
    at: datetime
    actor: str
    trace: str
    versions: Pairs
    commits: Pairs
    count: int | None = None
    v: int = ENTRY_VERSION

    def __post_init__(self) -> None:
        if not 0 <= self.seq < MAX_INTEGER:
            raise ValueError(f"seq {self.seq} is out of range")
        if (self.seq == 0) != (self.prev == FIRST_PREV):
            raise ValueError(f"seq {self.seq} does not fit its prev: 64 zeros mark the first entry alone")
        if self.at.utcoffset() != _NO_OFFSET:
            raise ValueError("at must be aware and in UTC")
        for pairs, field in ((self.versions, "versions"), (self.commits, "commits")):
            names = [name for name, _ in pairs]
            if names != sorted(set(names)):
                raise ValueError(f"{field} must be sorted by name and unique")

    def to_bytes(self) -> bytes:
        """Return the entry's one byte form. Raises `ValueError`, naming the field, when a value does not fit it."""
        count = "" if self.count is None else f'"count":{self.count},'
        text = (
            f'{{"actor":"{self.actor}","at":"{spell_instant(self.at)}","case":"{self.case}",'
            f'"commits":{{{_spelt(self.commits)}}},{count}"prev":"{self.prev}","seq":{self.seq},'
            f'"trace":"{self.trace}","type":"{self.type}","v":{self.v},"versions":{{{_spelt(self.versions)}}}}}'
        )
        if len(text) > MAX_ENTRY_BYTES:
            raise ValueError(f"entry of {len(text)} bytes, at most {MAX_ENTRY_BYTES} are carried")
        # A quote inside a value could spell another entry than this one, so every quote must be the envelope's own.
        quotes = _QUOTES + 4 * (len(self.commits) + len(self.versions)) + (0 if self.count is None else 2)
        if _GRAMMAR.fullmatch(text) is None or text.count('"') != quotes:
            raise ValueError(f"entry {self.seq} of its case: {_misfit_of(self)}")
        return text.encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry:
        """Return the entry spelt by `data`. Raises `VerificationError` for anything but an entry's one byte form."""
        if len(data) > MAX_ENTRY_BYTES:
            raise VerificationError(f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, came {len(data)}")
        match = _GRAMMAR.fullmatch(data.decode("ascii", "replace"))
        if match is None:
            raise VerificationError(_misfit(data))
        actor, at, case, commits, count, prev, seq, trace, type_, version, versions = match.groups()
        try:
            return cls(
                type=type_,
                case=case,
                seq=int(seq),
                prev=prev,
                at=datetime.fromisoformat(at),
                actor=actor,
                trace=trace,
                versions=_pairs(versions),
                commits=_pairs(commits),
                count=None if count is None else int(count),
                v=int(version),
            )
        except ValueError as error:
            raise VerificationError(f"expected a consistent entry: {error}") from error


@dataclass(frozen=True, slots=True)
class Link:
    """Where a case's chain stands: its last entry's `seq` and leaf hash in hex."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Evidence of an unbroken chain: the case, how many entries it shows, its last link, and whether it closed."""

    case: str
    length: int
    last: Link
    closed: bool


def spell_instant(at: datetime) -> str:
    """Return an instant in UTC as entries spell it: to the microsecond, with a Z."""
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def commit(name: str, salt: bytes, content: bytes) -> str:
    """Return the commitment to `content` under `name` in hex: SHA-256(domain || name || 0x00 || salt || content).

    `salt` is 32 random bytes, fresh for each commitment. Raises `ValueError` for another length or an unfit name.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    if _NAME.fullmatch(name) is None:
        raise ValueError("a commitment's name is a token")
    return sha256(COMMITMENT_DOMAIN + name.encode("ascii") + b"\x00" + salt + content).hexdigest()


def check_link(entry: Entry, before: Link | None) -> None:
    """Check that `entry` follows `before`, the last link of the same case, or begins the case when there is none.

    Raises `VerificationError` naming the case and seq.
    """
    place = f"case {entry.case}, seq {entry.seq}"
    expected = 0 if before is None else before.seq + 1
    if entry.seq < expected:
        raise VerificationError(f"{place}: duplicate seq, expected {expected}")
    if entry.seq > expected:
        raise VerificationError(f"{place}: seq {expected} is missing")
    if before is not None and entry.prev != before.hash:
        raise VerificationError(f"{place}: prev is not the hash of seq {before.seq}")
    check_count(entry)


def check_count(entry: Entry) -> None:
    """Check that an entry which closes its case counts the chain up to itself; raises `VerificationError`."""
    if entry.count is not None and entry.count != entry.seq + 1:
        raise VerificationError(
            f"case {entry.case}, seq {entry.seq}: closes with a count of {entry.count}, "
            f"the chain has {entry.seq + 1}"
        )


def verify_chain(entries: Iterable[Entry]) -> Chain:
    """Check that `entries`, in order, are one case's chain from its first entry on, and return the evidence.

    Raises `VerificationError` naming the case and seq; also when there is no entry at all.
    """
    last: Link | None = None
    case, length, closed = "", 0, False
    for entry in entries:
        if last is not None and entry.case != case:
            raise VerificationError(f"case {case}, after seq {last.seq}: came an entry of case {entry.case}")
        check_link(entry, last)
        last = Link(entry.seq, leaf_hash(entry.to_bytes()).hex())
        case, length, closed = entry.case, length + 1, closed or entry.count is not None
    if last is None:
        raise VerificationError("expected a chain of entries, came none")
    return Chain(case, length, last, closed)


_NO_OFFSET = UTC.utcoffset(None)


def _spelt(pairs: Pairs) -> str:
    return ",".join([f'"{name}":"{value}"' for name, value in pairs])


def _pairs(spelt: str) -> Pairs:
    """Undo `_spelt`; the grammar has already kept quotes out of names and values."""
    pairs = [pair.partition('":"') for pair in spelt[1:-1].split('","')] if spelt else []
    return tuple([(name, value) for name, _, value in pairs])


def _misfit(data: bytes) -> str:
    """Say why `data` is no entry; only reached once the grammar has refused it."""
    value = parse_canonical(data)
    if not isinstance(value, dict):
        return "expected an entry, came JSON that is not an object"
    return _misfit_in(value)


def _misfit_of(entry: Entry) -> str:
    fields: dict[str, object] = {
        "actor": entry.actor,
        "at": spell_instant(entry.at),
        "case": entry.case,
        "commits": dict(entry.commits),
        "prev": entry.prev,
        "seq": entry.seq,
        "trace": entry.trace,
        "type": entry.type,
        "v": entry.v,
        "versions": dict(entry.versions),
    }
    return _misfit_in(fields if entry.count is None else fields | {"count": entry.count})


def _misfit_in(fields: Mapping[str, object]) -> str:
    unknown = sorted(fields.keys() - FIELDS.keys())
    if unknown:
        return f"expected an entry's fields, came {len(unknown)} unknown"
    for name, spelling in FIELDS.items():
        if name not in fields:
            if name in _OPTIONAL:
                continue
            return f"expected an entry with the field {name}, came none"
        if re.fullmatch(spelling, canonical_bytes(fields[name]).decode("utf-8")) is None:
            return f"expected an entry, its field {name} does not fit"
    return "expected an entry's one byte form"
