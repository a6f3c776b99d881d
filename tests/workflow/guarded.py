"""Logs that grow, are forked and are refused, for the tests of what guards a log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError, LogUnfitError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.guard import Refusal
from tests.databases import Copies
from tests.houses import a_house

THREE_ROADS = ("restore a newer copy", "find the other database", "arbiter audit recover")


async def grow(house: House, entries: int = 1, rounds: int = 1) -> int:
    """Seal entries of the house's own, a checkpoint a round; return the log's size."""
    for _ in range(rounds):
        for _ in range(entries):
            await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"})
        await house.sealer.round()
    return await sealed(house)


async def sealed(house: House) -> int:
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    return 0 if newest is None else newest.size


async def refused(house: House) -> str:
    """Have the house seal one more entry, which it must refuse; return why."""
    await note_in_house(house, house.store, "test.noted", ActorId("test"), {"n": b"x"})
    with pytest.raises(LogUnfitError) as error:
        await house.sealer.round()
    return str(error.value)


async def until_refused(house: House) -> Refusal:
    async with asyncio.timeout(20):
        while (refusal := house.guard.refusal) is None:  # noqa: ASYNC110 - what the house itself does is waited for
            await asyncio.sleep(0.02)
    return refusal


async def not_opened(folder: Path, database: Database) -> str:
    with pytest.raises(ConfigurationError) as error:
        async with a_house(folder, database, running=False):
            pass
    return str(error.value)


def evidence_in(folder: Path) -> list[Path]:
    return sorted((folder / "evidence").glob("*"))


async def fork(
    database: Database, copies: Copies, here: Path, there: Path, ours: int, theirs: int
) -> Database:
    """Seal some entries, copy the database, and seal on in both under one key; return the copy."""
    async with a_house(here, database, running=False) as house:
        await grow(house, 5)
    clone = copies.of(copies.take())
    for name in ("keys/log.key", "keys/kek-1.key", "keys/index.key", "checkpoint"):
        (there / name).parent.mkdir(mode=0o700, exist_ok=True, parents=True)
        (there / name).write_bytes((here / name).read_bytes())
        (there / name).chmod(0o600)
    async with a_house(here, database, running=False) as house:
        await grow(house, 1, ours)
    async with a_house(there, clone, running=False) as house:
        await grow(house, 1, theirs)
    return clone
