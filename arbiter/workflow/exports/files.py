"""The files of exports that clients asked for: in the data folder, mode 0600, encrypted under a key of their own.

Each attempt at a job has a file of its own, so that a process which lost its job cannot touch the file of the one that
makes it now. AES-256 in counter mode: any range can be read without the rest. What is read is authenticated by the export itself,
every byte of which its own note signs. The key lies in the job's row, sealed; without it the file is noise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from arbiter.store.keys.files import sync_folder

FOLDER = "exports"
CHUNK_BYTES = 256 * 1024
_BLOCK_BYTES = 16
_PART = ".part"


class EncryptedFile:
    """A file while it is written: nothing is there under its name before `keep`."""

    def __init__(self, folder: Path, name: str, key: bytes) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._part = folder / f"{name}{_PART}"
        self._target = folder / name
        self._part.unlink(missing_ok=True)
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._encryptor = _cipher(key, 0).encryptor()

    def write(self, data: bytes) -> int:
        """Write these bytes encrypted."""
        self._file.write(self._encryptor.update(data))
        return len(data)

    def keep(self) -> None:
        """Force the file to the disk and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._target)
        sync_folder(self._target.parent)

    def drop(self) -> None:
        """Leave nothing behind."""
        # On a full disk what waits to be written cannot be, and is not wanted.
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def read_range(folder: Path, name: str, key: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield the decrypted bytes from `start` up to `end`."""
    with (folder / name).open("rb") as file:
        skipped = start % _BLOCK_BYTES
        file.seek(start - skipped)
        decryptor = _cipher(key, start // _BLOCK_BYTES).decryptor()
        decryptor.update(file.read(skipped))
        left = end - start
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield decryptor.update(chunk)


def file_name(job: str, attempt: int) -> str:
    """Return the name of the file that one attempt at a job makes."""
    return f"{job}-{attempt}"


def remove_file(folder: Path, name: str) -> None:
    """Remove one attempt's file if it is there."""
    (folder / name).unlink(missing_ok=True)


def remove(folder: Path, job: str) -> None:
    """Remove a job's files, whole or half written, of every attempt."""
    for path in _paths_in(folder):
        if _job_of(path) == job:
            path.unlink(missing_ok=True)


def jobs_in(folder: Path) -> Iterator[str]:
    """Yield the jobs of the files there, half written ones too."""
    return map(_job_of, _paths_in(folder))


def _paths_in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _job_of(path: Path) -> str:
    return path.name.removesuffix(_PART).partition("-")[0]


def _cipher(key: bytes, block: int) -> Cipher[CTR]:
    # A key encrypts one file, once, so that no counter comes twice under it.
    return Cipher(AES256(key), CTR(block.to_bytes(_BLOCK_BYTES, "big")))
