"""Breakers that moved and the log: bounded, in order, nothing lost unsaid, and nothing lost while the database is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import OperationalError

from arbiter.documents.canonical import decode
from arbiter.fleet.state import Position
from arbiter.panels.vllm.moves import KEPT, Move, Moves
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_contents
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.wiring import run_house
from arbiter.workflow import fleet_notes
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.fleet_notes import (
    DOCUMENT,
    MOVES_AN_ENTRY,
    note_breakers,
    note_moves,
    note_the_rest,
)
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from tests.houses import a_house
from tests.system.service import until

START = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


def move(number: int) -> Move:
    """One that can be told from others by its model."""
    at = START + timedelta(seconds=number)
    return Move("gpu", "gpu-1", f"m-{number}", Position.CLOSED, Position.OPEN, "server-error", at)


def numbers(moves: tuple[Move, ...]) -> list[int]:
    return [int(one.model.removeprefix("m-")) for one in moves]


def test_past_the_limit_the_oldest_go_and_are_counted() -> None:
    moves = Moves()
    for number in range(KEPT + 10):
        moves.note(move(number))
    first, dropped = moves.first(3)
    assert (numbers(first), dropped, len(moves)) == ([10, 11, 12], 10, KEPT)


def test_what_is_dropped_while_an_entry_is_written_is_counted_in_the_next_and_none_twice() -> None:
    moves = Moves()
    for number in range(KEPT):
        moves.note(move(number))
    first, dropped = moves.first(64)
    assert dropped == 0
    for number in range(KEPT, KEPT + 100):
        moves.note(move(number))
    moves.told(first, dropped)
    # Of the hundred that went meanwhile, 64 stand in the entry: they are not lost.
    second, lost = moves.first(64)
    assert (numbers(second)[0], lost, len(moves)) == (100, 36, KEPT)
    moves.told(second, lost)
    assert moves.first(1)[1] == 0


async def test_nobody_is_woken_for_nothing() -> None:
    moves = Moves()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(moves.some(), 0.01)
    moves.note(move(0))
    await asyncio.wait_for(moves.some(), 1)
    moves.told(*moves.first(1))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(moves.some(), 0.01)


async def told(house: House) -> list[tuple[int, int]]:
    """How many moves each entry holds, and how many it says were dropped."""
    contents = [decode(content) for content in await load_house_contents(house.store, HOUSE_CHAIN, DOCUMENT)]
    return [(len(content["moves"]), content["dropped"]) for content in contents]


async def nothing_waits(house: House) -> bool:
    return len(house.fleet.moves) == 0


async def test_a_storm_of_moves_is_few_entries_and_says_what_it_left_out(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database) as house:
        for number in range(KEPT + 7):
            house.fleet.moves.note(move(number))
        await note_moves(house)
        await note_moves(house)
        assert await told(house) == [(MOVES_AN_ENTRY, 7), (MOVES_AN_ENTRY, 0)]
        while len(house.fleet.moves):
            await note_moves(house)
        before = await told(house)
        await note_moves(house)
        assert await told(house) == before
        content = decode((await load_house_contents(house.store, HOUSE_CHAIN, DOCUMENT))[0])
        assert content["moves"][0] == {
            "server": "gpu", "replica": "gpu-1", "model": "m-7", "from": "closed", "to": "open",
            "cause": "server-error", "at": "2026-11-26T03:00:07+00:00",
        }  # fmt: skip


async def test_while_the_database_is_away_moves_are_kept_and_entered_when_it_is_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    assert issubclass(OperationalError, DATABASE_ERRORS)

    async def away(*arguments: object, **named: object) -> int:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise OperationalError("the database is away")
        return await note_in_house(*arguments, **named)  # type: ignore[arg-type] # passed through as they came

    monkeypatch.setattr(fleet_notes, "note_in_house", away)
    monkeypatch.setattr(fleet_notes, "AGAIN_SECONDS", 0.01)
    async with a_house(tmp_path, database) as house:
        for number in range(5):
            house.fleet.moves.note(move(number))
        noting = asyncio.create_task(note_breakers(house))
        await until(lambda: nothing_waits(house))
        noting.cancel()
        assert tries == 4
        assert await told(house) == [(5, 0)]


async def test_what_moved_just_before_a_process_stops_is_entered_and_sealed(
    database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        async with run_house(house):
            for number in range(MOVES_AN_ENTRY + 3):
                house.fleet.moves.note(move(number))
        assert await told(house) == [(MOVES_AN_ENTRY, 0), (3, 0)]
        # The chain of the house is in the log that was sealed last.
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).chains == 1


async def test_a_database_that_is_away_keeps_no_process_from_stopping(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hanging(*_arguments: object, **_named: object) -> int:
        return await asyncio.sleep(3_600, 0)

    monkeypatch.setattr(fleet_notes, "note_in_house", hanging)
    monkeypatch.setattr(fleet_notes, "LAST_SECONDS", 0.05)
    async with a_house(tmp_path, database, running=False) as house:
        house.fleet.moves.note(move(1))
        async with asyncio.timeout(5):
            await note_the_rest(house)
        assert len(house.fleet.moves) == 1
    assert "in no entry: TimeoutError" in caplog.text
