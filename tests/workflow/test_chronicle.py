"""The house's own entries: one chain, sealed and verified with the rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from arbiter.audit.entry import Entry, commit, verify_chain
from arbiter.errors import StaleStateError
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, append_house_entry, load_house_documents
from arbiter.store.log.chains import load_entries
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.log.chronicle import note_in_house
from tests.houses import a_house

WHO = ActorId("operator:anna")


async def test_what_concerns_the_house_is_a_chain_of_the_log(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        for number in range(3):
            seq = await note_in_house(house, house.store, "house.tried", WHO, {"what": b"%d" % number})
            assert seq == number
        await house.sealer.round()
        async with house.store.read() as transaction:
            entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, HOUSE_CHAIN)]
            documents = await load_house_documents(transaction, HOUSE_CHAIN)
        assert verify_chain(entries).length == 3
        assert [document.content for document in documents] == [b"0", b"1", b"2"]
        for entry, document in zip(entries, documents, strict=True):
            assert entry.commits == ((document.name, commit(document.name, document.salt, document.content)),)
        assert (await verify_log(house, None)).entries == 3


async def test_two_who_write_at_once_leave_one_chain(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        writing = [note_in_house(house, house.store, "house.tried", WHO, {}) for _ in range(4)]
        assert sorted(await asyncio.gather(*writing)) == [0, 1, 2, 3]


async def test_who_writes_in_a_transaction_waits_for_who_was_first_and_follows(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:

        async def write() -> int:
            async with house.store.begin() as transaction:
                return await note_in_house(house, transaction, "house.tried", WHO, {})

        async with house.store.begin() as first:
            assert await note_in_house(house, first, "house.tried", WHO, {}) == 0
            second = asyncio.create_task(write())
            done, _ = await asyncio.wait({second}, timeout=0.5)
            assert not done
        assert await second == 1


async def test_an_entry_that_comes_second_leaves_nothing(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path / "data", database, running=False) as house:
        await note_in_house(house, house.store, "house.tried", WHO, {"what": b"first"})
        with pytest.raises(StaleStateError):
            await append_house_entry(house.store, HOUSE_CHAIN, 0, bytes(32), b"{}", [])
        assert await house.sealer.round() == 1
