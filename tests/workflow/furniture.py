"""A furnished house to export from, and the entries of its chains and of what was exported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from arbiter.audit.entry import Entry
from arbiter.audit.export.layout import ExportedEntry
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow.house import House
from tests.exports import Exported, Furnished, furnish
from tests.houses import a_house


@dataclass(frozen=True)
class Furniture:
    """A house without workers, and the cases in it."""

    house: House
    cases: Furnished


@asynccontextmanager
async def furniture(folder: Path, database: Database) -> AsyncIterator[Furniture]:
    async with a_house(folder, database, running=False) as house:
        yield Furniture(house, await furnish(house))


async def chain(house: House, name: str) -> list[Entry]:
    """Seal what waits, and return a chain's entries as they are stored."""
    await house.sealer.round()
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, name)]


def entries_of(made: Exported) -> list[Entry]:
    lines = made.members()["entries.jsonl"].splitlines()
    return [Entry.from_bytes(ExportedEntry.parse(line).body) for line in lines]
