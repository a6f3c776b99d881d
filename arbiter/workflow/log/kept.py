"""The last checkpoint, kept in a file outside the database: the lower bound that a rolled-back database fails.

The file is replaced whole (write, rename), so it always holds one checkpoint: that of the empty log from the first
start on, then each seal's. It is forced to the disk at most once a second and at the end, which bounds what a power cut
can make it forget. What it may be replaced by, and whether it is still what it was, `arbiter.workflow.log.guard` says.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.note import MAX_NOTE_BYTES, VerifierKey
from arbiter.errors import ConfigurationError, VerificationError

NAME = "checkpoint"


class KeptCheckpoint:
    """The file `checkpoint` in the data folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._unsynced = False
        self._doubtful = False
        # Forcing happens in a thread of its own, beside the one that replaces the file.
        self._syncing = threading.Lock()

    def note(self) -> bytes | None:
        """Return the file's bytes, whatever they are, or None when there is no file."""
        try:
            with self.path.open("rb") as file:
                return file.read(MAX_NOTE_BYTES + 1)
        except FileNotFoundError:
            return None

    def replace(self, note: bytes) -> None:
        """Put a note in the place of the file's. Whoever does has looked at the file under `alone` first."""
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(note)
        fresh.replace(self.path)
        self._unsynced = True

    def sync(self) -> None:
        """Force what was written to the disk.

        Raises:
            OSError: when that fails. A later call writes the note anew before it tries again: after a failure the
                system may hold what it could not write for written, and would call it forced.
        """
        with self._syncing:
            if not self._unsynced:
                return
            if self._doubtful:
                with self.alone():
                    self.replace(self.path.read_bytes())
            # Before forcing: what is written meanwhile may miss it, and is for the next time.
            self._unsynced = False
            try:
                self._force()
            except BaseException:
                self._doubtful = self._unsynced = True
                raise
            self._doubtful = False

    def require_forced(self) -> None:
        """Do nothing unless forcing the note to the disk has failed; then try again, and raise OSError as `sync`."""
        if self._doubtful:
            self.sync()

    def _force(self) -> None:
        for path in (self.path, self.path.parent):
            try:
                handle = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                # Somebody removed it, which the guard tells of.
                continue
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def read(self, verifiers: tuple[VerifierKey, ...]) -> Checkpoint | None:
        """Return the kept checkpoint, or None when none was ever kept.

        Raises:
            ConfigurationError: when the file is there and is not a checkpoint that this log signed.
        """
        note = self.note()
        if note is None:
            return None
        try:
            return open_checkpoint(note, verifiers).checkpoint
        except VerificationError as error:
            raise ConfigurationError(
                f"the kept checkpoint {self.path} is not one that this log signed ({error}); restore the file from "
                "a copy, or find out who changed it before anything else"
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes of this host from replacing the file while the block runs."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
