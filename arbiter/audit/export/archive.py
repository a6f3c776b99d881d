"""The archive itself: a ZIP written in one pass, every byte of it signed in its own comment.

The end record of a ZIP closes with a comment of stated length. Its text is the signed note over all bytes before that
length, so a reader needs no second file, and any unpacker still reads the archive.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import IO, Protocol, Self

from arbiter.audit.export.layout import MANIFEST, MANIFEST_NOTE, is_member_name
from arbiter.audit.export.manifest import Manifest, Member, sign_container, sign_manifest
from arbiter.audit.note import Signer
from arbiter.errors import VerificationError

CHUNK_BYTES = 256 * 1024

_END_SIGNATURE = b"PK\x05\x06"
_END_BYTES = 22
_LENGTH_BYTES = 2
_MOST_COMMENT = 65_535


class Sink(Protocol):
    """Where bytes go, one after another."""

    def write(self, data: bytes, /) -> int:
        """Take these bytes."""
        ...


class _Signed:
    """Passes bytes on, hashing them; the last two are held back until it is known whether they are the last."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self.held = b""
        self.digest = sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        whole = self.held + bytes(data)
        passed, self.held = whole[:-_LENGTH_BYTES], whole[-_LENGTH_BYTES:]
        self.digest.update(passed)
        self.size += len(passed)
        self._out.write(passed)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here that may go on."""


class _Hashed:
    """A member while it is written."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self.digest = sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._out.write(data)


class ExportWriter:
    """Writes an export's members in the order given, then its manifest and the notes that sign it."""

    def __init__(self, out: Sink, made_at: datetime) -> None:
        self._out = out
        self._signed = _Signed(out)
        # The class asks for a file of which it needs no more than `write`, and finds out that this cannot be sought in.
        self._zip = zipfile.ZipFile(self._signed, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]
        self._stamp = (max(made_at.year, 1980), *made_at.timetuple()[1:6])
        self._members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None:
            # Given up: left alone, the archive would write its end into a file that is closed.
            self._zip.fp = None

    @contextmanager
    def member(self, name: str) -> Iterator[Sink]:
        """Yield where the member's bytes go. Raises `ValueError` for an unfit or repeated name."""
        if not is_member_name(name) or name in self._members:
            raise ValueError(f"no member of an export may be called {name}")
        with self._zip.open(self._info(name), "w", force_zip64=True) as raw:
            hashed = _Hashed(raw)
            yield hashed
        self._members[name] = Member(name, hashed.size, hashed.digest.hexdigest())

    def add(self, name: str, content: bytes) -> None:
        """Write a whole member."""
        with self.member(name) as sink:
            sink.write(content)

    def finish(self, describe: Callable[[tuple[Member, ...]], Manifest], signer: Signer) -> Manifest:
        """Write the manifest that `describe` makes of the members, sign it and the archive, and end the file."""
        manifest = describe(tuple(self._members[name] for name in sorted(self._members)))
        content = manifest.encode()
        origin = manifest.checkpoint.origin
        self.add(MANIFEST, content)
        self.add(MANIFEST_NOTE, sign_manifest(origin, sha256(content).hexdigest(), len(content), signer))
        self._zip.close()
        if self._signed.held != bytes(_LENGTH_BYTES):
            raise ValueError("expected an archive that ends in an empty comment")
        note = sign_container(origin, self._signed.digest.hexdigest(), self._signed.size, signer)
        self._out.write(len(note).to_bytes(_LENGTH_BYTES, "little") + note)
        return manifest

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._stamp)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info


def split_comment(file: IO[bytes]) -> tuple[int, bytes]:
    """Return how many bytes the archive's comment signs, and that comment.

    Raises `VerificationError` where the file does not end in exactly one end record with its comment.
    """
    size = file.seek(0, 2)
    start = max(0, size - _END_BYTES - _MOST_COMMENT)
    file.seek(start)
    tail = file.read(size - start)
    place = tail.rfind(_END_SIGNATURE)
    if place < 0 or len(tail) < place + _END_BYTES:
        raise VerificationError("expected a ZIP archive's end record, came none")
    length_at = place + _END_BYTES - _LENGTH_BYTES
    length = int.from_bytes(tail[length_at : length_at + _LENGTH_BYTES], "little")
    comment = tail[length_at + _LENGTH_BYTES :]
    if len(comment) != length or not comment:
        raise VerificationError("expected the archive to end in a signed comment of the stated length")
    return start + length_at, comment


def digest_of(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 (hex) of the file's first `size` bytes."""
    file.seek(0)
    digest = sha256()
    while size > 0:
        chunk = file.read(min(CHUNK_BYTES, size))
        if not chunk:
            raise VerificationError("the file ended before its stated size")
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest()
