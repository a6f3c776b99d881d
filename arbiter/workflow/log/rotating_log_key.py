"""The log's key is rotated: a statement that old and new key sign, an overlap in which both sign, and the old one's end.

Each act is an entry of the house's chain that commits to its statement (`arbiter.audit.rotation`). Whatever a crash
interrupts, `arbiter.workflow.log.keys` settles at the next start, and the same command goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from arbiter.audit.note import SignatureType, VerifierKey, parse_note
from arbiter.audit.rotation import RETIRED, ROTATED, STATEMENT, Act, current_keys, next_rotation
from arbiter.errors import ConflictError
from arbiter.model import ActorId
from arbiter.ports import Signer
from arbiter.store.keys import (
    AS_BEFORE,
    KeyFolder,
    Keyring,
    LogKeyPair,
    Wish,
    generation_of,
    lies_at,
    log_file,
    new_log_keys,
    where_is,
)
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.sealing import hold_log
from arbiter.store.transaction import DirectConnection, Where
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.keys import recorded_rotations
from arbiter.workflow.log.sealing import Sealer

OVERLAPS = "keys.overlap"
"""The house's entry that is made so that a checkpoint by both keys has something to cover; it commits to nothing."""

OTHERS_SECONDS = 3.0
"""How long a process that runs is given to seal an entry: many times what its rounds are apart."""

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Rotated:
    """What an act of the rotation did: the keys it concerns, and the size of the checkpoint it counts from.

    `where` says in words where the new private key lies.
    """

    old: VerifierKey
    new: VerifierKey
    size: int
    where: str


async def begin_rotation(house: House, actor: ActorId, wish: Wish = AS_BEFORE) -> Rotated:
    """Make new keys for the log and enter that old and new may sign from now on.

    The new one lies where the old one does, in a token or in a file, unless `wish` says otherwise. This process goes on
    with the old key alone, as does every other until it is started again with the new files.

    Raises:
        ConflictError: while an earlier rotation is not finished, or where an interrupted one made a key elsewhere.
    """
    folder = house.key_folder
    keyring = folder.keyring()
    old = _only(keyring)
    place = wish.place(old.first)
    await asyncio.to_thread(folder.put_public, keyring.first, keyring.statements)
    if keyring.pending is None:
        number = 1 + generation_of(keyring, VerifierKey.parse(old.first.verifier_key))
        text = await asyncio.to_thread(new_log_keys, keyring.origin, place, house.chance)
        await asyncio.to_thread(lambda: folder.add(log_file(number), text, pending=True))
        keyring = folder.keyring()
    pending = keyring.pending
    assert pending is not None
    if not lies_at(pending.first, place):
        raise ConflictError(
            f"a rotation that was interrupted made its key {where_is(pending.first)}: say that it is to lie there, or remove "
            f"{folder.path / log_file(pending.number)}.pending"
        )
    size, statement = await _enter_overlap(house, actor, keyring, old, pending)
    await asyncio.to_thread(folder.promote, log_file(pending.number))
    await asyncio.to_thread(folder.put_public, keyring.first, (*keyring.statements, statement))
    await house.sealer.round()
    return Rotated(old.verifiers[0], pending.verifiers[0], size, where_is(pending.first))


async def finish_rotation(house: House, actor: ActorId) -> Rotated:
    """Enter that the old key signs nothing more, and seal that entry under the new key alone, in one transaction.

    Where the newest checkpoint is not signed by both keys yet, an entry more is given to whoever seals; where nobody does,
    it is sealed here.

    Raises:
        ConflictError: when there is no rotation to finish, or a process that runs still seals with the old key alone.
    """
    folder = house.key_folder
    keyring = folder.keyring()
    signing = keyring.signing
    if len(signing) == 1:
        _remove_retired(folder, keyring)
        raise ConflictError("no rotation of the log's key is under way on this host")
    old, new = signing
    await _check_recorded(house.store, keyring)
    await _have_both_sign(house, actor, old.first, new.first)
    entered: list[tuple[int, bytes]] = []

    async def enter(connection: DirectConnection, newest: StoredCheckpoint | None) -> None:
        size = _size_under_both(newest, old.first, new.first)
        await _check_recorded(connection, keyring)
        statement = next_rotation(
            keyring.statements, Act.RETIRE, size, _old_keys(keyring, new), new.verifiers
        )
        signed = statement.sign(old.first, new.first)
        await note_in_house(house, connection, RETIRED, actor, {STATEMENT: signed})
        entered[:] = [(size, signed)]

    await _sealer(house, new.first).round(enter)
    ((size, signed),) = entered
    await asyncio.to_thread(folder.put_public, keyring.first, (*keyring.statements, signed))
    await asyncio.to_thread(_remove_retired, folder, folder.keyring())
    return Rotated(old.verifiers[0], new.verifiers[0], size, where_is(new.first))


async def _have_both_sign(house: House, actor: ActorId, *signers: Signer) -> None:
    """See to it that the newest checkpoint carries both signatures, on a house where nothing was sealed since a restart.

    A process that runs seals within a moment what is pending: its signature tells whether it was restarted.
    """
    before = await _newest(house)
    if _unsigned_by(before, *signers) is None:
        return
    await note_in_house(house, house.store, OVERLAPS, actor, {})
    for _ in range(int(OTHERS_SECONDS / _LOOK_SECONDS)):
        if await _newest(house) != before:
            return
        await asyncio.sleep(_LOOK_SECONDS)
    await _sealer(house, *signers).round()


def _sealer(house: House, *signers: Signer) -> Sealer:
    return Sealer(house.store, signers, house.clock, KeptCheckpoint(house.settings.data), house.guard)


async def _newest(house: House) -> StoredCheckpoint | None:
    async with house.store.read() as transaction:
        return await load_newest_checkpoint(transaction)


async def _enter_overlap(
    house: House, actor: ActorId, keyring: Keyring, old: LogKeyPair, new: LogKeyPair
) -> tuple[int, bytes]:
    async with house.store.begin() as transaction:
        # Held until the commit: no other rotation is entered between the look and the entry.
        newest = await hold_log(transaction)
        await _check_recorded(transaction, keyring)
        size = 0 if newest is None else newest.size
        statement = next_rotation(
            keyring.statements, Act.OVERLAP, size, _old_keys(keyring, new), new.verifiers
        )
        signed = statement.sign(old.first, new.first)
        await note_in_house(house, transaction, ROTATED, actor, {STATEMENT: signed})
    return size, signed


async def _check_recorded(where: Where, keyring: Keyring) -> None:
    """Two hosts that rotate at once would each write a statement that excludes the other's."""
    if await recorded_rotations(where, keyring.origin) != keyring.statements:
        raise ConflictError("another host has rotated the log's key meanwhile; copy its folder `keys` first")


def _only(keyring: Keyring) -> LogKeyPair:
    if sum(key.type is SignatureType.ED25519 for key in current_keys(keyring.verifiers)) > 1:
        raise ConflictError(
            "a rotation is under way: restart every process with the new keys, then run "
            "`arbiter keys rotate log --finish`"
        )
    return keyring.signing[0]


def _old_keys(keyring: Keyring, new: LogKeyPair) -> tuple[VerifierKey, ...]:
    fresh = set(new.verifiers)
    return tuple(key.public() for key in current_keys(keyring.verifiers) if key.public() not in fresh)


def _size_under_both(newest: StoredCheckpoint | None, *signers: Signer) -> int:
    size = 0 if newest is None else newest.size
    if _unsigned_by(newest, *signers) is not None:
        raise ConflictError(
            f"the newest checkpoint, of {size} entries, is not signed by both keys: a process that runs seals with one of "
            "them alone. Copy the folder keys to every host, restart every process, and finish then"
        )
    return size


def _unsigned_by(newest: StoredCheckpoint | None, *signers: Signer) -> Signer | None:
    """Return the first of these signers that did not sign the checkpoint."""
    lines = () if newest is None else parse_note(newest.note.encode()).signatures
    signed = {line.key_id for line in lines}
    return next((s for s in signers if VerifierKey.parse(s.verifier_key).key_id not in signed), None)


def _remove_retired(folder: KeyFolder, keyring: Keyring) -> None:
    staying = {pair.number for pair in keyring.signing}
    for pair in keyring.pairs:
        if pair.number not in staying:
            folder.remove(log_file(pair.number))
