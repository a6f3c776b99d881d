"""The catalogue of backups: a file beside the list of erasures that says which backup was taken when, and when it expires.

A line is on the disk before a backup is begun and another when it is whole, so none is there that the catalogue does not
know. An erasure is complete once every backup begun before it has expired.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from arbiter.errors import ConfigurationError
from arbiter.store.keys.files import sync_folder

NAME = "backups"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup: where it was written, when it was begun and expires; the rest is known once it is whole.

    `log_size` counts the sealed entries in it, `size` its bytes.
    """

    id: str
    path: str
    began_at: datetime
    expires_at: datetime
    taken_at: datetime | None = None
    size: int | None = None
    log_size: int | None = None
    sha256: str | None = None

    @property
    def partial(self) -> str:
        """Where the file is written before it has its own name; whoever is killed leaves it there."""
        return f"{self.path}.{self.id}.partial"


class Catalogue:
    """The file `backups` in the data folder. Its methods block; what they add is on the disk when they return."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self) -> tuple[Backup, ...]:
        """Return every backup, oldest first; raise ConfigurationError when the file is damaged."""
        if not self.path.exists():
            return ()
        found: dict[str, Backup] = {}
        whole = _whole_lines(self.path.read_bytes())
        for number, text in enumerate(whole.splitlines(), 1):
            try:
                said = json.loads(text)
                if said["what"] == "begun":
                    found[said["id"]] = _begun(said)
                else:
                    found[said["id"]] = _whole(found[said["id"]], said)
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigurationError(
                    f"line {number} of the catalogue of backups {self.path} is damaged; restore the file from a copy"
                ) from error
        return tuple(found.values())

    def begin(self, backup: Backup) -> None:
        """Note a backup before the first byte of it is written."""
        self._add(
            {
                "what": "begun",
                "id": backup.id,
                "path": backup.path,
                "began_at": backup.began_at.isoformat(),
                "expires_at": backup.expires_at.isoformat(),
            }
        )

    def complete(self, backup: Backup) -> None:
        """Note that a backup is whole and was read back."""
        assert backup.taken_at is not None
        self._add(
            {
                "what": "taken",
                "id": backup.id,
                "taken_at": backup.taken_at.isoformat(),
                "size": backup.size,
                "log_size": backup.log_size,
                "sha256": backup.sha256,
            }
        )

    def _add(self, said: dict[str, Any]) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "rb+") as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            content = file.read()
            whole = _whole_lines(content)
            file.truncate(min(len(whole), len(content)))
            file.seek(0, os.SEEK_END)
            file.write(whole[len(content) :])
            file.write(json.dumps(said, sort_keys=True, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        sync_folder(self.path.parent)


def _whole_lines(content: bytes) -> bytes:
    """Return the content without half a line at its end: its process died writing it, and no backup came of it."""
    end = content.rfind(b"\n") + 1
    try:
        json.loads(content[end:])
    except ValueError:
        return content[:end]
    return content + b"\n"


def _begun(said: dict[str, Any]) -> Backup:
    return Backup(
        str(said["id"]),
        str(said["path"]),
        datetime.fromisoformat(said["began_at"]),
        datetime.fromisoformat(said["expires_at"]),
    )


def _whole(backup: Backup, said: dict[str, Any]) -> Backup:
    return replace(
        backup,
        taken_at=datetime.fromisoformat(said["taken_at"]),
        size=int(said["size"]),
        log_size=int(said["log_size"]),
        sha256=str(said["sha256"]),
    )
