"""Files that only their owner may have read or changed: read with that checked, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arbiter.errors import ConfigurationError

LONGEST_FILE = 4096
MAKE = "run `arbiter keys init`"
RESTORE = "restore it from the copy that was made at installation (SECURITY.md, Keys)"


def check_folder(folder: Path) -> None:
    """Raise ConfigurationError unless `folder` is a folder of ours that nobody else may enter."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} is missing: {MAKE}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(f"expected the folder {folder}, a file or a link of that name came")
    _check_private(folder, status, allowed=0o700)


def read_private(path: Path, missing: str, longest: int = LONGEST_FILE) -> str:
    """Return a file's text without its last newline; `missing` is the advice where it is not there.

    Raises:
        ConfigurationError: when it is missing, of another user, open to others, too long or no text.
    """
    # O_NOFOLLOW and fstat on the open file: what is checked is what is read. O_NONBLOCK: a pipe must not hang us.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing: {missing}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"expected a regular file, {path} is {stat.filemode(status.st_mode)}")
        _check_private(path, status, allowed=0o600)
        content = os.read(descriptor, longest + 1)
    finally:
        os.close(descriptor)
    if len(content) > longest or not content.endswith(b"\n"):
        raise ConfigurationError(f"{path} is malformed: expected lines of at most {longest} bytes together")
    try:
        return content[:-1].decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is malformed: expected text") from None


def write_new(path: Path, text: str) -> None:
    """Write a file of mode 0600 that must not exist yet, and force it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode() + b"\n")
        file.flush()
        os.fsync(descriptor)


def replace_file(path: Path, text: str) -> None:
    """Put a file of mode 0600 in place at once: after a crash there is the old one or the new one."""
    with _alone(path.parent):
        _put(path, text)


def add_file(path: Path, text: str) -> None:
    """Put a file of mode 0600 in place at once; raise ConfigurationError when there is one, whoever made it and when."""
    with _alone(path.parent):
        if path.exists() or path.is_symlink():
            raise ConfigurationError(f"{path} exists already, and keys are never overwritten")
        _put(path, text)


def sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.unlink(missing_ok=True)
    write_new(fresh, text)
    fresh.replace(path)
    sync_folder(path.parent)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from writing in the folder: two that make one key at once would each wrap under their own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result, *, allowed: int) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigurationError(f"{path} belongs to user {status.st_uid}, expected {os.geteuid()}")
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~allowed:
        raise ConfigurationError(f"{path} has mode {mode:04o}, expected {allowed:04o} or less")
