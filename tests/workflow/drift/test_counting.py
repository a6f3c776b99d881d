"""Each case counts once, whoever reads and whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from arbiter.errors import ConfigurationError, UnavailableError
from arbiter.store.drifts import end_drift, hold_drift, load_alarms, load_windows, move_cursor
from arbiter.workflow import standing_work
from arbiter.workflow.drift import adding, taking
from arbiter.workflow.drift.taking import catch_up, take_batch, watch_drift
from arbiter.workflow.house import House
from tests.patience import PATIENCE_SECONDS
from tests.workflow.drift.wards import (
    CALM,
    Logs,
    cases_in,
    counts_in,
    entered,
    read_so_far,
    seeded,
)


async def summed_up(house: House) -> dict[str, Any]:
    """All that must be the same, however the way there was: neither theta nor the hour is."""
    windows = await load_windows(house.store, 1000)
    return {
        "counts": await counts_in(house),
        "cases": await cases_in(house),
        "alphas": [(row.asks, row.number, row.cases, row.alpha) for row in windows],
        "leaves": await read_so_far(house),
    }


# --- whatever dies ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What a process that dies does not catch."""


@pytest.mark.parametrize(
    "then", ["move_cursor", "keep_state", "add_window", "add_drift_step", "note_in_house"]
)
async def test_a_process_that_dies_midway_neither_loses_nor_counts_twice(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(taking, "LEAVES", 150)
    async with logs.house(logs.moved, tmp_path / "whole") as house:
        await catch_up(house)
        expected = await summed_up(house)
    where: Any = taking if then == "move_cursor" else adding
    real: Callable[..., Awaitable[Any]] = getattr(where, then)
    deaths = 0

    async def last_act(*given: Any, **named: Any) -> Any:
        await real(*given, **named)
        raise Killed

    async with logs.house(logs.moved, tmp_path / "killed") as house:
        await hold_drift(house.store, "whoever lives", 600)
        more = True
        while more:
            since, before = await read_so_far(house), await summed_up(house)
            try:
                with monkeypatch.context() as dying:
                    dying.setattr(where, then, last_act)
                    more = await take_batch(house, since)
            except Killed:
                deaths += 1
                assert await summed_up(house) == before
                more = await take_batch(house, since)
        assert deaths > 0
        assert await summed_up(house) == expected
        assert len(await entered(house)) == len(await load_alarms(house.store, standing=False)) == 1


async def test_a_database_that_goes_away_leaves_the_cursor_where_it_was(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise UnavailableError("the database does not answer")

    async with logs.house(logs.calm, tmp_path) as house:
        with monkeypatch.context() as patched:
            patched.setattr(taking, "count_case", away)
            with pytest.raises(UnavailableError):
                await catch_up(house)
        assert (await read_so_far(house), await cases_in(house)) == (0, 0)
        await catch_up(house)
        assert await cases_in(house) == CALM


# --- whoever reads ------------------------------------------------------------------------------------------------


async def test_two_processes_count_what_one_would(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "LEAVES", 100)
    async with logs.house(logs.moved, tmp_path / "one") as house:
        await catch_up(house)
        expected = await summed_up(house)
    async with logs.house(logs.moved, tmp_path / "two") as house:
        other = seeded(house, 7)
        for _ in range(40):
            since = await read_so_far(house)
            if since == 0:
                assert await hold_drift(house.store, "one of them", 600) == 0
            # Both have read the same leaves, as where a lease has run out under a slow one.
            done = await asyncio.gather(take_batch(house, since), take_batch(other, since))
            assert done.count(True) <= 1
            if not any(done):
                break
        await end_drift(house.store, "one of them")
        assert await summed_up(house) == expected
        assert len(await entered(house)) == 1


async def test_another_processs_turn_is_left_to_it(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.calm, tmp_path) as house:
        assert await hold_drift(house.store, "another", 600) == 0
        await catch_up(house)
        assert await cases_in(house) == 0
        assert await hold_drift(house.store, "another", 0) == 0
        await catch_up(house)
        assert await cases_in(house) == CALM
        assert await hold_drift(house.store, "a third", 600) is not None, "a turn that is over was given back"


async def test_a_cursor_moves_only_from_where_it_was_read(logs: Logs, tmp_path: Path) -> None:
    async with logs.house(logs.calm, tmp_path) as house:
        assert not await move_cursor(house.store, 0, 5), "there is none yet"
        await hold_drift(house.store, "one", 60)
        assert await move_cursor(house.store, 0, 5)
        for since in (0, 4, 6):
            assert not await move_cursor(house.store, since, 9)
        assert await read_so_far(house) == 5


async def test_it_is_done_by_itself_and_every_minute(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(standing_work, "LOOK_SECONDS", 0.01)
    looks = iter([UnavailableError("away"), ConfigurationError("kek-7 is not among the keys")])

    async def at_first_not(house: House) -> None:
        for error in looks:
            raise error
        await catch_up(house)

    monkeypatch.setattr(taking, "catch_up", at_first_not)
    async with logs.house(logs.calm, tmp_path) as house:
        watching = asyncio.create_task(watch_drift(house))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await cases_in(house) < CALM:  # noqa: ASYNC110 - what is waited for is standing work
                await asyncio.sleep(0.05)
        while not watching.done():
            # Again and again, as the house does: a library under it may lose a cancellation.
            watching.cancel()
            await asyncio.wait({watching}, timeout=1)
    assert [record.args for record in caplog.records if "tried again" in record.msg] == [
        ("watching for drift", "UnavailableError"),
        ("watching for drift", "ConfigurationError"),
    ]
