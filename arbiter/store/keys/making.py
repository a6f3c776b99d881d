"""Where a new key is made, the log's or a key-encryption key: where the present one lies, unless somebody says otherwise.

A key in hardware is never followed by one in a file because nobody said anything, nor the other way round.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

from arbiter.errors import ConfigurationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys.hardware import HardwareSigner, Place, make_hardware_key
from arbiter.store.keys.hardware_kek import HardwareKek, make_hardware_kek
from arbiter.store.keys.keyring import Kek
from arbiter.store.keys.log_keys import KEY_BYTES, new_pair_text, new_second

InHardware = (HardwareSigner, HardwareKek)


@dataclass(frozen=True, slots=True)
class Wish:
    """Where somebody wants the next key: in the token that a URI names, or in a file, or where the present one lies."""

    pkcs11: str | None = None
    in_file: bool = False

    def place(self, present: Signer | Kek) -> Place | None:
        """Return where the next key is to be made, given the present one; None for a file of the key folder."""
        if self.in_file and self.pkcs11 is not None:
            raise ConfigurationError("a key is made in a file or in a token, and not in both")
        if self.in_file:
            return None
        if self.pkcs11 is not None:
            return Place.parse(self.pkcs11)
        return replace(present.place, object="") if isinstance(present, InHardware) else None


AS_BEFORE = Wish()


def new_log_keys(origin: str, place: Place | None, chance: Chance) -> str:
    """Return a log key file's text with new keys, the Ed25519 one made at that place; raises ConfigurationError."""
    if place is None:
        return new_pair_text(origin, chance)
    return f"{make_hardware_key(origin, place)}\n{new_second(origin, chance)}"


def new_kek(name: str, place: Place | None, chance: Chance) -> str:
    """Return a key-encryption key file's text with a new key, made at that place; raises ConfigurationError."""
    return new_secret(chance) if place is None else make_hardware_kek(place, name, chance)


def new_secret(chance: Chance) -> str:
    """Return the text of a new key of 32 random bytes."""
    return base64.b64encode(chance.token(KEY_BYTES)).decode()


def lies_at(key: Signer | Kek, place: Place | None) -> bool:
    """Tell whether a key lies where a new one was to be made."""
    if place is None or not isinstance(key, InHardware):
        return place is None and not isinstance(key, InHardware)
    own = key.place
    return (own.module, own.token) == (place.module, place.token) and place.object in {"", own.object}


def where_is(key: Signer | Kek) -> str:
    """Return in words where a key lies."""
    if isinstance(key, InHardware):
        return f"in the token {key.place.token}, as {key.place.object}"
    return "in a file of the folder keys"
