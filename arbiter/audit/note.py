"""Signed notes (C2SP signed-note): text that one or more named keys have signed, and the keys that check it.

Signature types: 0x01, Ed25519 over the text; 0x04, a witness's timestamped Ed25519 cosignature; and 0x06, a timestamped
ML-DSA-44 cosignature, which stands on checkpoints alone (both C2SP tlog-cosignature). A note is believed only when a
known key signed it; unknown keys are ignored, and a bad signature by a known key refuses the whole note.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Protocol, assert_never

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from arbiter.audit.subtree import subtree_message
from arbiter.errors import VerificationError

MAX_SIGNATURES = 100
MAX_NOTE_BYTES = 1_000_000
MAX_TIMESTAMP = 2**63 - 1

TIMESTAMP_BYTES = 8

_KEY_ID_BYTES = 4
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_VERIFIER_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


class SignatureType(IntEnum):
    """The signature types read and written here; the value is the format's identifier byte."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04
    MLDSA44_COSIGNATURE = 0x06

    @property
    def algorithm(self) -> str:
        """The signature's algorithm by its usual name."""
        return "ML-DSA-44" if self is SignatureType.MLDSA44_COSIGNATURE else "Ed25519"


_KEY_BYTES = {
    SignatureType.ED25519: 32,
    SignatureType.COSIGNATURE_V1: 32,
    SignatureType.MLDSA44_COSIGNATURE: 1312,
}


@dataclass(frozen=True, slots=True, eq=False)
class VerifierKey:
    """A public key with the name and type it signs under. Raises `ValueError` for an unfit name or key size.

    Equal are two of the same name, type and bytes, whatever else a subclass says of the key.
    """

    name: str
    type: SignatureType
    public_key: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise ValueError("a key's name is not empty and has no spaces, control characters or plus")
        if len(self.public_key) != _KEY_BYTES[self.type]:
            expected = f"{self.type.algorithm} public key has {_KEY_BYTES[self.type]} bytes"
            raise ValueError(f"an {expected}, not {len(self.public_key)}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VerifierKey):
            return NotImplemented
        return (self.name, self.type, self.public_key) == (other.name, other.type, other.public_key)

    def __hash__(self) -> int:
        return hash((self.name, self.type, self.public_key))

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key), its first 4 bytes."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public_key).digest()[
            :_KEY_ID_BYTES
        ]

    @property
    def label(self) -> str:
        """What people are told of the key: `name+hex(key id)`, as its encoding begins."""
        return f"{self.name}+{self.key_id.hex()}"

    def encode(self) -> str:
        """Return the key as `name+hex(key id)+base64(type || public key)`."""
        return f"{self.label}+{encode_base64(bytes([self.type]) + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the key that `text` encodes; raises `VerificationError` for a malformed or unsupported one."""
        match = _VERIFIER_KEY.fullmatch(text)
        if match is None:
            raise VerificationError("expected a verifier key of the form name+hex+base64")
        name, key_id, material = match[1], match[2], decode_base64(match[3])
        try:
            key = cls(name, SignatureType(material[0]), material[1:])
        except ValueError as error:
            raise VerificationError(f"expected a supported verifier key: {error}") from error
        if key.key_id.hex() != key_id:
            raise VerificationError(
                f"expected key id {key.key_id.hex()} for this name and key, came {key_id}"
            )
        return key

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """Check the key's signature over a note's text; return a cosignature's POSIX time in seconds, else None.

        Raises `VerificationError`.
        """
        match self.type:
            case SignatureType.ED25519:
                self._verify_raw(text, signature)
                return None
            case SignatureType.COSIGNATURE_V1:
                timestamp = self._timestamp(signature)
                self._verify_raw(_cosigned_message(text, timestamp), signature[TIMESTAMP_BYTES:])
                return timestamp
            case SignatureType.MLDSA44_COSIGNATURE:
                timestamp = self._timestamp(signature)
                message = subtree_message(text, self.name, timestamp)
                self._verify_raw(message, signature[TIMESTAMP_BYTES:])
                return timestamp
            case _:
                assert_never(self.type)

    def _timestamp(self, signature: bytes) -> int:
        timestamp = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
        if timestamp > MAX_TIMESTAMP:
            raise VerificationError(f"cosignature of key {self.name}: timestamp beyond 2^63 - 1")
        return timestamp

    def _verify_raw(self, message: bytes, signature: bytes) -> None:
        try:
            if self.type is SignatureType.MLDSA44_COSIGNATURE:
                _verify_mldsa44(self.public_key, message, signature)
            else:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise VerificationError(f"bad signature by key {self.label}") from error


def can_check(kind: SignatureType) -> bool:
    """Tell whether the installed `cryptography` can check signatures of this type.

    ML-DSA-44 is in its wheels from 48.0.0 on; elsewhere it depends on the library that it was built against.
    """
    if kind is not SignatureType.MLDSA44_COSIGNATURE:
        return True
    try:
        _verify_mldsa44(bytes(_KEY_BYTES[kind]), b"", b"")
    except (InvalidSignature, ValueError):
        return True
    except VerificationError:
        return False
    return True


def _verify_mldsa44(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature; raise `VerificationError` where that cannot be done, so that nothing unchecked is believed."""
    try:
        # An auditor's copy of the library may be older than the module.
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey  # noqa: PLC0415

        key = MLDSA44PublicKey.from_public_bytes(public_key)
    except (ImportError, UnsupportedAlgorithm) as error:
        raise VerificationError("the installed cryptography cannot check ML-DSA-44 signatures") from error
    key.verify(signature, message)


def parse_keys(text: str) -> tuple[VerifierKey, ...]:
    """Return the verifier keys that `text` holds, one a line, as a log publishes them; raises as `VerifierKey.parse`.

    A text without any is refused too: it must not read as if no key had been asked for.
    """
    return tuple(VerifierKey.parse(line) for line in text.split() or [""])


class Signer(Protocol):
    """Holds a private key that signs notes; nothing else sees the key."""

    @property
    def name(self) -> str:
        """The key's name as it stands in a signed note."""
        ...

    @property
    def verifier_key(self) -> str:
        """The public half as a verifier key string."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a note's text, as its type lays it out."""
        ...


class Ed25519NoteSigner:
    """Signs notes with a plain Ed25519 signature (type 0x01). `private_key` is the 32-byte seed (RFC 8032)."""

    def __init__(self, name: str, private_key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self._public = VerifierKey(name, SignatureType.ED25519, self._key.public_key().public_bytes_raw())

    @property
    def name(self) -> str:
        """The key's name."""
        return self._public.name

    @property
    def verifier_key(self) -> str:
        """The public half as a verifier key string."""
        return self._public.encode()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message)


class Ed25519Cosigner:
    """Cosigns checkpoints as a witness does (type 0x04), at one POSIX time `timestamp_seconds` given by the caller."""

    def __init__(self, name: str, private_key: bytes, timestamp_seconds: int) -> None:
        if not 0 <= timestamp_seconds <= MAX_TIMESTAMP:
            raise ValueError(f"timestamp {timestamp_seconds} is out of range")
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self._timestamp = timestamp_seconds
        self._public = VerifierKey(
            name, SignatureType.COSIGNATURE_V1, self._key.public_key().public_bytes_raw()
        )

    @property
    def name(self) -> str:
        """The key's name."""
        return self._public.name

    @property
    def verifier_key(self) -> str:
        """The public half as a verifier key string."""
        return self._public.encode()

    def sign(self, message: bytes) -> bytes:
        """Return the timestamp (u64be) and the signature over the cosigned message."""
        signature = self._key.sign(_cosigned_message(message, self._timestamp))
        return self._timestamp.to_bytes(TIMESTAMP_BYTES, "big") + signature


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name and id, and what follows the id."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line as it stands in the note."""
        return f"\u2014 {self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A well-formed note of which nothing has been verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that checks out: its key and, for a cosignature, its POSIX time in seconds."""

    key: VerifierKey
    timestamp_seconds: int | None


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note that at least one known key signed: the text, those signatures, and the lines of unknown keys."""

    text: str
    verified: tuple[VerifiedSignature, ...]
    unknown: tuple[NoteSignature, ...]


def sign_note(text: str, signers: Iterable[Signer], kept: Sequence[NoteSignature] = ()) -> bytes:
    """Return the note of `text`, which ends in a newline, signed by `signers`.

    `kept` are lines of earlier signatures over the same text; they stand first, and those of the same keys are
    replaced. Raises `ValueError` when the text or a signer does not fit a note.
    """
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("a note's text ends in a newline and has no other control characters")
    lines = [_signed_line(text, signer) for signer in signers]
    fresh = {(line.name, line.key_id) for line in lines}
    lines = [line for line in kept if (line.name, line.key_id) not in fresh] + lines
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise ValueError(f"a note has 1 to {MAX_SIGNATURES} signatures, not {len(lines)}")
    return (text + "\n" + "".join(line.line() for line in lines)).encode("utf-8")


def parse_note(data: bytes) -> Note:
    """Return the note's text and signature lines, none of them verified; raises `VerificationError` if malformed."""
    if len(data) > MAX_NOTE_BYTES:
        raise VerificationError(f"expected a note of at most {MAX_NOTE_BYTES} bytes, came {len(data)}")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VerificationError(f"malformed note: invalid UTF-8 at byte {error.start}") from error
    if _CONTROL.search(content):
        raise VerificationError("malformed note: control character")
    split = content.rfind("\n\n")
    if split < 0 or not content.endswith("\n") or split + 2 == len(content):
        raise VerificationError("malformed note: expected text, an empty line and signature lines")
    lines = content[split + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise VerificationError(f"malformed note: more than {MAX_SIGNATURES} signatures")
    return Note(content[: split + 1], tuple(_parse_line(line, i) for i, line in enumerate(lines, 1)))


def open_note(data: bytes, verifiers: Iterable[VerifierKey]) -> OpenedNote:
    """Return the note when at least one of `verifiers` signed it and none of them signed it badly.

    Raises `VerificationError`. Every line of a known key is verified, repeated ones too.
    """
    known = _by_name_and_id(verifiers)
    note = parse_note(data)
    text = note.text.encode("utf-8")
    verified: dict[VerifierKey, VerifiedSignature] = {}
    unknown = []
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            unknown.append(line)
        else:
            verified.setdefault(key, VerifiedSignature(key, key.verify(text, line.signature)))
    if not verified:
        raise VerificationError(f"none of the note's {len(note.signatures)} signatures is by a known key")
    return OpenedNote(note.text, tuple(verified.values()), tuple(unknown))


def is_key_name(name: str) -> bool:
    """Tell whether a note can carry `name` as a key's name."""
    return bool(name) and "+" not in name and not any(char.isspace() or char < " " for char in name)


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return what `text` encodes; raises `VerificationError` for any spelling but the canonical one."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise VerificationError("expected base64, came a malformed string") from error
    if encode_base64(data) != text:
        raise VerificationError("expected canonical base64, came another spelling")
    return data


def _cosigned_message(text: bytes, timestamp_seconds: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % timestamp_seconds + text


def _signed_line(text: str, signer: Signer) -> NoteSignature:
    key = VerifierKey.parse(signer.verifier_key)
    if key.name != signer.name:
        raise ValueError(f"signer {signer.name} has a verifier key of another name")
    return NoteSignature(key.name, key.key_id, signer.sign(text.encode("utf-8")))


def _parse_line(line: str, number: int) -> NoteSignature:
    mark, _, rest = line.partition(" ")
    name, _, payload = rest.partition(" ")
    if mark != "\u2014" or not is_key_name(name):
        raise VerificationError(f"malformed note: signature line {number}")
    data = decode_base64(payload)
    if len(data) <= _KEY_ID_BYTES:
        raise VerificationError(f"malformed note: signature line {number} has no signature")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _by_name_and_id(verifiers: Iterable[VerifierKey]) -> dict[tuple[str, bytes], VerifierKey]:
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in verifiers:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise VerificationError(f"two different keys share the name and id {key.label}")
    return known
