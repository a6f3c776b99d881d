"""The log's keys at start: what this host's folder holds, made to agree with the rotations that the log records.

A rotation writes the new key's file, then the entry, then puts the file in its place: whichever step a crash came after,
a start ends the matter. A statement in the log admits a pending key; a pending key without one is not used.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from arbiter.audit.checkpoint import LogKey
from arbiter.audit.mldsa import MlDsa44Key
from arbiter.audit.note import SignatureType, VerifierKey
from arbiter.audit.rotation import STATEMENT, current_keys, follow_rotations, of_origin
from arbiter.errors import ConfigurationError, VerificationError
from arbiter.ports import Signer
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.store.keys import HardwareKek, HardwareSigner, Keyring, log_file
from arbiter.store.transaction import Where

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The log's keys as the house uses them: who signs, who signs what is published, and who ever signed."""

    signers: tuple[Signer, ...]
    seconds: tuple[MlDsa44Key, ...]
    verifiers: tuple[VerifierKey, ...]


def log_keys_of(keyring: Keyring, former: tuple[VerifierKey, ...] = ()) -> LogKeys:
    """Return the log's keys in a keyring; `former` are those of the origins that the log had before."""
    signing = keyring.signing
    return LogKeys(
        signers=tuple(pair.first for pair in signing),
        seconds=tuple(pair.second for pair in signing if pair.second is not None),
        verifiers=(*keyring.verifiers, *former),
    )


async def settle_log_keys(where: Where, keyring: Keyring, *, behind: bool = False) -> Keyring:
    """Return the keyring with every rotation that the log records, its files put in their places.

    With `behind` a database that lost rotations which the folder knows is let be, for whoever puts that right.

    Raises:
        ConfigurationError: when folder and database tell different histories, or this host lacks the present key.
    """
    recorded = await recorded_rotations(where, keyring.origin)
    if recorded[: len(keyring.statements)] != keyring.statements:
        if not behind or keyring.statements[: len(recorded)] != recorded:
            raise ConfigurationError(
                f"the key folder knows of {len(keyring.statements)} steps of the log key's rotation, and the database's "
                f"{len(recorded)} do not begin with them: the database was rolled back or is another installation's; "
                "restore a newer copy, or find the other database. Only when its entries are lost for good two "
                "administrators run `arbiter audit recover`"
            )
        recorded = keyring.statements
    first = keyring.first or keyring.pairs[0].verifiers
    try:
        verifiers = follow_rotations(first, recorded)
    except VerificationError as error:
        raise ConfigurationError(
            f"the database's record of the log's keys does not check out: {error}"
        ) from error
    settled = replace(keyring, statements=recorded)
    if keyring.folder is not None and len(recorded) > len(keyring.statements):
        pending = keyring.pending
        if pending is not None and _names(verifiers, pending.first):
            keyring.folder.promote(log_file(pending.number))
        keyring.folder.put_public(first, recorded)
        settled = keyring.folder.keyring()
    _check_signing(settled)
    for pair in settled.signing:
        if isinstance(pair.first, HardwareSigner):
            await asyncio.to_thread(pair.first.probe)
    for kek in settled.keks.values():
        if isinstance(kek, HardwareKek):
            await asyncio.to_thread(kek.probe)
    return settled


async def recorded_rotations(where: Where, origin: str) -> tuple[bytes, ...]:
    """Return the statements about this origin that the log records, oldest first."""
    return of_origin(origin, await load_house_contents(where, HOUSE_CHAIN, STATEMENT))


def _check_signing(keyring: Keyring) -> None:
    held = {VerifierKey.parse(pair.first.verifier_key) for pair in keyring.signing}
    current = [key.public() for key in current_keys(keyring.verifiers) if key.type is SignatureType.ED25519]
    if not held:
        raise ConfigurationError(
            f"this host lacks the log's present key {current[-1].key_id.hex()}: copy the folder `keys` from the host on "
            "which `arbiter keys rotate log` was run"
        )
    if current[-1] not in held:
        log.warning(
            "the log's key is being rotated and this host lacks the new one, %s: copy the folder `keys` and restart",
            current[-1].key_id.hex(),
        )


def _names(verifiers: tuple[LogKey, ...], signer: Signer) -> bool:
    return VerifierKey.parse(signer.verifier_key) in {key.public() for key in verifiers}
