"""The list of erasures: a file beside the kept checkpoint, so that a database restored from before them has them made again.

A line is added and forced to the disk before a key is destroyed (`intended`) and again afterwards (`done`). So a crash errs
on the side of erasing: what is listed and not done is done at the next start, or `withdrawn` where the case has moved meanwhile
so that it may not be: it is kept then until somebody orders it again. Each line carries the hash of the one before
and a MAC under the index key, so that a line changed, removed, added or moved is noticed; the database knows how many lines
there are at least, so a cut end is too. Case ids, account ids and instants are all it holds.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from arbiter.errors import ConfigurationError
from arbiter.model import CaseId
from arbiter.ports import Chance
from arbiter.store.keys.files import sync_folder

NAME = "erasures"
_PURPOSE = "erasure-list"
_FIRST_PREV = "0" * 64
_LIST_ID_BYTES = 16

Mac = Callable[..., bytes]
"""`Vault.mac`: a keyed hash of some parts for a purpose."""


class What(StrEnum):
    """What a line says."""

    BEGUN = "begun"
    INTENDED = "intended"
    WITHDRAWN = "withdrawn"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number from 0, what it says of which case (of the list itself: its id), by whom, and when."""

    number: int
    what: What
    case: str
    by: str
    at: str
    hash: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The list as it stands: its id, its lines, and the cases whose erasure is done, or intended and not known as done."""

    id: str
    lines: tuple[Line, ...]

    @property
    def done(self) -> frozenset[CaseId]:
        """The cases whose key was destroyed."""
        return frozenset(CaseId(line.case) for line in self.lines if line.what is What.DONE)

    @property
    def intended(self) -> dict[CaseId, str]:
        """The cases whose key was about to be destroyed, and by whom."""
        wanted: dict[CaseId, str] = {}
        for line in self.lines:
            if line.what is What.INTENDED:
                wanted[CaseId(line.case)] = line.by
            else:
                wanted.pop(CaseId(line.case), None)
        return {case: by for case, by in wanted.items() if case not in self.done}


class ErasureList:
    """The file `erasures` in the data folder. Its methods block; each addition is on the disk when it returns."""

    def __init__(self, folder: Path, mac: Mac, chance: Chance) -> None:
        self.path = folder / NAME
        self._mac = mac
        self._chance = chance

    def read(self) -> Listed | None:
        """Return the list, or None when there is none.

        Raises:
            ConfigurationError: when it is not as it was written; the message names the line.
        """
        if not self.path.exists():
            return None
        with self._alone(make=False) as descriptor:
            whole = _whole_lines(_content(descriptor))
        return self._parse(whole) if whole else None

    def add(self, what: What, case: CaseId, by: str, at: datetime) -> Listed:
        """Add a line, beginning the list if need be, and return the list as it then stands. Raises as `read`."""
        with self._alone(make=True) as descriptor:
            whole = _whole_lines(_content(descriptor))
            lines = self._parse(whole).lines if whole else ()
            fresh = b""
            if not lines:
                list_id = self._chance.token(_LIST_ID_BYTES).hex()
                fresh, lines = self._extend(fresh, lines, What.BEGUN, list_id, by, at)
            fresh, lines = self._extend(fresh, lines, what, case, by, at)
            os.ftruncate(descriptor, len(whole))
            _write(descriptor, fresh, len(whole))
            os.fsync(descriptor)
        sync_folder(self.path.parent)
        return Listed(lines[0].case, lines)

    def adopt(self, content: bytes) -> None:
        """Take over a list where there is none; raise ConfigurationError when it is not as it was written."""
        self.check(content)
        with self._alone(make=True) as descriptor:
            if _content(descriptor):
                raise ConfigurationError(f"{self.path} is there already")
            _write(descriptor, content, 0)
            os.fsync(descriptor)
        sync_folder(self.path.parent)

    def check(self, content: bytes) -> Listed:
        """Return the list that these bytes hold; raises as `read`."""
        return self._parse(content)

    def _extend(
        self, fresh: bytes, lines: tuple[Line, ...], what: What, case: str, by: str, at: datetime
    ) -> tuple[bytes, tuple[Line, ...]]:
        prev = lines[-1].hash if lines else _FIRST_PREV
        instant = at.isoformat()
        said = {"n": len(lines), "what": what.value, "case": case, "by": by, "at": instant, "prev": prev}
        text = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        whole = text + b" " + self._mac(_PURPOSE, text).hex().encode()
        line = Line(len(lines), what, case, by, instant, sha256(whole).hexdigest())
        return fresh + whole + b"\n", (*lines, line)

    def _parse(self, content: bytes) -> Listed:
        lines: list[Line] = []
        prev = _FIRST_PREV
        for number, whole in enumerate(content.split(b"\n")[:-1]):
            text, _, mac = whole.rpartition(b" ")
            if not hmac.compare_digest(self._mac(_PURPOSE, text).hex().encode(), mac):
                raise self._refusal(number, "is not one that this installation wrote")
            said = json.loads(text)
            if said["n"] != number or said["prev"] != prev:
                raise self._refusal(number, "does not follow the line before it")
            prev = sha256(whole).hexdigest()
            lines.append(Line(number, What(said["what"]), said["case"], said["by"], said["at"], prev))
        if not lines or lines[0].what is not What.BEGUN:
            raise self._refusal(0, "does not begin a list")
        return Listed(lines[0].case, tuple(lines))

    def _refusal(self, number: int, fault: str) -> ConfigurationError:
        return ConfigurationError(
            f"line {number + 1} of the list of erasures {self.path} {fault}: it was changed, or lines are missing; "
            "restore the file from a copy, or find out who changed it before anything else"
        )

    @contextmanager
    def _alone(self, *, make: bool) -> Iterator[int]:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if make else 0)
        descriptor = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _content(descriptor: int) -> bytes:
    parts = []
    at = 0
    while part := os.pread(descriptor, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _whole_lines(content: bytes) -> bytes:
    """Return the content without a last line that has no end.

    It was being written when its process died: nothing was done of which it would tell.
    """
    return content[: content.rfind(b"\n") + 1]


def _write(descriptor: int, content: bytes, at: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, at)
        content, at = content[written:], at + written
