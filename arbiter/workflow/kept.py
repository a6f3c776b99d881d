"""The last checkpoint, kept in a file outside the database: the lower bound that a rolled-back database fails.

The file is replaced whole (write, rename), so it always holds one checkpoint. Each seal replaces it; it is forced to
the disk at most once a second and at the end, which bounds what a power cut can make it forget.
"""

from __future__ import annotations

import os
from pathlib import Path

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.note import VerifierKey
from arbiter.errors import ConfigurationError, VerificationError

NAME = "checkpoint"


class KeptCheckpoint:
    """The file `checkpoint` in the data folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._unsynced = False

    def write(self, note: str) -> None:
        """Replace the kept note."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(note, encoding="utf-8")
        fresh.replace(self.path)
        self._unsynced = True

    def sync(self) -> None:
        """Force what was written to the disk."""
        if not self._unsynced:
            return
        self._unsynced = False
        for path in (self.path, self.path.parent):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def read(self, verifiers: tuple[VerifierKey, ...]) -> Checkpoint | None:
        """Return the kept checkpoint, or None when none was ever kept.

        Raises:
            ConfigurationError: when the file is there and is not a checkpoint that this log signed.
        """
        try:
            note = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return open_checkpoint(note, verifiers).checkpoint
        except VerificationError as error:
            raise ConfigurationError(
                f"the kept checkpoint {self.path} is not one that this log signed ({error}); restore the file from "
                "a copy, or find out who changed it before anything else"
            ) from error
