"""The key-encryption key is rotated: everything is wrapped anew under a new key, in batches, while the service runs.

Only wrapping changes, no content; the table of cases' keys is rewritten at the end, part by part, or the old wrapping would stay in
its pages. A batch that was stored stays stored, so a killed rotation goes on where it stopped.
Running processes read the new key's file when they first meet what it wraps, and wrap new cases under it from then on.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from arbiter.errors import ConflictError, NotFoundError
from arbiter.model import ActorId, CaseId
from arbiter.store import wrapping
from arbiter.store.erasures import rewrite_keys
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.store.keys import (
    AS_BEFORE,
    HardwareKek,
    Keyring,
    Wish,
    kek_number,
    lies_at,
    new_kek,
    where_is,
)
from arbiter.store.wrapping import Kind, Wrapped, count_all_wrapped, count_wrapped, move_wrapped, next_wrapped
from arbiter.workflow.drift.kept import watch_of
from arbiter.workflow.exports.jobs import owner_of
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house

ROTATED = "kek.rotated"
RETIRED = "kek.retired"
DOCUMENT = "kek-rotation"
BATCH = 500
WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.1

Progress = Callable[[Kind, int, int], None]
"""Hears how many of a kind are done and how many there are."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a rotation did: the present key-encryption key's id, whether it is new, and how many were wrapped anew.

    `where` says in words where the key lies, and `left` why the old wrapping still stands in the database's files, where it does.
    """

    kek_id: str
    made: bool
    moved: int
    where: str
    left: str | None = None


async def rotate_kek(
    house: House,
    actor: ActorId,
    progress: Progress,
    *,
    key_only: bool = False,
    batch: int = BATCH,
    wish: Wish = AS_BEFORE,
) -> Rewrapped:
    """Make a key-encryption key and wrap everything anew under it; go on with an unfinished rotation where there is one.

    With `key_only` the key's file is made and nothing else, so that it can be copied to the other hosts first. The key is
    made where the present one lies, in a token or in a file, unless `wish` says otherwise.

    Raises:
        ConflictError: when an unfinished rotation has its key elsewhere than somebody wishes.
        ConfigurationError: when the token cannot make a key; nothing is changed.
    """
    folder = house.key_folder
    keyring = folder.keyring()
    entered = await _entered(house, keyring)
    wrapped = await count_all_wrapped(house.store)
    unfinished = not entered or any(kek_id != keyring.current_kek for kek_id in wrapped)
    present = keyring.keks[keyring.current_kek]
    if not unfinished:
        name = f"kek-{kek_number(keyring.current_kek) + 1}"
        text = await asyncio.to_thread(new_kek, name, wish.place(present), house.chance)
        await asyncio.to_thread(folder.add, f"{name}.key", text)
        keyring = folder.keyring()
    elif not lies_at(present, wish.place(present)):
        raise ConflictError(
            f"a rotation to {keyring.current_kek} is not finished, and that key lies {where_is(present)}: finish it first, "
            "without saying where"
        )
    current = keyring.current_kek
    where = where_is(keyring.keks[current])
    if key_only:
        return Rewrapped(current, not unfinished, 0, where)
    house.vault.take_up(current)
    if not await _entered(house, keyring):
        await note_in_house(house, house.store, ROTATED, actor, {DOCUMENT: _statement(keyring).encode()})
    moved = 0
    for kind in Kind:
        moved += await _rewrap(house, kind, current, progress, batch)
    left = await asyncio.to_thread(rewrite_keys, house.database)
    await house.sealer.round()
    return Rewrapped(current, not unfinished, moved, where, left)


async def retire_kek(house: House, actor: ActorId, kek_id: str) -> str | None:
    """Let nothing be wrapped under an older key-encryption key any more, and remove its file from this host.

    Returns why what it wrapped still stands in the database's files, or None where it does not.

    Raises:
        ConflictError: while anything is wrapped under it; NotFoundError: when this host has no such key.
    """
    folder = house.key_folder
    keyring = folder.keyring()
    if kek_id not in keyring.keks:
        raise NotFoundError(f"this host has no {kek_id}; it has {', '.join(sorted(keyring.keks))}")
    if kek_id == keyring.current_kek:
        raise ConflictError(
            f"{kek_id} is the present key-encryption key; `arbiter keys rotate kek` makes another"
        )
    await _refuse_while_used(house, kek_id)
    async with house.store.begin() as transaction:
        if await wrapping.retire_kek(transaction, kek_id, house.clock.now()):
            content = f"{_statement(keyring)}retired {kek_id}\n".encode()
            await note_in_house(house, transaction, RETIRED, actor, {DOCUMENT: content})
    await _wait_for_older_transactions(house)
    # What such a transaction still wrapped under it while this one committed.
    for kind in Kind:
        await _rewrap(house, kind, house.vault.current_kek, lambda *_: None, BATCH)
    await _refuse_while_used(house, kek_id)
    left = await asyncio.to_thread(rewrite_keys, house.database)
    await asyncio.to_thread(folder.remove, f"{kek_id}.key")
    await house.sealer.round()
    return left


async def _rewrap(house: House, kind: Kind, current: str, progress: Progress, batch: int) -> int:
    counts = await count_wrapped(house.store, kind)
    total = sum(count for kek_id, count in counts.items() if kek_id != current)
    done, moved, after = 0, 0, ""
    progress(kind, 0, total)
    while rows := await next_wrapped(house.store, kind, current, after, batch):
        fresh = [(row, _wrapped_anew(house, kind, row)) for row in rows]
        moved += await move_wrapped(house.store, kind, current, fresh)
        after = rows[-1].owner
        done += len(rows)
        progress(kind, done, max(total, done))
    return moved


def _wrapped_anew(house: House, kind: Kind, row: Wrapped) -> bytes:
    match kind:
        case Kind.CASE_KEY:
            return house.vault.rewrap_key(CaseId(row.owner), row.kek_id, row.ciphertext).wrapped
        case Kind.WEBHOOK_SECRET:
            secret = house.vault.open_secret(row.owner, row.kek_id, row.ciphertext)
            return house.vault.seal_secret(row.owner, secret)[1]
        case Kind.EXPORT_KEY:
            secret = house.vault.open_secret(owner_of(row.owner), row.kek_id, row.ciphertext)
            return house.vault.seal_secret(owner_of(row.owner), secret)[1]
        case Kind.DRIFT_STATE:
            secret = house.vault.open_secret(watch_of(row.owner), row.kek_id, row.ciphertext)
            return house.vault.seal_secret(watch_of(row.owner), secret)[1]


async def _refuse_while_used(house: House, kek_id: str) -> None:
    for kind in Kind:
        count = (await count_wrapped(house.store, kind)).get(kek_id, 0)
        if count:
            raise ConflictError(
                f"{count} {kind.words} are still wrapped under {kek_id}: run `arbiter keys rotate kek` first"
            )


async def _wait_for_older_transactions(house: House) -> None:
    moment = await wrapping.present_moment(house.store)
    for _ in range(int(WAIT_SECONDS / _LOOK_SECONDS)):
        if await wrapping.has_passed(house.store, moment):
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise ConflictError(
        f"a transaction has been open for {WAIT_SECONDS:.0f} seconds; nothing is lost: try again when it has ended"
    )


async def _entered(house: House, keyring: Keyring) -> bool:
    """Tell whether the present key-encryption key is in use by an entry; the first one is from the beginning.

    Raises:
        ConflictError: when the entry is about another key of that name, which another host made.
    """
    kek_id = keyring.current_kek
    if kek_number(kek_id) == 1:
        return True
    own = _line(keyring, kek_id)
    documents = await load_house_contents(house.store, HOUSE_CHAIN, DOCUMENT)
    named = {
        line
        for document in documents
        for line in document.decode().splitlines()
        if line.startswith(f"key {kek_id} ")
    }
    if named - {own}:
        raise ConflictError(
            f"another host has made another {kek_id}: copy its file here, once nothing is wrapped under this host's"
        )
    return bool(named)


def _line(keyring: Keyring, kek_id: str) -> str:
    key = keyring.keks[kek_id]
    if isinstance(key, HardwareKek):
        return f"key {kek_id} {key.key_id}"
    told = hmac.digest(key, b"arbiter/kek-fingerprint/v1", "sha256").hex()[:32]
    return f"key {kek_id} {told}"


def _statement(keyring: Keyring) -> str:
    """Return what the entry commits to: which keys there are, told apart by what does not give them away."""
    lines = [f"{_line(keyring, kek_id)}\n" for kek_id in sorted(keyring.keks, key=kek_number)]
    return (
        f"arbiter/kek-rotation/v1\norigin {keyring.origin}\ncurrent {keyring.current_kek}\n{''.join(lines)}"
    )
