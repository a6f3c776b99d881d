"""The two halves of a rotation of the log's key in a real house, and what its newest checkpoint then carries."""

from __future__ import annotations

from pathlib import Path

from arbiter.audit.note import parse_note
from arbiter.audit.rotation import STATEMENT
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.rotating_log_key import begin_rotation, finish_rotation
from tests.houses import a_house

WHO = ActorId("operator:carla")


async def write_something(house: House) -> None:
    await note_in_house(house, house.store, "house.tried", WHO, {})
    await house.sealer.round()


async def newest_note(house: House) -> bytes:
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
    assert newest is not None
    return newest.note.encode()


async def statements(house: House) -> tuple[bytes, ...]:
    return await load_house_contents(house.store, HOUSE_CHAIN, STATEMENT)


def signers_of(note: bytes) -> int:
    return len(parse_note(note).signatures)


async def begin(folder: Path, database: Database) -> None:
    async with a_house(folder, database, running=False) as house:
        await write_something(house)
        await begin_rotation(house, WHO)


async def finish(folder: Path, database: Database) -> None:
    async with a_house(folder, database, running=False) as house:
        await write_something(house)
        await finish_rotation(house, WHO)
