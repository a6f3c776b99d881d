"""Keeps hearings in `opinions.jsonl`, one a line, so that a run that was killed goes on where it was.

Lines are only appended while a run lasts, whole and at once; so a kill can tear the last line and no other. On opening, what
is torn, about another panel, about a case that has changed or is not meant is dropped and counted, never used.
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


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many lines that a file held are not used, by the reason.

    `torn` is the last line where it has no end, `unreadable` whole lines that are none of `line_of`'s, `other_panel` what was
    said under another content of the protocol or by another table of a score, `not_meant` what is about none of the cases, `unanswered`
    what lacks a member that was down or too late: nobody knows what it would have said, and its server may be back.
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
        ConfigurationError: when all that it holds is of other cases: a folder named by mistake loses nothing.
    """

    def __init__(self, path: Path, cases: Iterable[Case], panel_hash: str, *, fresh: bool = False) -> None:
        self._path = path
        self._order = {case.id: case.hash for case in cases}
        self._spans: dict[str, tuple[int, int]] = {}
        self.hearings: dict[str, Hearing] = {}
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        if fresh:
            os.ftruncate(self._descriptor, 0)
        self.dropped = self._take_in(path.read_bytes(), panel_hash)
        if (
            self.dropped.not_meant
            and self.dropped.not_meant == self.dropped.in_all - self.dropped.torn
            and not self.hearings
        ):
            os.close(self._descriptor)
            raise ConfigurationError(
                f"the opinions in {path} are all of other cases: name another --out, or ask everybody again with --fresh"
            )

    def _take_in(self, content: bytes, panel_hash: str) -> Dropped:
        *lines, last = content.split(b"\n")
        self._size = len(content) - len(last)
        os.ftruncate(self._descriptor, self._size)
        counts = Counter(torn=int(bool(last)))
        at = 0
        for line in lines:
            hearing = _read(line)
            misfit = _misfit(hearing, self._order, panel_hash)
            if misfit is not None:
                counts[misfit] += 1
            elif hearing is not None:
                self.hearings[hearing.case] = hearing
                self._spans[hearing.case] = (at, at + len(line) + 1)
            at += len(line) + 1
        return Dropped(**counts)

    def append(self, hearing: Hearing) -> None:
        """Append one hearing by one write."""
        line = line_of(hearing)
        written = os.write(self._descriptor, line)
        if written != len(line):
            raise OSError(f"expected to write {len(line)} bytes to {self._path}, {written} were written")
        self.hearings[hearing.case] = hearing
        self._spans[hearing.case] = (self._size, self._size + written)
        self._size += written

    def close(self) -> None:
        """Hand what was appended to the disk and close the file."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def settle(self) -> str:
        """Leave in the closed file one line a case in the order of the cases, nothing else, and return its SHA-256 (hex).

        A kill leaves all of the file as it was or all of it as it is to be.
        """
        content = self._path.read_bytes()
        spans = (self._spans[case] for case in self._order)
        settled = b"".join(content[begin:end] for begin, end in spans)
        if settled != content:
            beside = self._path.with_suffix(".new")
            with beside.open("wb") as file:
                file.write(settled)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        return hashlib.sha256(settled).hexdigest()


@contextmanager
def opened(
    path: Path, cases: Iterable[Case], panel_hash: str, *, fresh: bool = False
) -> Iterator[OpinionsFile]:
    """Yield the file, made where it is not there, emptied where a fresh run is wanted; closed behind the block."""
    file = OpinionsFile(path, cases, panel_hash, fresh=fresh)
    try:
        yield file
    finally:
        file.close()


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
