"""An age file's header and its content in chunks of 64 KiB (STREAM, https://eprint.iacr.org/2015/189).

Each chunk is sealed under its number and whether it is the last, so that a chunk changed, moved, repeated or left out, and an
end cut off, do not open. Content is handed out chunk by chunk once it is authentic; only whoever has read to the end
knows that the file is whole.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from arbiter.audit.note import decode_base64, encode_base64
from arbiter.errors import VerificationError
from arbiter.ports import Chance
from arbiter.store.age.stanzas import FILE_KEY_BYTES, Identity, Recipient, Stanza, derive

CHUNK_BYTES = 64 * 1024
_TAG_BYTES = 16
_NONCE_BYTES = 16
_VERSION = b"age-encryption.org/v1"
_COLUMNS = 64
_LONGEST_HEADER = 64 * 1024
_ARGUMENTS = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)")
_BODY = re.compile(rb"[A-Za-z0-9+/]*")


class Sink(Protocol):
    """Where bytes are written."""

    def write(self, content: bytes, /) -> int:
        """Write more and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class FileKey:
    """Opens the one file that it was made for: for who wrote a file to read it back, whoever it is for."""

    key: bytes = field(repr=False)

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """Return the key."""
        return self.key if stanzas else None


class AgeWriter:
    """Encrypts what is written to it; `finish` writes the last chunk, without which the file does not open."""

    def __init__(self, sink: Sink, recipient: Recipient, chance: Chance) -> None:
        file_key = chance.token(FILE_KEY_BYTES)
        nonce = chance.token(_NONCE_BYTES)
        self.own_key = FileKey(file_key)
        self._sink = sink
        self._sink.write(_header(file_key, recipient.wrap(file_key, chance)) + nonce)
        self._cipher = ChaCha20Poly1305(derive(file_key, nonce, b"payload"))
        self._number = 0
        self._held = bytearray()

    def write(self, content: bytes) -> None:
        """Encrypt more."""
        self._held += content
        # One byte more than a chunk shows that the chunk is not the last.
        while len(self._held) > CHUNK_BYTES:
            self._seal(bytes(self._held[:CHUNK_BYTES]), last=False)
            del self._held[:CHUNK_BYTES]

    def finish(self) -> None:
        """Write the last chunk. The sink stays open."""
        self._seal(bytes(self._held), last=True)
        self._held.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, None))
        self._number += 1


class AgeReader:
    """Decrypts a file; each method raises VerificationError where the file is not as it was written."""

    def __init__(self, source: BinaryIO, identity: Identity) -> None:
        self._source = source
        file_key = _open_header(source, identity)
        nonce = source.read(_NONCE_BYTES)
        if len(nonce) != _NONCE_BYTES:
            raise VerificationError("the file ends in its header")
        self._cipher = ChaCha20Poly1305(derive(file_key, nonce, b"payload"))
        self._number = 0
        self._held = b""
        self._next = source.read(CHUNK_BYTES + _TAG_BYTES)
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end of a whole file."""
        parts = [self._held]
        have = len(self._held)
        while have < size and not self._ended:
            chunk = self._open()
            parts.append(chunk)
            have += len(chunk)
        content = b"".join(parts)
        self._held = content[size:]
        return content[:size]

    def _open(self) -> bytes:
        sealed, self._next = self._next, self._source.read(CHUNK_BYTES + _TAG_BYTES)
        last = not self._next
        try:
            chunk = self._cipher.decrypt(_nonce(self._number, last=last), sealed, None)
        except (InvalidTag, ValueError):
            raise VerificationError(
                f"chunk {self._number} of the file does not open: it was changed or moved, or the file is cut"
            ) from None
        if last and not chunk and self._number:
            raise VerificationError("the file ends in an empty chunk")
        self._number += 1
        self._ended = last
        return chunk


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _header(file_key: bytes, stanza: Stanza) -> bytes:
    body = encode_base64(stanza.body).rstrip("=").encode()
    lines = [body[at : at + _COLUMNS] for at in range(0, len(body), _COLUMNS)]
    if not lines or len(lines[-1]) == _COLUMNS:
        lines.append(b"")
    text = b"\n".join([_VERSION, b"-> " + " ".join(stanza.arguments).encode(), *lines, b"---"])
    return text + b" " + _mac(file_key, text) + b"\n"


def _mac(file_key: bytes, text: bytes) -> bytes:
    found = hmac.digest(derive(file_key, b"", b"header"), text, "sha256")
    return encode_base64(found).rstrip("=").encode()


def _open_header(source: BinaryIO, identity: Identity) -> bytes:
    """Return the file's key from its header."""
    text = _line(source)
    if text != _VERSION:
        raise VerificationError("the file is not one of age's version 1")
    stanzas: list[Stanza] = []
    while not (line := _line(source)).startswith(b"---"):
        arguments = _ARGUMENTS.fullmatch(line)
        text += b"\n" + line
        if arguments is None or len(text) > _LONGEST_HEADER:
            raise VerificationError("the file's header is malformed")
        body = b""
        while True:
            part = _line(source)
            if len(part) > _COLUMNS or _BODY.fullmatch(part) is None:
                raise VerificationError("the file's header is malformed")
            text += b"\n" + part
            body += part
            if len(part) < _COLUMNS:
                break
        stanzas.append(Stanza(tuple(arguments[1].decode().split(" ")), _unpadded(body)))
    file_key = identity.unwrap(tuple(stanzas)) if stanzas else None
    if file_key is None:
        raise VerificationError("the file does not open with this passphrase or key")
    text += b"\n---"
    if not hmac.compare_digest(b"--- " + _mac(file_key, text), line):
        raise VerificationError("the file's header was changed")
    return file_key


def _line(source: BinaryIO) -> bytes:
    line = source.readline(_LONGEST_HEADER)
    if not line.endswith(b"\n"):
        raise VerificationError("the file is not one of age's, or ends in its header")
    return line[:-1]


def _unpadded(text: bytes) -> bytes:
    try:
        return decode_base64(text.decode() + "=" * (-len(text) % 4))
    except (ValueError, VerificationError):
        raise VerificationError("the file's header is malformed") from None
