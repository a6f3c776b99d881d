"""Entries appended by the thousand are sealed like any others, in their chains' order, and never on their writer's word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from arbiter.audit.merkle import leaf_hash
from arbiter.errors import VerificationError
from arbiter.model import ActorId
from arbiter.store.database import Database, conninfo
from arbiter.store.log.appending import APPENDED_AT_MOST, NewEntry, append_entries, chain_number
from arbiter.store.log.chains import load_entries
from arbiter.store.log.sealing import count_pending
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log import sealing
from arbiter.workflow.log.chronicle import note_in_house
from benchmarks.audit.chains import CHAIN_LENGTH, OPEN_AT_A_TIME, Chain, new_chains
from tests.houses import a_house

A_BATCH = CHAIN_LENGTH * OPEN_AT_A_TIME
"""So many entries are whole chains."""


@pytest_asyncio.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path / "data", database, running=False) as opened:
        await opened.sealer.round()
        yield opened


def some(count: int = A_BATCH) -> list[NewEntry]:
    return list(islice(new_chains(), count))


async def append(house: House, entries: list[NewEntry]) -> None:
    async with house.store.copying() as connection:
        await append_entries(connection, entries)


async def note(house: House) -> None:
    await note_in_house(house, house.store, "round.made", ActorId("night"), {}, chain="ward-1")


async def pending(house: House) -> int:
    async with house.store.read() as transaction:
        return (await count_pending(transaction))[0]


async def indices(house: House, chain: str) -> list[int | None]:
    async with house.store.read() as transaction:
        entries = await load_entries(transaction, chain)
    assert [seq for seq, _, _ in entries] == list(range(len(entries)))
    return [index for _, _, index in entries]


async def size(house: House) -> int:
    return (await verify_log(house, None)).entries


async def test_what_is_appended_in_bulk_is_sealed_found_by_its_chain_and_verified(house: House) -> None:
    before, entries = await size(house), some()
    await append(house, entries)
    assert await pending(house) == A_BATCH
    assert await house.sealer.round() == A_BATCH
    assert await pending(house) == 0
    assert await size(house) == before + A_BATCH
    placed = {(entry.chain, entry.seq): before + place for place, entry in enumerate(entries)}
    for chain in {entry.chain for entry in entries[:5]}:
        assert await indices(house, chain) == [placed[chain, seq] for seq in range(CHAIN_LENGTH)]


async def test_bulks_and_single_entries_of_one_round_keep_every_chains_order(house: House) -> None:
    before, chains = await size(house), [Chain(f"c_{number}") for number in range(3)]
    for number in range(4):
        await note(house)
        await append(house, [chain.grow(number) for chain in chains for _ in range(number + 1)])
        await note(house)
    # Four bulks, and the single entries before, between and behind them.
    assert await house.sealer.round() == 8 + 3 * (1 + 2 + 3 + 4)
    runs = await house.store.run("SELECT start FROM sealed_run WHERE start >= %(size)s", {"size": before})
    assert len(runs) == 9
    for chain in (*(chain.name for chain in chains), "ward-1"):
        found = [index for index in await indices(house, chain) if index is not None]
        assert found == sorted(found)
    assert await size(house) == before + 38


async def test_a_round_takes_bulks_whole_and_leaves_what_is_over_its_limit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "ROUND_LIMIT", 500)
    entries = some(4 * A_BATCH)
    for start in range(0, len(entries), A_BATCH):
        await append(house, entries[start : start + A_BATCH])
    before = await size(house)
    assert await house.sealer.round() == 4 * A_BATCH
    checkpoints = await house.store.run(
        "SELECT size FROM checkpoint WHERE size > %(size)s ORDER BY size", {"size": before}
    )
    assert [found for (found,) in checkpoints] == [before + 2 * A_BATCH, before + 4 * A_BATCH]
    assert await size(house) == before + 4 * A_BATCH


async def test_ids_that_others_draw_in_between_part_no_bulk(house: House) -> None:
    entries = some()
    async with house.store.copying() as one, house.store.copying() as other:
        # The sequence gives each of two that draw at once some numbers, and a row may be in several pieces.
        await append_entries(one, entries[: A_BATCH // 2])
        await append_entries(other, [Chain("c_between").grow(1)])
        await append_entries(one, entries[A_BATCH // 2 :])
    assert await house.sealer.round() == A_BATCH + 1
    await size(house)


@pytest.mark.parametrize(
    ("at", "told"),
    [(0, "stored hash of leaf"), (A_BATCH // 2, "stored hash of leaf"), (A_BATCH - 1, "stored hash of leaf")],
)
async def test_a_writers_wrong_hash_is_never_signed(house: House, at: int, told: str) -> None:
    before, entries = await size(house), some()
    entries[at] = replace(entries[at], hash=leaf_hash(b"another entry"))
    await append(house, entries)
    with pytest.raises(VerificationError, match=f"{told} {before + at} is not that of its entry"):
        await house.sealer.round()
    assert await size(house) == before
    assert await pending(house) == A_BATCH


@pytest.mark.parametrize("hashes", ["hashes || sha256('one more')", "substr(hashes, 33)"])
async def test_a_bulk_with_a_hash_too_many_or_too_few_is_never_signed(
    house: House, database: Database, hashes: str
) -> None:
    before = await size(house)
    await append(house, some())
    assert database.owner_url is not None
    with psycopg.connect(conninfo(database.owner_url)) as owner:
        owner.execute(f"UPDATE pending SET hashes = {hashes}".encode())
    with pytest.raises(VerificationError, match=f"leaf ({before}|{before + A_BATCH}) is"):
        await house.sealer.round()
    assert await size(house) == before


async def test_a_bulk_whose_entry_was_changed_before_it_was_sealed_is_never_signed(
    house: House, database: Database
) -> None:
    before, entries = await size(house), some()
    await append(house, entries)
    assert database.owner_url is not None
    with psycopg.connect(conninfo(database.owner_url)) as owner:
        owner.execute("ALTER TABLE entry DISABLE TRIGGER append_only")
        owner.execute("UPDATE entry SET body = body || ' ' WHERE id = (SELECT max(id) FROM entry)")
        owner.execute("ALTER TABLE entry ENABLE ALWAYS TRIGGER append_only")
    with pytest.raises(VerificationError, match="is not that of its entry"):
        await house.sealer.round()
    assert await size(house) == before


async def test_a_bulk_that_is_rolled_back_leaves_nothing(house: House) -> None:
    before = await size(house)
    with suppress(KeyError):
        async with house.store.copying() as connection:
            await append_entries(connection, some())
            raise KeyError
    assert (await pending(house), await house.sealer.round(), await size(house)) == (0, 0, before)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [replace(some(1)[0], hash=b"short")],
        [replace(some(1)[0], chain="a\\b")],
        [replace(some(1)[0], chain="ä")],
        some(1) * (APPENDED_AT_MOST + 1),
    ],
)
async def test_what_no_bulk_may_be_is_refused_before_anything_is_written(
    house: House, entries: list[NewEntry]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        await append(house, entries)
    assert await pending(house) == 0


async def test_a_chains_number_is_the_servers(house: House) -> None:
    for name in ("c_0123456789", "house", "s_~ !\"'%"):
        rows = await house.store.run("SELECT arbiter_chain(%(name)s::text)", {"name": name})
        assert rows[0][0] == chain_number(name)


async def test_the_application_draws_numbers_and_sets_none_back(house: House) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await house.store.run("SELECT setval('entry_id_seq', 1)", {})


async def test_a_row_of_pending_is_one_entry_or_a_whole_bulk(house: House) -> None:
    for ids, hashes in (("NULL", "sha256('')"), ("'{[5,6)}'", "NULL"), ("'{[4,6)}'", "sha256('')")):
        with pytest.raises(psycopg.errors.CheckViolation):
            await house.store.run(
                f"INSERT INTO pending (entry_id, ids, hashes) VALUES (5, {ids}, {hashes}) RETURNING 1", {}
            )
