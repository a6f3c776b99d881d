"""What keeps the key files secret: a random folder key that encrypts each of them, itself encrypted under a passphrase.

The file `lock` holds the folder key under Argon2id (RFC 9106, its second recommended parameters, which stand in the file)
and AES-256-GCM; each key file is AES-256-GCM under the folder key, with the file's name authenticated, so that files
swapped with each other do not open. The passphrase is thus asked for once, and another passphrase changes one small file.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from arbiter.errors import ConfigurationError
from arbiter.ports import Chance

Passphrase: TypeAlias = Callable[[], str]
"""Asks for the passphrase, when it turns out to be needed; raises ConfigurationError where nobody can be asked."""

SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE = 1024

_LOCK = "arbiter-lock/v1"
_SEALED = "arbiter-sealed-key/v1"
_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12
_ADVICE = (
    "give the passphrase that the keys were made with; if it is lost, restore the keys from escrow with "
    "`arbiter keys recover-escrow`"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id's parameters: memory in KiB, passes over it, lanes."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        # Below is no protection worth the name (OWASP's least is 19 MiB); above is a way to exhaust the machine.
        if not (
            19 * 1024 <= self.memory_kib <= 1024 * 1024 and 1 <= self.passes <= 32 and 1 <= self.lanes <= 16
        ):
            raise ValueError("Argon2id's parameters are out of range")


COST = Cost()


class Lock:
    """An opened lock: it seals and opens key files by name."""

    def __init__(self, key: bytes, token: Callable[[int], bytes] = os.urandom) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._token = token

    @classmethod
    def make(cls, chance: Chance) -> Lock:
        """Return a lock with a new folder key."""
        return cls(chance.token(_KEY_BYTES), chance.token)

    @classmethod
    def open(cls, text: str, passphrase: str, where: str) -> Lock:
        """Return the lock that a file's text holds; raise ConfigurationError for a wrong passphrase or another text."""
        fields = _fields(
            text, where, {"format", "kdf", "memory_kib", "passes", "lanes", "salt", "nonce", "key"}
        )
        if (fields["format"], fields["kdf"]) != (_LOCK, "argon2id"):
            raise ConfigurationError(f"{where} is malformed: expected {_LOCK} with argon2id")
        try:
            cost = Cost(*(_whole(fields[name]) for name in ("memory_kib", "passes", "lanes")))
            salt, nonce, sealed = (_unbase64(fields[name]) for name in ("salt", "nonce", "key"))
            wrapping = AESGCM(_derive(passphrase, salt, cost))
        except ValueError as error:
            raise ConfigurationError(f"{where} is malformed: {error}") from None
        try:
            key = wrapping.decrypt(nonce, sealed, _lock_place(cost, salt))
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                f"{where} does not open: the passphrase is wrong, or the file was changed; {_ADVICE}"
            ) from None
        return cls(key)

    def text(self, passphrase: str, cost: Cost = COST) -> str:
        """Return the lock's file under a passphrase."""
        salt, nonce = self._token(_SALT_BYTES), self._token(_NONCE_BYTES)
        sealed = AESGCM(_derive(passphrase, salt, cost)).encrypt(nonce, self._key, _lock_place(cost, salt))
        return json.dumps(
            {
                "format": _LOCK,
                "kdf": "argon2id",
                "memory_kib": cost.memory_kib,
                "passes": cost.passes,
                "lanes": cost.lanes,
                "salt": _base64(salt),
                "nonce": _base64(nonce),
                "key": _base64(sealed),
            }
        )

    def seal(self, name: str, text: str) -> str:
        """Return the encrypted file `name` that holds this text."""
        nonce = self._token(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), _file_place(name))
        return json.dumps({"format": _SEALED, "name": name, "nonce": _base64(nonce), "key": _base64(sealed)})

    def unseal(self, name: str, sealed: str, where: str) -> str:
        """Return the text of an encrypted file; raise ConfigurationError when it is another file's or was changed."""
        fields = _fields(sealed, where, {"format", "name", "nonce", "key"})
        if fields["format"] != _SEALED:
            raise ConfigurationError(f"{where} is malformed: expected {_SEALED}")
        if fields["name"] != name:
            raise ConfigurationError(f"{where} is not {name}: it holds another key file, or was renamed")
        try:
            nonce, content = _unbase64(fields["nonce"]), _unbase64(fields["key"])
            return self._cipher.decrypt(nonce, content, _file_place(name)).decode()
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                f"{where} does not open under this folder's lock: it was changed, or comes from another folder"
            ) from None


def is_sealed(text: str) -> bool:
    """Tell whether a key file's text is an encrypted one's."""
    return text.startswith("{")


def check_passphrase(passphrase: str) -> str:
    """Return a new passphrase if it is fit to be one; raise ConfigurationError otherwise."""
    if not SHORTEST_PASSPHRASE <= len(passphrase) <= LONGEST_PASSPHRASE:
        raise ConfigurationError(
            f"a passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters, this one {len(passphrase)}"
        )
    return passphrase


def _derive(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    kdf = Argon2id(
        salt=salt, length=_KEY_BYTES, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    # The same characters typed on two keyboards are the same passphrase (NIST SP 800-63B 3.1.1.2).
    return kdf.derive(unicodedata.normalize("NFKC", passphrase).encode())


def _lock_place(cost: Cost, salt: bytes) -> bytes:
    return f"{_LOCK}\nargon2id {cost.memory_kib} {cost.passes} {cost.lanes}\n".encode() + salt


def _file_place(name: str) -> bytes:
    return f"{_SEALED}\n{name}".encode()


def _fields(text: str, where: str, names: set[str]) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        raise ConfigurationError(f"{where} is malformed: expected one JSON object") from None
    if not isinstance(fields, dict) or fields.keys() != names:
        raise ConfigurationError(f"{where} is malformed: expected the fields {', '.join(sorted(names))}")
    return fields


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("expected a whole number")
    return value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected base64")  # noqa: TRY004 - told like every other fault of the file
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64") from None
