"""Keeps hearings in `opinions.jsonl`, one a line, so that a run that was killed goes on where it was.

Lines are only appended while a run lasts, whole and at once; so a kill can tear the last line and no other. What is about another
panel, another case, or a case as it was before it changed is never used and never lost: it stays in the file, behind the run's
own lines, for the run that it belongs to. A fresh run is kept beside, in `opinions.fresh`, until it is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arbiter.errors import ConfigurationError, RefusedError
from arbiter.evaluation.cases import Case
from arbiter.evaluation.hearing import Came, Hearing, hearing_from, line_of
from arbiter.model import MemberStatus

FILE: Final = "opinions.jsonl"
_LOCK: Final = ".evaluating"
_NOBODY_KNOWS: Final = frozenset({MemberStatus.DOWN, MemberStatus.TIMED_OUT})
_OF_OTHERS: Final = frozenset({"other_panel", "not_meant", "changed_case"})
_BEGINNING: Final = b'{"came":"'
"""What every line begins with: one that is torn, in a file that holds no other, is told from somebody else's by it."""

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unused:
    """How many lines that a file held are not used, by the reason.

    Dropped: `torn` is the last line where it has no end, `unreadable` whole lines that are none of `line_of`'s, `unanswered` what
    lacks a member that was down or too late: nobody knows what it would have said, and its server may be back.
    Kept in the file: `other_panel` is what was said under another content of the protocol or by another table of a score,
    `changed_case` of a case as it was before, `not_meant` what is about none of the cases.
    """

    torn: int = 0
    unreadable: int = 0
    other_panel: int = 0
    changed_case: int = 0
    not_meant: int = 0
    unanswered: int = 0

    @property
    def in_all(self) -> int:
        """The sum of them."""
        return sum(
            (self.torn, self.unreadable, self.other_panel, self.changed_case, self.not_meant, self.unanswered)
        )


class OpinionsFile:
    """The file of one folder: what of it can be used, and what is appended. Of two lines about a case the later counts.

    Raises:
        ConfigurationError: when what is there holds no opinion at all: it is somebody else's file.
    """

    def __init__(self, path: Path, cases: Iterable[Case], panel_hash: str, *, fresh: bool = False) -> None:
        self._path = path
        self._own = path.with_suffix(".fresh") if fresh else path
        self._order = {case.id: case.hash for case in cases}
        # A fresh run replaces what was said of these cases once it is whole, and nothing else.
        self._kept = _sorted(path, self._order, panel_hash) if fresh else None
        found = _sorted(self._own, self._order, panel_hash)
        self.hearings, self._spans, self._others = found.hearings, found.spans, found.others
        self.unused = Unused(**found.counts)
        self._descriptor = os.open(self._own, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = found.size
        os.ftruncate(self._descriptor, self._size)

    def append(self, hearing: Hearing) -> None:
        """Append one hearing by one write."""
        line = line_of(hearing)
        written = os.write(self._descriptor, line)
        if written != len(line):
            raise OSError(f"expected to write {len(line)} bytes to {self._own}, {written} were written")
        self.hearings[hearing.case] = hearing
        self._spans[hearing.case] = (self._size, self._size + written)
        self._size += written

    def close(self) -> None:
        """Hand what was appended to the disk and close the file."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def settle(self) -> str:
        """Leave in the closed file one line a case in the order of the cases, behind them what belongs to other runs.

        A kill leaves all of the file as it was or all of it as it is to be.

        Returns:
            The SHA-256 (hex) of the lines of these cases: whatever else the file holds, the same opinions have the same hash.
        """
        content = self._own.read_bytes()
        told = b"".join(content[begin:end] for begin, end in (self._spans[case] for case in self._order))
        settled = told
        if self._kept is not None and self._kept.others:
            old = self._path.read_bytes()
            settled += b"".join(old[begin:end] for begin, end in self._kept.others)
        settled += b"".join(content[begin:end] for begin, end in self._others)
        if settled != content:
            _replace(self._own, settled)
        if self._own != self._path:
            self._own.replace(self._path)
        return hashlib.sha256(told).hexdigest()


@contextmanager
def opened(
    path: Path, cases: Iterable[Case], panel_hash: str, *, fresh: bool = False
) -> Iterator[OpinionsFile]:
    """Yield the file, made where it is not there, for a fresh run one beside it; closed behind the block."""
    file = OpinionsFile(path, cases, panel_hash, fresh=fresh)
    try:
        yield file
    finally:
        file.close()


@dataclass(frozen=True, slots=True)
class _Sorted:
    """What a file holds: the hearings of a run and where their lines lie, and where those of other runs do.

    `size` is where the last whole line ends.
    """

    hearings: dict[str, Hearing]
    spans: dict[str, _Span]
    others: tuple[_Span, ...]
    counts: Counter[str]
    size: int


def _sorted(path: Path, wanted: Mapping[str, str], panel_hash: str) -> _Sorted:
    """Read a file, which need not be there, and sort its lines; nothing is written."""
    *lines, last = (path.read_bytes() if path.exists() else b"").split(b"\n")
    hearings: dict[str, Hearing] = {}
    spans: dict[str, _Span] = {}
    others: list[_Span] = []
    counts = Counter(torn=int(bool(last)))
    at = 0
    for line in lines:
        hearing, span = _read(line), (at, at + len(line) + 1)
        misfit = _misfit(hearing, wanted, panel_hash)
        if misfit is not None:
            counts[misfit] += 1
            if misfit in _OF_OTHERS:
                others.append(span)
        elif hearing is not None:
            hearings[hearing.case], spans[hearing.case] = hearing, span
        at = span[1]
    begun = last[: len(_BEGINNING)] == _BEGINNING[: len(last)]
    if counts["unreadable"] == len(lines) and (lines or not begun):
        raise ConfigurationError(
            f"{path} holds no opinion that this version can read: name another --out, or move the file away"
        )
    return _Sorted(hearings, spans, tuple(others), counts, at)


def _replace(path: Path, content: bytes) -> None:
    """Put content in a file's place, as unreadable for others as it was."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _read(line: bytes) -> Hearing | None:
    try:
        return hearing_from(line)
    except RefusedError:
        return None


def _misfit(hearing: Hearing | None, wanted: Mapping[str, str], panel_hash: str) -> str | None:
    if hearing is None or (hearing.came is Came.REFUSED) != (hearing.verdict is None):
        return "unreadable"
    if hearing.panel_hash != panel_hash:
        return "other_panel"
    if hearing.case not in wanted:
        return "not_meant"
    if hearing.case_hash != wanted[hearing.case]:
        return "changed_case"
    return "unanswered" if any(opinion.status in _NOBODY_KNOWS for opinion in hearing.opinions) else None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every other evaluation out of a folder, which is made where it is not there; a kill lets go.

    Raises:
        ConfigurationError: when another evaluation is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConfigurationError(
            f"another evaluation is at work in {folder}: wait for it, or name another --out"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
