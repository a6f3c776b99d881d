"""Where a new key of the log's is made: where the present one lies, unless somebody says otherwise.

A key in hardware is never followed by one in a file because nobody said anything, nor the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from arbiter.errors import ConfigurationError
from arbiter.ports import Chance, Signer
from arbiter.store.keys.hardware import HardwareSigner, Place, make_hardware_key
from arbiter.store.keys.log_keys import new_pair_text, new_second


@dataclass(frozen=True, slots=True)
class Wish:
    """Where somebody wants the log's next Ed25519 key: in the token that a URI names, or in a file, or as before."""

    pkcs11: str | None = None
    in_file: bool = False

    def place(self, present: Signer) -> Place | None:
        """Return where the next key is to be made, given the present one; None for a file of the key folder."""
        if self.in_file and self.pkcs11 is not None:
            raise ConfigurationError("a key is made in a file or in a token, and not in both")
        if self.in_file:
            return None
        if self.pkcs11 is not None:
            return Place.parse(self.pkcs11)
        return replace(present.place, object="") if isinstance(present, HardwareSigner) else None


AS_BEFORE = Wish()


def new_log_keys(origin: str, place: Place | None, chance: Chance) -> str:
    """Return a log key file's text with new keys, the Ed25519 one made at that place; raises ConfigurationError."""
    if place is None:
        return new_pair_text(origin, chance)
    return f"{make_hardware_key(origin, place)}\n{new_second(origin, chance)}"


def lies_at(signer: Signer, place: Place | None) -> bool:
    """Tell whether a key lies where a new one was to be made."""
    if place is None or not isinstance(signer, HardwareSigner):
        return place is None and not isinstance(signer, HardwareSigner)
    own = signer.place
    return (own.module, own.token) == (place.module, place.token) and place.object in {"", own.object}


def where_is(signer: Signer) -> str:
    """Return in words where a key lies."""
    if isinstance(signer, HardwareSigner):
        return f"in the token {signer.place.token}, as {signer.place.object}"
    return "in a file of the folder keys"
