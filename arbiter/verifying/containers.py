"""An export's members as they lie: in the archive, or in the folder into which somebody unpacked it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from arbiter.audit.export.archive import CHUNK_BYTES, digest_of, split_comment
from arbiter.audit.export.believing import Trust
from arbiter.audit.export.checking import keys_for
from arbiter.audit.export.manifest import check_container
from arbiter.audit.export.reading import Members
from arbiter.audit.note import VerifierKey, parse_note
from arbiter.errors import VerificationError

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)


class ZipMembers:
    """The members of an archive whose bytes were checked as a whole."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> Sequence[str]:
        """Return every member's name."""
        return [info.filename for info in self._archive.infolist()]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes."""
        try:
            with self._archive.open(name) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except KeyError:
            raise VerificationError(f"{name}: there is no such member") from None
        except _UNREADABLE as error:
            raise VerificationError(f"{name}: cannot be read") from error


class FolderMembers:
    """The files below a folder. Links are not followed: what they lead to is not the export's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> Sequence[str]:
        """Return every file's name below the folder, links and whatever else is no folder included."""
        found = []
        waiting = [self._folder]
        while waiting:
            for path in sorted(waiting.pop().iterdir()):
                if path.is_dir() and not path.is_symlink():
                    waiting.append(path)
                else:
                    found.append(path.relative_to(self._folder).as_posix())
        return found

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes."""
        path = self._folder / name
        if path.is_symlink() or not path.is_file():
            raise VerificationError(f"{name}: there is no such file")
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise VerificationError(f"{name}: cannot be read") from error


@contextmanager
def opened(path: Path, trust: Trust) -> Iterator[Members]:
    """Yield the members of the export at `path`, an archive or a folder.

    Raises:
        VerificationError: when it is neither, or the archive is not as it was signed.
    """
    if path.is_dir():
        yield FolderMembers(path)
        return
    with path.open("rb") as file, opened_archive(file, trust=trust) as members:
        yield members


@contextmanager
def opened_archive(
    file: IO[bytes], trusted: Sequence[VerifierKey] = (), trust: Trust | None = None
) -> Iterator[Members]:
    """Yield the members of an archive of which every byte was checked first, against the note in its comment.

    Where no key that was brought along signed it, the statements inside are followed to the one that did: they are read
    before anything vouches for the archive, and are believed for their own signatures.

    Raises:
        VerificationError: when it is no archive, or not as it was signed.
    """
    brought = Trust(tuple(trusted)) if trust is None else trust
    size, note = split_comment(file)
    digest = digest_of(file, size)
    directly = _is_by(note, brought.every_key)
    if directly:
        check_container(note, digest, size, brought.every_key)
    try:
        archive = zipfile.ZipFile(file)
    except _UNREADABLE as error:
        raise VerificationError("expected a ZIP archive, came something else") from error
    with archive:
        members = ZipMembers(archive)
        if not directly:
            check_container(note, digest, size, keys_for(members, brought))
        yield members


def _is_by(note: bytes, keys: Sequence[VerifierKey]) -> bool:
    ids = {(key.name, key.key_id) for key in keys}
    return any((line.name, line.key_id) in ids for line in parse_note(note).signatures)
