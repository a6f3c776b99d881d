"""Who can open an age file: whoever knows its passphrase (scrypt), or holds the private half of a key (X25519)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from arbiter.audit.note import decode_base64, encode_base64
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Chance
from arbiter.store.age import bech32

FILE_KEY_BYTES = 16
_KEY_BYTES = 32
_SALT_BYTES = 16
_WRAPPED_BYTES = FILE_KEY_BYTES + 16
_NONCE = bytes(12)
_X25519_INFO = b"age-encryption.org/v1/X25519"
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
_RECIPIENT_PREFIX = "age"
_IDENTITY_PREFIX = "age-secret-key-"
WORK_FACTOR = 18
"""scrypt's cost as age itself takes it by default: 2^18, 256 MiB, about a second."""
_GREATEST_WORK_FACTOR = 20
_SHORTEST_PASSPHRASE = 20


@dataclass(frozen=True, slots=True)
class Stanza:
    """One way to a file's key: its arguments, and the key as wrapped for it."""

    arguments: tuple[str, ...]
    body: bytes


class Recipient(Protocol):
    """Whom a file is encrypted to."""

    def wrap(self, file_key: bytes, chance: Chance) -> Stanza:
        """Return the stanza that lets this recipient alone have the file's key."""
        ...


class Identity(Protocol):
    """Who opens a file."""

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """Return the file's key, or None when no stanza is for this identity."""
        ...


def derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """Return HKDF-SHA-256 of a secret, 32 bytes."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=info).derive(secret)


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Both recipient and identity: the same words encrypt and open."""

    words: str = field(repr=False)
    work_factor: int = WORK_FACTOR

    @classmethod
    def parse(cls, text: str) -> Passphrase:
        """Return the passphrase of a file's one line; raise ConfigurationError for one that is too short to mean anything."""
        words = text.rstrip("\r\n")
        if len(words) < _SHORTEST_PASSPHRASE or "\n" in words:
            raise ConfigurationError(f"a passphrase is one line of {_SHORTEST_PASSPHRASE} characters or more")
        return cls(words)

    def wrap(self, file_key: bytes, chance: Chance) -> Stanza:
        """Return the scrypt stanza, which must be a file's only one."""
        salt = chance.token(_SALT_BYTES)
        body = ChaCha20Poly1305(self._key(salt, self.work_factor)).encrypt(_NONCE, file_key, None)
        return Stanza(("scrypt", _base64(salt), str(self.work_factor)), body)

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """Return the file's key; raise VerificationError for a stanza that asks more work than is given, or company."""
        if not any(stanza.arguments[0] == "scrypt" for stanza in stanzas):
            return None
        if len(stanzas) != 1 or len(stanzas[0].arguments) != 3:
            raise VerificationError("a passphrase's stanza is the only one of its file")
        _, salt_text, work_text = stanzas[0].arguments
        salt = _bytes(salt_text, _SALT_BYTES)
        if not re.fullmatch(r"[1-9][0-9]?", work_text) or int(work_text) > _GREATEST_WORK_FACTOR:
            raise VerificationError(f"the file asks for a work factor above {_GREATEST_WORK_FACTOR}")
        return _open(self._key(salt, int(work_text)), stanzas[0].body)

    def _key(self, salt: bytes, work_factor: int) -> bytes:
        scrypt = Scrypt(salt=_SCRYPT_LABEL + salt, length=_KEY_BYTES, n=1 << work_factor, r=8, p=1)
        return scrypt.derive(self.words.encode())


@dataclass(frozen=True, slots=True)
class X25519Recipient:
    """A public key: who encrypts to it cannot open what it made."""

    key: bytes

    @classmethod
    def parse(cls, text: str) -> X25519Recipient:
        """Return the key that `age1…` spells; raise ConfigurationError for anything else."""
        return cls(_spelt(text.strip(), _RECIPIENT_PREFIX, "a public key of age: age1…"))

    def __str__(self) -> str:
        """Return the key as age spells it."""
        return bech32.encode(_RECIPIENT_PREFIX, self.key)

    def wrap(self, file_key: bytes, chance: Chance) -> Stanza:
        """Return the X25519 stanza, under a key made for this file alone."""
        ephemeral = X25519PrivateKey.from_private_bytes(chance.token(_KEY_BYTES))
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.key))
        key = derive(shared, share + self.key, _X25519_INFO)
        return Stanza(("X25519", _base64(share)), ChaCha20Poly1305(key).encrypt(_NONCE, file_key, None))


@dataclass(frozen=True, slots=True)
class X25519Identity:
    """A private key."""

    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> X25519Identity:
        """Return the identity in a file as `age-keygen` writes it: one line AGE-SECRET-KEY-1… beside comments."""
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if len(lines) != 1:
            raise ConfigurationError("expected one line AGE-SECRET-KEY-1…, beside comments")
        return cls(_spelt(lines[0], _IDENTITY_PREFIX, "a private key of age: AGE-SECRET-KEY-1…"))

    def __str__(self) -> str:
        """Return the key as age spells it; for the one file that holds it."""
        return bech32.encode(_IDENTITY_PREFIX, self.secret).upper()

    @property
    def recipient(self) -> X25519Recipient:
        """The public half."""
        private = X25519PrivateKey.from_private_bytes(self.secret)
        return X25519Recipient(private.public_key().public_bytes_raw())

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """Return the file's key from the first stanza that is for this key."""
        for stanza in stanzas:
            if stanza.arguments[0] != "X25519":
                continue
            if len(stanza.arguments) != 2:
                raise VerificationError("a stanza of the file is malformed")
            share = _bytes(stanza.arguments[1], _KEY_BYTES)
            try:
                shared = X25519PrivateKey.from_private_bytes(self.secret).exchange(
                    X25519PublicKey.from_public_bytes(share)
                )
            except ValueError:
                raise VerificationError("a stanza of the file holds no point of the curve") from None
            found = _open(derive(shared, share + self.recipient.key, _X25519_INFO), stanza.body)
            if found is not None:
                return found
        return None


def _open(key: bytes, body: bytes) -> bytes | None:
    # The length first: a longer body could be made to open under several keys.
    if len(body) != _WRAPPED_BYTES:
        raise VerificationError("a stanza of the file is malformed")
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, body, None)
    except InvalidTag:
        return None


def _spelt(text: str, prefix: str, expected: str) -> bytes:
    try:
        found, key = bech32.decode(text)
    except ValueError:
        found, key = "", b""
    if found != prefix or len(key) != _KEY_BYTES:
        raise ConfigurationError(f"expected {expected}")
    return key


def _base64(content: bytes) -> str:
    return encode_base64(content).rstrip("=")


def _bytes(text: str, size: int) -> bytes:
    try:
        content = decode_base64(text + "=" * (-len(text) % 4))
    except (ValueError, VerificationError):
        content = b""
    if len(content) != size or _base64(content) != text:
        raise VerificationError("a stanza of the file is malformed")
    return content
