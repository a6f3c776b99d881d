"""Contradictory checkpoints are kept: the folder `evidence` in the data folder, a file a contradiction, never overwritten.

A file is written whole beside its place and linked into it, so that it is there whole or not at all and what is there
stays. It is named after what it proves: the same two notes make one file, however often they are met.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from arbiter.audit.contradiction import Evidence
from arbiter.store.keys.files import sync_folder

FOLDER = "evidence"


class EvidenceFolder:
    """The folder, and what is in it."""

    def __init__(self, data: Path) -> None:
        self.path = data / FOLDER

    def keep(self, evidence: Evidence) -> Path:
        """Keep evidence, on disk when this returns; what is there already stays as it is."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        named = sha256(b"\n".join(sorted(evidence.notes))).hexdigest()[:32]
        target = self.path / f"contradiction-{named}.json"
        if target.exists():
            return target
        fresh = self.path / f".{target.name}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(evidence.encode())
                file.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        for folder in (self.path, self.path.parent):
            sync_folder(folder)
        return target

    def files(self) -> tuple[tuple[Path, bytes], ...]:
        """Return every file with its bytes, by name."""
        if not self.path.is_dir():
            return ()
        return tuple((path, path.read_bytes()) for path in sorted(self.path.glob("contradiction-*.json")))
