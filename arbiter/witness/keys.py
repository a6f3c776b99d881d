"""A witness's own signing key: one file of mode 0600 in its folder, made once and never overwritten.

The file holds signed-note's private encoding, `PRIVATE+KEY+<name>+<key id>+<base64(0x04 || 32-byte seed)>`, and a newline.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from arbiter.audit.note import (
    Ed25519Cosigner,
    SignatureType,
    VerifierKey,
    decode_base64,
    encode_base64,
    is_key_name,
)
from arbiter.errors import ConfigurationError, VerificationError

NAME = "witness.key"
SEED_BYTES = 32
_LONGEST = 1024
_TYPE = bytes([SignatureType.COSIGNATURE_V1])


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The key by which a witness cosigns."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def public(self) -> VerifierKey:
        """The public half."""
        return VerifierKey.parse(self.at(0).verifier_key)

    def at(self, seconds: int) -> Ed25519Cosigner:
        """Return the signer of cosignatures of that POSIX second."""
        return Ed25519Cosigner(self.name, self.seed, seconds)


def make_key(folder: Path, name: str, seed: bytes) -> WitnessKey:
    """Write a new key; raises `ConfigurationError` when there is one, or the name fits no note."""
    if not is_key_name(name) or len(name) > 255:
        raise ConfigurationError(
            f"a witness's name is 1 to 255 characters without space, plus or control characters, came {name[:80]!r}"
        )
    key = WitnessKey(name, seed)
    text = f"PRIVATE+KEY+{name}+{key.public.key_id.hex()}+{encode_base64(_TYPE + seed)}\n"
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists already, and keys are never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(descriptor)
    return key


def read_key(folder: Path) -> WitnessKey:
    """Read the key; raises `ConfigurationError` for one that is missing, malformed, or readable by others."""
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing: run `arbiter witness init`") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise ConfigurationError(
                f"{path}: expected a file of user {os.geteuid()} with mode 0600, found user {status.st_uid}, "
                f"mode {stat.filemode(status.st_mode)}"
            )
        content = file.read(_LONGEST)
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> WitnessKey:
    malformed = ConfigurationError(f"{path} is malformed: expected one line PRIVATE+KEY+name+id+key")
    try:
        fields = content.decode("utf-8").removesuffix("\n").split("+", 4)
        typed = decode_base64(fields[4]) if fields[:2] == ["PRIVATE", "KEY"] and len(fields) == 5 else b""
    except (UnicodeDecodeError, VerificationError):
        raise malformed from None
    if typed[:1] != _TYPE or len(typed) != 1 + SEED_BYTES or not is_key_name(fields[2]):
        raise malformed
    key = WitnessKey(fields[2], typed[1:])
    if key.public.key_id.hex() != fields[3]:
        raise ConfigurationError(f"{path} is damaged: its key id is not that of its name and key")
    return key
