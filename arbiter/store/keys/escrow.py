"""Escrow: every secret key, encrypted to somebody who is trusted to keep it and to give it back when all copies are lost.

HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The recipient makes a key pair with
openssl (`openssl genpkey -algorithm X25519 -aes256 -out agent.pem`) and gives the public part. The file is five lines:
`arbiter-escrow/v1`, `origin`, `recipient` (SHA-256 of the public key), `at`, and the encapsulated key and ciphertext in
base64; its first four lines are authenticated with it, as HPKE's info.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from arbiter.errors import ConfigurationError

FORMAT = "arbiter-escrow/v1"
LARGEST_ESCROW = 1024 * 1024

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_FILE = re.compile(
    rf"({FORMAT}\norigin ([^\n]+)\nrecipient ([0-9a-f]{{64}})\nat ([^\n]+)\n)([A-Za-z0-9+/]+=*)\n"
)
_OTHER_KEY = "expected an X25519 key in PEM, as `openssl genpkey -algorithm X25519` makes it"


@dataclass(frozen=True, slots=True)
class Escrowed:
    """What an escrow file held: the log's name, when it was made, and the key files' texts by name."""

    origin: str
    at: str
    files: Mapping[str, str] = field(repr=False)


def read_recipient(pem: bytes) -> X25519PublicKey:
    """Return a recipient's public key; raises ConfigurationError for any other kind of file."""
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        raise ConfigurationError(_OTHER_KEY) from None
    if not isinstance(key, X25519PublicKey):
        raise ConfigurationError(_OTHER_KEY)
    return key


def read_private_key(pem: bytes, password: str | None) -> X25519PrivateKey:
    """Return a recipient's private key; raises ConfigurationError, for a wrong password too."""
    try:
        key = load_pem_private_key(pem, None if password is None else password.encode())
    except TypeError:
        wanted = "a password" if password is None else "no password"
        raise ConfigurationError(f"the recipient's private key needs {wanted}") from None
    except ValueError:
        raise ConfigurationError(
            f"the recipient's private key does not open: wrong password, or {_OTHER_KEY}"
        ) from None
    if not isinstance(key, X25519PrivateKey):
        raise ConfigurationError(_OTHER_KEY)
    return key


def fingerprint(recipient: X25519PublicKey) -> str:
    """Return SHA-256 of the 32-byte public key, in hex."""
    return sha256(recipient.public_bytes_raw()).hexdigest()


def seal_escrow(origin: str, files: Mapping[str, str], recipient: X25519PublicKey, at: datetime) -> bytes:
    """Return the escrow file that only the recipient can open."""
    head = f"{FORMAT}\norigin {origin}\nrecipient {fingerprint(recipient)}\nat {at.isoformat(timespec='seconds')}\n"
    sealed = _SUITE.encrypt(json.dumps(dict(files)).encode(), recipient, head.encode())
    return head.encode() + base64.b64encode(sealed) + b"\n"


def open_escrow(content: bytes, private_key: X25519PrivateKey) -> Escrowed:
    """Return what an escrow file holds.

    Raises:
        ConfigurationError: when it is malformed, for another recipient, or was changed.
    """
    try:
        match = _FILE.fullmatch(content.decode()) if len(content) <= LARGEST_ESCROW else None
    except UnicodeDecodeError:
        match = None
    if match is None:
        raise ConfigurationError(f"the escrow file is malformed: expected {FORMAT}")
    own = fingerprint(private_key.public_key())
    if match[3] != own:
        raise ConfigurationError(f"the escrow file is for recipient {match[3][:16]}, this key is {own[:16]}")
    try:
        opened = _SUITE.decrypt(base64.b64decode(match[5], validate=True), private_key, match[1].encode())
    except (InvalidTag, ValueError, binascii.Error):
        raise ConfigurationError("the escrow file does not open: it was changed") from None
    return Escrowed(match[2], match[4], _files(opened))


def _files(opened: bytes) -> dict[str, str]:
    # Whoever knows the recipient's public key can have made the file: that it opens says nothing of what it holds.
    try:
        files = json.loads(opened)
    except (ValueError, RecursionError):
        files = None
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise ConfigurationError("the escrow file is malformed: it holds no key files")
    return files
