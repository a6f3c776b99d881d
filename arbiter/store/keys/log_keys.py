"""The log's signing keys as a file's lines: an Ed25519 key and, beside it, an ML-DSA-44 key.

Each is in the signed-note encoding that Go's `sumdb/note` reads: `PRIVATE+KEY+<name>+<key id>+<base64(type || seed)>`,
the type 0x01 or 0x06, the seed 32 bytes. A key in hardware is a line `PKCS11+<name>+<key id>+<base64(type || public key)>`
followed by where it is: see `arbiter.store.keys.hardware`. A line that begins with `#` is a remark.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import Ed25519NoteSigner, SignatureType, VerifierKey
from arbiter.errors import ConfigurationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys.hardware import HARDWARE, open_hardware_key

KEY_BYTES = 32
NOT_ENCRYPTED = "# not encrypted: made with --no-passphrase"

_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class LogKeyPair:
    """One generation of the log's keys; before 0.3.0 there was no second key."""

    number: int
    first: Signer
    second: MlDsa44Key | None

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public parts, Ed25519 first."""
        keys = [self.first.verifier_key] + ([] if self.second is None else [self.second.verifier_key])
        return tuple(VerifierKey.parse(key) for key in keys)


def check_origin(origin: str) -> str:
    """Return `origin` if it can name a log (C2SP signed-note key name: no spaces, no plus); else raise."""
    fits = origin and len(origin.encode()) <= 255 and origin.isprintable()
    if not fits or "+" in origin or " " in origin:
        raise ConfigurationError(
            f"a log's origin is 1 to 255 printable characters without space or plus, came {origin[:80]!r}"
        )
    return origin


def new_pair_text(origin: str, chance: Chance) -> str:
    """Return the lines of a new pair of keys."""
    return "\n".join(
        (_line(origin, SignatureType.ED25519, chance.token(KEY_BYTES)), new_second(origin, chance))
    )


def new_second(origin: str, chance: Chance) -> str:
    """Return the line of a new ML-DSA-44 key alone, to stand beside a key in hardware."""
    return _line(origin, SignatureType.MLDSA44_COSIGNATURE, chance.token(KEY_BYTES))


def read_pair(path: Path, number: int, text: str) -> LogKeyPair:
    """Return the keys of a log key file; raises ConfigurationError."""
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    if not 1 <= len(lines) <= 2:
        raise ConfigurationError(f"{path} is malformed: expected one line a key, two keys at most")
    if lines[0].startswith(HARDWARE):
        first: Signer = open_hardware_key(lines[0], path)
    else:
        name, seed = _parse(path, lines[0], SignatureType.ED25519)
        first = Ed25519NoteSigner(name, seed)
    second = None
    if len(lines) == 2:
        name, seed = _parse(path, lines[1], SignatureType.MLDSA44_COSIGNATURE)
        second = MlDsa44Key(name, seed)
        if name != first.name:
            raise ConfigurationError(f"{path} is malformed: its two keys have different names")
    return LogKeyPair(number, first, second)


def _line(name: str, kind: SignatureType, seed: bytes) -> str:
    material = base64.b64encode(bytes([kind]) + seed).decode()
    return f"{_PRIVATE}{name}+{_public(name, kind, seed).key_id.hex()}+{material}"


def _public(name: str, kind: SignatureType, seed: bytes) -> VerifierKey:
    key: Signer | MlDsa44Key
    key = Ed25519NoteSigner(name, seed) if kind is SignatureType.ED25519 else MlDsa44Key(name, seed)
    return VerifierKey.parse(key.verifier_key)


def _parse(path: Path, line: str, kind: SignatureType) -> tuple[str, bytes]:
    # The last field is base64 and may hold a plus itself.
    fields = line.split("+", 4)
    if len(fields) != 5 or fields[:2] != ["PRIVATE", "KEY"]:
        raise ConfigurationError(f"{path} is malformed: expected PRIVATE+KEY+name+id+key")
    name = check_origin(fields[2])
    try:
        typed = base64.b64decode(fields[4], validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{path} is malformed: expected base64") from None
    if len(typed) != 1 + KEY_BYTES or typed[0] != kind:
        article = "an" if kind is SignatureType.ED25519 else "then an"
        raise ConfigurationError(
            f"{path} is malformed: expected {article} {kind.algorithm} seed of {KEY_BYTES} bytes"
        )
    if fields[3] != _public(name, kind, typed[1:]).key_id.hex():
        raise ConfigurationError(f"{path} is damaged: its key id is not that of its name and key")
    return name, typed[1:]
