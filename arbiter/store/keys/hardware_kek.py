"""A key-encryption key in hardware: an AES-256 key that a PKCS#11 token made, and that wraps cases' keys there.

What it wraps has the form that one in a file gives it, AES-256-GCM with a nonce of ours and associated data, so a rotation
leads from one kind to the other. The key is not extractable: who loses the token, or clears it, loses what it wrapped.
`kek-<n>.key` says where it is: `PKCS11-KEK <32 hex digits> <URI>`, the digits random, by which hosts tell whether two
files speak of one key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag

from arbiter.errors import ConfigurationError, UnavailableError
from arbiter.ports import Chance
from arbiter.store.keys.hardware import Place, free_label, token_session

HARDWARE_KEK = "PKCS11-KEK "
_NONCE_BYTES = 12
_TAG_BITS = 128
_LINE = re.compile(r"PKCS11-KEK ([0-9a-f]{32}) (pkcs11:\S+)")
_PROBE = b"arbiter/probe/v1"


@dataclass(frozen=True, slots=True)
class HardwareKek:
    """Encrypts and decrypts in the token, as `AESGCM` does here. Each call waits for the token, and blocks.

    A token that does not answer raises UnavailableError.
    """

    key_id: str
    place: Place

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return ciphertext || tag."""
        with token_session(self.place) as (pkcs11, session):
            key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self.place.object)
            parameters = pkcs11.GCMParams(nonce, associated_data, _TAG_BITS)
            return bytes(key.encrypt(data, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters))

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return what was encrypted; raises InvalidTag when any bit is another, and UnavailableError."""
        if len(nonce) != _NONCE_BYTES or len(data) < _TAG_BITS // 8:
            raise InvalidTag
        try:
            return self._decrypt(nonce, data, associated_data)
        except UnavailableError:
            # Modules tell a bad tag by different errors, some by a general one: a token that works otherwise has told.
            self._try()
        try:
            # In a session that works: what failed before may have been the session, ended by the token or on its way.
            return self._decrypt(nonce, data, associated_data)
        except UnavailableError:
            raise InvalidTag from None

    def probe(self) -> None:
        """Raise ConfigurationError when the token cannot wrap and unwrap now."""
        try:
            self._try()
        except UnavailableError as error:
            raise ConfigurationError(f"{error}: is the token there, and the PIN right?") from error

    def _decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        with token_session(self.place) as (pkcs11, session):
            key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self.place.object)
            parameters = pkcs11.GCMParams(nonce, associated_data, _TAG_BITS)
            return bytes(key.decrypt(data, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters))

    def _try(self) -> None:
        with token_session(self.place) as (_, session):
            nonce = bytes(session.generate_random(8 * _NONCE_BYTES))
        if self._decrypt(nonce, self.encrypt(nonce, _PROBE, _PROBE), _PROBE) != _PROBE:
            raise UnavailableError(f"the token {self.place.token} does not give back what it was given")


def make_hardware_kek(place: Place, name: str, chance: Chance) -> str:
    """Make a key-encryption key in a token, and return its file's line; without an object it gets `arbiter-<name>`.

    Raises:
        ConfigurationError: when the token has an object of that label already, or cannot make or use such a key.
    """
    try:
        with token_session(place) as (pkcs11, session):
            place = free_label(pkcs11, session, place, f"arbiter-{name}")
            attribute = pkcs11.Attribute
            session.generate_key(
                pkcs11.KeyType.AES,
                256,
                store=True,
                label=place.object,
                template={
                    attribute.SENSITIVE: True,
                    attribute.EXTRACTABLE: False,
                    attribute.ENCRYPT: True,
                    attribute.DECRYPT: True,
                    attribute.WRAP: False,
                    attribute.UNWRAP: False,
                },
            )
    except UnavailableError as error:
        raise ConfigurationError(str(error)) from error
    made = HardwareKek(chance.token(16).hex(), place)
    made.probe()
    return f"{HARDWARE_KEK}{made.key_id} {place.uri()}"


def open_hardware_kek(line: str, path: Path) -> HardwareKek:
    """Return the key that a file's line speaks of; the token is not asked before something is to be wrapped."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ConfigurationError(
            f"{path} is malformed: expected {HARDWARE_KEK}, 32 hex digits and a PKCS#11 URI"
        )
    place = Place.parse(match[2])
    if not place.object:
        raise ConfigurationError(f"{path} is malformed: its PKCS#11 URI names no object")
    return HardwareKek(match[1], place)
