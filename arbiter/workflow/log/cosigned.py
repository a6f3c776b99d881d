"""How far the witnesses have come, as this process has verified it: sizes that enough have cosigned, and the notes that show it.

INVARIANT: a cosignature read from the database counts only once its line has been verified here, by the key that the
installation's own file names, over the stored checkpoint that the log has signed. Whoever can write to the database
cannot make a decision witnessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arbiter.audit.checkpoint import MAX_SIZE, open_checkpoint
from arbiter.audit.cosigned import counted
from arbiter.errors import VerificationError
from arbiter.model import RiskClass
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.transaction import Where
from arbiter.store.witnessing import CosignedCheckpoint, load_cosigned, load_lines

if TYPE_CHECKING:
    from arbiter.workflow.house import House


@dataclass(slots=True)
class Cosigned:
    """What this process knows: for a number of witnesses, the largest tree that so many have cosigned in one checkpoint.

    `wanted` is set after each seal: there may be a checkpoint to be cosigned.
    """

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    sizes: dict[int, int] = field(default_factory=dict)


async def cosigned_sizes(house: House) -> Mapping[RiskClass, int] | None:
    """Return for each risk class below which leaf index decisions may be released; None where no witness is needed."""
    if house.circle.most_needed == 0:
        return None
    for needed in {needed for needed in house.circle.quorum.values() if needed}:
        await _look_further(house, needed)
    return _sizes(house, without=MAX_SIZE)


def witnessed_sizes(house: House) -> Mapping[RiskClass, int]:
    """Return the same as last looked at, 0 for a class that needs no witness: nothing of it was ever witnessed."""
    return _sizes(house, without=0)


def _sizes(house: House, *, without: int) -> Mapping[RiskClass, int]:
    """Return the sizes known by risk class, `without` for a class that needs no witness."""
    needed = {risk_class: house.circle.needed(risk_class) for risk_class in RiskClass}
    return {
        risk_class: house.cosigned.sizes.get(least, 0) if least else without
        for risk_class, least in needed.items()
    }


async def _look_further(house: House, needed: int) -> None:
    above = house.cosigned.sizes.get(needed, 0)
    # Releasing asks, which goes ahead of whoever waits for it.
    for stored in await _load(house, house.store.ahead, above=above, least=needed, newest_first=True):
        if len(verified_lines(house, stored)) >= needed:
            house.cosigned.sizes[needed] = max(stored.size, house.cosigned.sizes.get(needed, 0))
            return


async def _load(
    house: House, where: Where, *, above: int, least: int, newest_first: bool
) -> tuple[CosignedCheckpoint, ...]:
    keys = [key.encode() for key in house.circle.keys]
    return await load_cosigned(where, keys, above=above, least=least, newest_first=newest_first)


def verified_lines(house: House, stored: CosignedCheckpoint) -> tuple[str, ...]:
    """Return those of a stored checkpoint's lines that count, one a witness."""
    found: dict[bytes, str] = {}
    for line in stored.lines:
        try:
            # Each by itself: one that is spoilt must not spoil the others.
            note = (stored.note + line).encode("utf-8")
            opened = open_checkpoint(note, (*house.verifiers, *house.circle.keys))
        except VerificationError:
            continue
        if (opened.checkpoint.size, opened.checkpoint.root) != (stored.size, stored.root):
            continue
        for signature in counted(
            opened,
            house.circle.keys,
            not_before=int(stored.sealed_at.timestamp()),
            now=int(house.clock.now().timestamp()),
        ):
            found.setdefault(signature.key.public_key, line)
    return tuple(found.values())


async def shown_newest(house: House, where: Where) -> StoredCheckpoint | None:
    """Return the newest checkpoint with the cosignatures it has so far; None when nothing was ever sealed."""
    newest = await load_newest_checkpoint(where)
    if newest is None or not house.circle.witnesses:
        return newest
    keys = [key.encode() for key in house.circle.keys]
    lines = await load_lines(where, newest.size, newest.root, keys)
    stored = CosignedCheckpoint(newest.size, newest.root, newest.note, newest.sealed_at, lines)
    return _shown(stored, verified_lines(house, stored))


async def shown_covering(house: House, where: Where, index: int) -> StoredCheckpoint | None:
    """Return the checkpoint over a leaf that proves most, None when nothing was ever sealed; the leaf must be.

    That is the first that as many witnesses cosigned as any risk class needs, else the newest that any did, else the
    newest. The first stays the first: a receipt stays the same.
    """
    if not house.circle.witnesses:
        return await load_newest_checkpoint(where)
    needed = max(1, house.circle.most_needed)
    for least, newest_first in ((needed, False), (needed, True), (1, True)):
        for stored in await _load(house, where, above=index, least=least, newest_first=newest_first):
            lines = verified_lines(house, stored)
            if len(lines) >= least:
                return _shown(stored, lines)
    return await shown_newest(house, where)


def _shown(stored: CosignedCheckpoint, lines: Sequence[str]) -> StoredCheckpoint:
    return StoredCheckpoint(stored.size, stored.root, stored.note + "".join(lines), stored.sealed_at)
