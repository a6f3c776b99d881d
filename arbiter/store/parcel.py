"""What a backup holds, one part after another in an age file, and a manifest at its end with each part's size and hash.

A part is a line that names it, then blocks of a 4-byte length (big endian) and that many bytes, then a length of 0. It can be
written and read in one pass in constant memory, whatever its size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, Protocol

from arbiter.errors import VerificationError

BLOCK_BYTES = 256 * 1024
FORMAT = b"arbiter/backup/v1"
_LONGEST_LINE = 200
_LONGEST_TEXT = 64 * 1024 * 1024


class Writer(Protocol):
    """Where a parcel is written."""

    def write(self, content: bytes) -> None:
        """Write more."""
        ...


class Reader(Protocol):
    """Where a parcel is read from; fewer bytes than asked for mean its end."""

    def read(self, size: int) -> bytes:
        """Return that many bytes."""
        ...


class ParcelWriter:
    """Writes parts, then the manifest."""

    def __init__(self, sink: Writer) -> None:
        self._sink = sink
        self._parts: list[dict[str, Any]] = []
        sink.write(FORMAT + b"\n")

    def add(self, name: str, content: Iterable[bytes]) -> None:
        """Write one part."""
        hashed, size = sha256(), 0
        self._sink.write(name.encode() + b"\n")
        for block in content:
            for at in range(0, len(block), BLOCK_BYTES):
                piece = block[at : at + BLOCK_BYTES]
                hashed.update(piece)
                size += len(piece)
                self._sink.write(len(piece).to_bytes(4, "big") + piece)
        self._sink.write(bytes(4))
        self._parts.append({"name": name, "size": size, "sha256": hashed.hexdigest()})

    def finish(self) -> None:
        """Write the manifest."""
        text = json.dumps({"parts": self._parts}, sort_keys=True).encode()
        self._sink.write(b"manifest\n" + len(text).to_bytes(4, "big") + text + bytes(4))


class ParcelReader:
    """Yields the parts in order; what was read is only believed once `parts` has ended without an exception."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._parts: list[dict[str, Any]] = []
        if self._line() != FORMAT.decode():
            raise VerificationError("the file is no backup of this kind")

    def parts(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield each part's name and blocks, which are to be read before the next; raise VerificationError at a fault."""
        while (name := self._line()) != "manifest":
            blocks = self._blocks(name)
            yield name, blocks
            for _ in blocks:
                pass
        found = self._parts
        self._parts = []
        try:
            said = json.loads(text_of(self._blocks("manifest")))
        except (ValueError, RecursionError) as error:
            raise VerificationError("the backup's manifest is malformed") from error
        if said != {"parts": found}:
            raise VerificationError("the backup's parts are not those that its manifest names")
        if self._source.read(1):
            raise VerificationError("the backup goes on behind its manifest")

    def _blocks(self, name: str) -> Iterator[bytes]:
        hashed, size = sha256(), 0
        while length := int.from_bytes(self._exactly(4), "big"):
            if length > _LONGEST_TEXT:
                raise VerificationError("a block of the backup is too long")
            block = self._exactly(length)
            hashed.update(block)
            size += length
            yield block
        self._parts.append({"name": name, "size": size, "sha256": hashed.hexdigest()})

    def _line(self) -> str:
        line = bytearray()
        while (letter := self._exactly(1)) != b"\n":
            line += letter
            if len(line) > _LONGEST_LINE:
                raise VerificationError("a part of the backup has no name")
        return line.decode("ascii", errors="replace")

    def _exactly(self, size: int) -> bytes:
        content = self._source.read(size)
        if len(content) != size:
            raise VerificationError("the backup ends before its manifest")
        return content


def text_of(blocks: Iterable[bytes]) -> bytes:
    """Return a part that is known to be small."""
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > _LONGEST_TEXT:
            raise VerificationError("a part of the backup is too long")
    return bytes(content)
