"""Who else on the machine reaches an installation's files: nobody, but for the embedded database's own user on its way.

A command makes its files for their owner alone (`arbiter.cli`: the process's umask). What an older version or a copy left
open is closed at the start, and said; the folder of keys is not, which is refused as it stands: somebody may have read it.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from arbiter.errors import ConfigurationError
from arbiter.store.postgres_programs import passing_group

_OTHERS = 0o077
_LEFT_ALONE = frozenset({"keys", "postgres", "postgres.partial"})
"""What refuses to be used while it is open: the keys by our own check, the database's folder by PostgreSQL's."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TooOpen:
    """A file or folder with rights for others: what its mode is, what it may be, and whether anybody else gets that far."""

    path: Path
    found: int
    expected: int
    reached: bool

    def __str__(self) -> str:
        return f"{self.path} has mode {self.found:04o}, expected {self.expected:04o}"


def close_to_others(data: Path) -> None:
    """Take the rights of others from the files and folders of a data folder that are this user's own.

    Raises:
        ConfigurationError: when that cannot be done.
    """
    try:
        for path, mode in _children(data):
            if path.name in _LEFT_ALONE or not mode & _OTHERS or path.lstat().st_uid != os.geteuid():
                continue
            expected = mode & ~_OTHERS
            path.chmod(expected)
            _log.warning("%s had mode %04o and is %04o now: others had rights to it", path, mode, expected)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or data} cannot be closed to others on this machine: {error.strerror}; expected a data folder that "
            f"user {os.geteuid()} owns with all that is in it"
        ) from error


def too_open(data: Path, socket_folder: Path) -> tuple[TooOpen, ...]:
    """Return what of a data folder, and the database's socket where it lies apart, has rights for others.

    Raises:
        OSError: when that cannot be looked at.
    """
    status = data.stat()
    mode, expected = stat.S_IMODE(status.st_mode), 0o700
    if status.st_gid == passing_group():
        expected = 0o710
    reached = bool(mode & _OTHERS & ~expected)
    found = [TooOpen(data, mode, mode & expected, reached=True)] if reached else []
    found += [
        TooOpen(path, mode, mode & ~_OTHERS, reached) for path, mode in _children(data) if mode & _OTHERS
    ]
    if socket_folder.parent != data.resolve():
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(socket_folder.lstat().st_mode)
            if mode & _OTHERS:
                found.append(TooOpen(socket_folder, mode, mode & ~_OTHERS, reached=True))
    return tuple(found)


def _children(data: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted(data.iterdir()):
        # Gone meanwhile: another process replaces files whole.
        with suppress(FileNotFoundError):
            status = path.lstat()
            if not stat.S_ISLNK(status.st_mode):
                yield path, stat.S_IMODE(status.st_mode)
