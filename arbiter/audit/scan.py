"""Reads many entries at once: the grammar of `arbiter.audit.entry`, decided for a batch in a few passes over its bytes.

It makes no `Entry` and gives no reasons. It accepts nothing that `Entry.from_bytes` refuses; where it refuses, a reader
goes through the batch entry by entry and learns which one it is and why. What an entry says of its chain, `prev` and
`seq`, is only cut out: the reader compares both with what the chain demands, spelling and all.

Most parts of an entry were seen before: actors, cases, minutes, names, and the ending from `type` on, which is the same
in thousands of entries. Each is held against the grammar once and then known by its bytes. That is sound because
quotes delimit every part, no part may hold one, and each part is in its grammar or not whatever stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from arbiter.audit.entry import FIELDS, MAX_ENTRY_BYTES, Entry
from arbiter.errors import VerificationError

KNOWN_LIMIT = 10_000
"""Parts of each kind that are remembered at most."""

# A part that is looked at afterwards is cut out by where it ends; `.` and the line's end keep parts to their line.
_CUT = {
    "actor": r'"([^"]*)"',
    "at": r'"(.{17})[0-5][0-9]\.[0-9]{6}Z"',
    "case": r'"([^"]*)"',
    "commits": r"\{([^}]*)\}",
    "prev": r'"(.{64})"',
    "trace": r'"(?:[0-9a-f]{32})?"',
}
_LINE = re.compile(
    (
        r'^\{{"actor":{actor},"at":{at},"case":{case},"commits":{commits},(?:"count":{count},)?'
        r'"prev":{prev},"seq":{seq},"trace":{trace},("type":.*)\n'
    )
    .format_map({**FIELDS, **_CUT})
    .encode("ascii"),
    re.MULTILINE,
)
_WORD = re.compile(FIELDS["actor"].strip('"').encode("ascii"))
_INSTANT = re.compile(FIELDS["at"].strip('"').encode("ascii"))
_NAMES = re.compile(rb'"([^"]*)":')
_HEX_DIGITS = b"0123456789abcdef"
_HEX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Scanned:
    """Of the entries in a batch, in order: case, count (empty where it carries none), prev and seq as spelt."""

    cases: Sequence[bytes]
    counts: Sequence[bytes]
    prevs: Sequence[bytes]
    seqs: Sequence[bytes]


class Scanner:
    """Remembers the parts that it has seen to be well-formed."""

    def __init__(self) -> None:
        self._words = _Known(lambda word: _WORD.fullmatch(word) is not None)
        self._minutes = _Known(_is_minute)
        self._endings: set[bytes] = set()

    def scan(self, entries: Sequence[bytes], cases: Collection[bytes]) -> Scanned | None:
        """Return what the entries say of their chains, or None when any of them may not be an entry.

        `cases` are those seen before, by this scanner or by `Entry.from_bytes`.
        """
        if not entries or max(map(len, entries)) > MAX_ENTRY_BYTES:
            return None
        lines = b"\n".join([*entries, b""])
        found = _LINE.findall(lines)
        # A match ends with its line's end; with as many of those as entries, none holds one and none was skipped.
        if len(found) != len(entries) or lines.count(b"\n") != len(entries):
            return None
        actors, minutes, chains, commits, counts, prevs, seqs, endings = zip(*found, strict=True)
        if (
            self._words.hold(actors)
            and self._words.hold(set(chains).difference(cases))
            and self._minutes.hold(minutes)
            and self._hold_commits([pairs for pairs in commits if pairs])
            and self._hold_endings(entries, endings)
        ):
            return Scanned(chains, counts, prevs, seqs)
        return None

    def _hold_commits(self, commits: Sequence[bytes]) -> bool:
        if not commits:
            return True
        # Cut at its quotes, `"a":"12","b":"34"` and a line more is '', a, ':', 12, ',', b, ':', 34, line's end, ….
        parts = b"\n".join(commits).split(b'"')
        names, between, hashes, ends = parts[1::4], parts[2::4], parts[3::4], parts[4:-1:4]
        return (
            len(parts) % 4 == 1
            and parts[0] == parts[-1] == b""
            and set(ends) <= {b",", b"\n"}
            and set(between) == {b":"}
            and set(map(len, hashes)) == {_HEX_LENGTH}
            and not b"".join(hashes).translate(None, _HEX_DIGITS)
            and self._words.hold(names)
            and all(_sorted(pairs) for pairs in commits if b"," in pairs)
        )

    def _hold_endings(self, entries: Sequence[bytes], endings: Sequence[bytes]) -> bool:
        new = set(endings) - self._endings
        if not new:
            return True
        with_ending = dict(zip(endings, entries, strict=True))
        try:
            for ending in new:
                Entry.from_bytes(with_ending[ending])
        except VerificationError:
            return False
        self._endings = new if len(self._endings) > KNOWN_LIMIT else self._endings | new
        return True


class _Known:
    """Parts of one kind that were held against their grammar."""

    def __init__(self, fits: Callable[[bytes], bool]) -> None:
        self._fits = fits
        self._seen: set[bytes] = set()

    def hold(self, parts: Collection[bytes]) -> bool:
        """Tell whether all of these are in the grammar."""
        new = set(parts) - self._seen
        if not new:
            return True
        if not all(map(self._fits, new)):
            return False
        self._seen = new if len(self._seen) > KNOWN_LIMIT else self._seen | new
        return True


def _is_minute(part: bytes) -> bool:
    instant = part + b"00.000000Z"
    if _INSTANT.fullmatch(instant) is None:
        return False
    try:
        datetime.fromisoformat(instant.decode("ascii"))
    except ValueError:
        return False
    return True


def _sorted(pairs: bytes) -> bool:
    names = _NAMES.findall(pairs)
    return names == sorted(set(names))
