"""When seats are asked by themselves: each night once, by one process, at the hospital's time."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from arbiter.store.canaries import hold_canary
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.transaction import Where
from arbiter.workflow import standing_work
from arbiter.workflow.canaries import CanaryStanding
from arbiter.workflow.canary import nights
from arbiter.workflow.canary.nights import NIGHT_LASTS, night_due, tonight
from arbiter.workflow.house import House
from tests.houses import a_house, types_of
from tests.patience import PATIENCE_SECONDS
from tests.workflow.canary.wards import (
    MIDNIGHT,
    Ward,
    turn_one_case,
)
from tests.workflow.modelled import settings_with


async def test_a_night_is_asked_once_whoever_looks_and_how_often(ward: Ward) -> None:
    await ward.run()
    await tonight(ward.house)
    assert (await types_of(ward.house, HOUSE_CHAIN)) == ["canary.run"], "three o'clock has not come"
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    await asyncio.gather(tonight(ward.house), tonight(ward.house))
    await tonight(ward.house)
    entries = await types_of(ward.house, HOUSE_CHAIN)
    assert entries.count("canary.run") == 1 + len(ward.house.shelf.current)
    assert (await ward.latest())["one"].standing is CanaryStanding.STEADY
    ward.clock.advance(timedelta(days=1))
    await tonight(ward.house)
    assert (await types_of(ward.house, HOUSE_CHAIN)).count("canary.run") == 1 + 2 * len(
        ward.house.shelf.current
    )


async def test_a_night_of_another_process_is_left_to_it(ward: Ward) -> None:
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    assert await hold_canary(ward.house.store, "another", 600)
    await tonight(ward.house)
    assert ward.moods.asked == []
    assert await hold_canary(ward.house.store, "another", 0)
    await tonight(ward.house)
    assert ward.moods.asked != []


async def test_a_turn_lasts_longer_than_any_one_asking_may(
    ward: Ward, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes would take the night from each other for ever, and neither would end it."""
    protocol = tmp_path / "protocols" / "moody" / "protocol.yaml"
    protocol.write_text(re.sub(r"panel: PT\S+", "panel: PT2H", protocol.read_text("utf-8")), "utf-8")
    held: list[int] = []

    async def hold(where: Where, holder: str, seconds: int) -> bool:
        held.append(seconds)
        return await hold_canary(where, holder, seconds)

    monkeypatch.setattr(nights, "hold_canary", hold)
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as slow:
        await tonight(slow)
    assert held
    assert min(held) > 7_200


async def test_what_others_find_is_heard_of_while_a_night_is_asked(
    ward: Ward, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_work, "LOOK_SECONDS", 0.05)
    await ward.run()
    turn_one_case(ward, "m1", "urgent-review")
    asking, asked = asyncio.Event(), asyncio.Event()

    async def endless(_: House) -> None:
        asking.set()
        await asked.wait()

    monkeypatch.setattr(nights, "tonight", endless)
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, settings=settings) as serving:
        await asyncio.wait_for(asking.wait(), PATIENCE_SECONDS)
        await ward.run()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not serving.moved.seats:  # noqa: ASYNC110 - what is waited for is standing work
                await asyncio.sleep(0.05)
        asked.set()


async def test_a_process_that_lost_its_turn_keeps_nothing(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    monkeypatch.setattr(nights, "LEASE_SECONDS", 0)
    turns = iter([True, True, False])
    monkeypatch.setattr(nights, "hold_canary", lambda *_: asyncio.sleep(0, next(turns)))
    await tonight(ward.house)
    assert await types_of(ward.house, HOUSE_CHAIN) == []


async def test_it_can_be_switched_off(ward: Ward, database: Database, tmp_path: Path) -> None:
    ward.clock.set(MIDNIGHT + timedelta(hours=3))
    settings = settings_with(tmp_path, ward.moods.url).model_copy(update={"canary_at": "off"})
    async with a_house(tmp_path, database, ward.clock, settings=settings, running=False) as house:
        await tonight(house)
    assert ward.moods.asked == []


THREE = time(3)


@pytest.mark.parametrize(
    ("at", "night"),
    [
        ("2026-03-01T02:59:59", None),
        ("2026-03-01T03:00:00", date(2026, 3, 1)),
        ("2026-03-01T06:59:59", date(2026, 3, 1)),
        ("2026-03-01T07:00:00", None),
        ("2026-03-01T23:00:00", None),
    ],
)
def test_a_night_begins_at_its_time_and_lasts_some_hours(at: str, night: date | None) -> None:
    assert timedelta(hours=4) == NIGHT_LASTS
    assert night_due(datetime.fromisoformat(at).replace(tzinfo=UTC), THREE, ZoneInfo("UTC")) == night


def test_a_night_over_midnight_is_that_of_the_day_on_which_it_begins() -> None:
    now = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    assert night_due(now, time(23), ZoneInfo("UTC")) == date(2026, 3, 1)


def test_the_time_is_the_hospitals() -> None:
    now = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
    assert night_due(now, THREE, ZoneInfo("UTC")) is None
    assert night_due(now, THREE, ZoneInfo("Europe/London")) == date(2026, 7, 1)
