"""Reads many entries at once: the grammar of `arbiter.audit.entry`, decided for a batch in one pass over its text.

It makes no `Entry` and gives no reasons. It accepts nothing that `Entry.from_bytes` refuses; where it refuses, a reader
goes through the batch entry by entry and learns which one it is and why. What an entry says of its place in its chain,
`count`, `prev` and `seq`, is only cut out: the reader compares it, spelling and all, with what the chain demands.

One expression holds most of an entry against the grammar, and passes quickly over what is looked at afterwards: the
hashes among the commitments, a batch at once, and three kinds of parts that come again and again: the hour, of which
the calendar decides, the names of commitments, and the ending from `type` on, the longest part by far. Each of these is
decided once and then known by its text, which is sound because none depends on what stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from operator import lt

from arbiter.audit.entry import FIELDS, MAX_ENTRY_BYTES, NUMBER, WORD, Entry
from arbiter.audit.recovery import RECOVERED
from arbiter.errors import VerificationError

KNOWN_LIMIT = 10_000
"""Parts of each kind that are remembered at most."""

# Few groups and few repeated sets of characters: those are what an expression spends its time on. `.` keeps to the line.
_ENTRY = (
    rf'\{{"actor":"{WORD}","at":"(.{{13}}):[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}}Z","case":{FIELDS["case"]},'
    rf'"commits":\{{([^}}]*)\}},((?:"count":{NUMBER},)?"prev":".{{64}}","seq":{NUMBER}),'
    r'"trace":"(?:[0-9a-f]{32})?",("type":.*)'
)
# A line that is no entry is found too, its parts empty: as many lines as entries then means that none holds a line's end.
_LINE = re.compile(rf"(?:{_ENTRY}|.*)\n")
_INSTANT = re.compile(FIELDS["at"].strip('"'))
_WORD = re.compile(WORD)
_HEX_DIGITS = b"0123456789abcdef"
_HEX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Scanned:
    """Of the entries in a batch, in order: the case, and from `count` or `prev` to `seq` the text (`link_text`)."""

    cases: Sequence[str]
    links: Sequence[str]


def link_text(seq: int, prev: str, *, closes: bool = False) -> str:
    """Return how an entry spells its place in its chain."""
    count = f'"count":{seq + 1},' if closes else ""
    return f'{count}"prev":"{prev}","seq":{seq}'


class Scanner:
    """Remembers the parts that it has seen to be well-formed."""

    def __init__(self) -> None:
        self._hours = _Known(_is_hour)
        self._words = _Known(lambda word: _WORD.fullmatch(word) is not None)
        self._endings: set[str] = set()

    def scan(self, entries: Sequence[bytes]) -> Scanned | None:
        """Return what the entries say of their chains, or None when any of them may not be an entry, or is a recovery."""
        if not entries or max(map(len, entries)) > MAX_ENTRY_BYTES:
            return None
        try:
            lines = b"\n".join([*entries, b""]).decode("ascii")
        except UnicodeDecodeError:
            return None
        found = _LINE.findall(lines)
        if len(found) != len(entries):
            return None
        hours, cases, commits, links, endings = zip(*found, strict=True)
        if (
            self._hours.hold(hours)
            and self._hold_commits([pairs for pairs in commits if pairs])
            and self._hold_endings(entries, endings)
        ):
            return Scanned(cases, links)
        return None

    def _hold_commits(self, commits: Sequence[str]) -> bool:
        if not commits:
            return True
        # Cut at its quotes, `"a":"12","b":"34"` and one more is '', a, ':', 12, ',', b, ':', 34, '}', …; none holds a '}'.
        parts = "}".join(commits).split('"')
        names, between, hashes, ends = parts[1::4], parts[2::4], parts[3::4], parts[4:-1:4]
        ascending = map(lt, names, names[1:])
        return (
            len(parts) % 4 == 1
            and parts[0] == parts[-1] == ""
            and set(ends) <= {",", "}"}
            and set(between) == {":"}
            and set(map(len, hashes)) == {_HEX_LENGTH}
            and not "".join(hashes).encode("ascii").translate(None, _HEX_DIGITS)
            and self._words.hold(names)
            and all(compress(ascending, map(",".__eq__, ends)))
        )

    def _hold_endings(self, entries: Sequence[bytes], endings: Sequence[str]) -> bool:
        new = set(endings) - self._endings
        if not new:
            return True
        with_ending = dict(zip(endings, entries, strict=True))
        try:
            if any(Entry.from_bytes(with_ending[ending]).type == RECOVERED for ending in new):
                return False
        except VerificationError:
            return False
        _remember(self._endings, new)
        return True


class _Known:
    """Parts of one kind that were held against their grammar."""

    def __init__(self, fits: Callable[[str], bool]) -> None:
        self._fits = fits
        self._seen: set[str] = set()

    def hold(self, parts: Iterable[str]) -> bool:
        """Tell whether all of these are in the grammar."""
        new = set(parts) - self._seen
        if not all(map(self._fits, new)):
            return False
        _remember(self._seen, new)
        return True


def _remember(known: set[str], new: Iterable[str]) -> None:
    if len(known) > KNOWN_LIMIT:
        known.clear()
    known.update(new)


def _is_hour(part: str) -> bool:
    instant = f"{part}:00:00.000000Z"
    if _INSTANT.fullmatch(instant) is None:
        return False
    try:
        datetime.fromisoformat(instant)
    except ValueError:
        return False
    return True
