"""The opened keys: those that sign the log stand behind `Signer`, those that keep case content secret are bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from arbiter.audit.checkpoint import LogKey
from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.rotation import current_keys, follow_rotations
from arbiter.errors import ConfigurationError
from arbiter.ports import Signer
from arbiter.store.keys.hardware_kek import HardwareKek
from arbiter.store.keys.log_keys import LogKeyPair

if TYPE_CHECKING:
    from arbiter.store.keys.folder import KeyFolder

Kek: TypeAlias = bytes | HardwareKek
"""A key-encryption key: its 32 bytes, or where in hardware it is."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """What a key folder holds. `keks` are the key-encryption keys by id (`kek-1`, ...), 32 bytes each or in a token.

    `origin` names the log; `pairs` are the log's private keys at hand, oldest first, `pending` one that was made and that
    no statement names yet as far as this folder knows; `first` are the public keys the log began with and `statements`
    its rotations, as far as this folder knows.
    """

    origin: str
    pairs: tuple[LogKeyPair, ...]
    keks: Mapping[str, Kek] = field(repr=False)
    current_kek: str
    index_key: bytes = field(repr=False)
    first: tuple[VerifierKey, ...] = ()
    statements: tuple[bytes, ...] = ()
    pending: LogKeyPair | None = None
    folder: KeyFolder | None = field(default=None, repr=False, compare=False)

    @property
    def verifiers(self) -> tuple[LogKey, ...]:
        """Every public key that ever signed the log, oldest first, with the sizes it may sign."""
        return follow_rotations(self.first or self.pairs[0].verifiers, self.statements)

    @property
    def signing(self) -> tuple[LogKeyPair, ...]:
        """The pairs that sign now, oldest first: one usually, two during an overlap."""
        current = {key.public() for key in current_keys(self.verifiers)}
        return tuple(pair for pair in self.pairs if VerifierKey.parse(pair.first.verifier_key) in current)

    @property
    def signer(self) -> Signer:
        """The newest Ed25519 key that signs."""
        return self.signing[-1].first

    def find_kek(self, kek_id: str) -> Kek | None:
        """Return a key-encryption key that may have come into the folder after it was read, or None."""
        known = self.keks.get(kek_id)
        if known is None and self.folder is not None:
            known = self.folder.find_kek(kek_id)
        return known


def newest_kek(kek_ids: Iterable[str]) -> str:
    """Return the id with the highest number."""
    return max(kek_ids, key=kek_number)


def kek_number(kek_id: str) -> int:
    """Return the number in a key-encryption key's id."""
    return int(kek_id.removeprefix("kek-"))


def generation_of(keyring: Keyring, key: VerifierKey) -> int:
    """Return the number of the pair that an Ed25519 key of the log belongs to; 1 is the first."""
    first_keys = [k.public() for k in keyring.verifiers if k.type is SignatureType.ED25519]
    try:
        return 1 + first_keys.index(key)
    except ValueError:
        raise ConfigurationError(f"no key {key.key_id.hex()} ever signed the log {keyring.origin}") from None
