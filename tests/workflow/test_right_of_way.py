"""Who goes next among the cases that are in: graver ones at once, routine ones a moment later, nobody never."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from arbiter.api.bodies import looks_routine
from arbiter.model import RiskClass
from arbiter.store.database import Database
from arbiter.workflow import closing, intake
from arbiter.workflow import right_of_way as rule
from arbiter.workflow.right_of_way import RightOfWay
from tests.houses import a_client, a_house, settle, submission


@asynccontextmanager
async def graver_cases_without_end(way: RightOfWay) -> AsyncIterator[None]:
    """One graver step after another, for as long as the block runs."""

    async def go() -> None:
        while True:
            way.take()
            await asyncio.sleep(rule.RECENT_SECONDS / 10)

    going = asyncio.create_task(go())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        going.cancel()


class Hands:
    """A clock that stands still until it is moved: no test here depends on how fast the machine is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(rule, "_now", lambda: self.now)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nobody_waits_while_no_graver_case_is_at_work() -> None:
    way = RightOfWay()
    giving = asyncio.create_task(way.give())
    await turns(2)
    assert giving.done()


async def test_a_routine_step_waits_for_a_graver_case_and_then_goes(hands: Hands) -> None:
    way = RightOfWay()
    way.take()
    giving = asyncio.create_task(way.give())
    await turns(20)
    assert not giving.done()
    hands.now += rule.RECENT_SECONDS
    await asyncio.wait_for(giving, 5)


async def test_a_graver_case_that_takes_another_step_is_waited_for_again(hands: Hands) -> None:
    way = RightOfWay()
    way.take()
    giving = asyncio.create_task(way.give())
    for _ in range(3):
        await asyncio.sleep(rule.RECENT_SECONDS)
        hands.now += rule.RECENT_SECONDS / 2
        way.take()
    assert not giving.done()
    hands.now += rule.RECENT_SECONDS
    await asyncio.wait_for(giving, 5)


async def test_however_many_graver_cases_come_a_routine_step_goes_in_the_end() -> None:
    way = RightOfWay()
    async with graver_cases_without_end(way):
        await asyncio.wait_for(asyncio.gather(*(way.give() for _ in range(50))), 5)


async def test_those_who_waited_go_one_after_another_and_stop_for_a_graver_case(hands: Hands) -> None:
    way = RightOfWay()
    way.take()
    gone: list[int] = []
    second = asyncio.Event()

    async def step(number: int) -> None:
        await way.give()
        gone.append(number)
        if number == 1:
            way.take()
            second.set()

    steps = [asyncio.create_task(step(number)) for number in range(4)]
    hands.now += rule.RECENT_SECONDS
    await asyncio.wait_for(second.wait(), 5)
    await turns(20)
    assert gone == [0, 1]
    hands.now += rule.RECENT_SECONDS
    await asyncio.wait_for(asyncio.gather(*steps), 5)
    assert gone == [0, 1, 2, 3]


async def test_who_gives_up_waiting_holds_nobody_up(hands: Hands) -> None:
    way = RightOfWay()
    way.take()
    waiting = [asyncio.create_task(way.give()) for _ in range(3)]
    await turns(3)
    waiting[0].cancel()
    waiting[1].cancel()
    hands.now += rule.RECENT_SECONDS
    await asyncio.wait_for(waiting[2], 5)


# --- in the house ------------------------------------------------------------------------------------------------


async def test_a_routine_case_is_decided_even_beside_graver_cases_without_end(
    tmp_path: Path, database: Database
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        async with graver_cases_without_end(house.admission.way):
            made = replace(submission(house.clock.now()), risk_class=RiskClass.ROUTINE)
            submitted = await intake.submit(house, principal, made, "key", b"body")
            assert house.admission.in_hand[RiskClass.ROUTINE] == 1
            await asyncio.wait_for(house.errands.settled(submitted.case), 10)
        await settle(house)
        assert house.admission.in_hand[RiskClass.ROUTINE] == 0


async def test_nobody_who_acts_on_a_routine_case_waits_for_graver_ones(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        made = replace(submission(house.clock.now(), pregnant=(True, None)), risk_class=RiskClass.ROUTINE)
        submitted = await intake.submit(house, principal, made, "key", b"body")
        monkeypatch.setattr(rule, "RECENT_SECONDS", 600.0)
        monkeypatch.setattr(rule, "PATIENCE_SECONDS", 600.0)
        house.admission.way.take()
        await asyncio.wait_for(closing.cancel(house, principal, submitted.case, "no longer needed"), 5)


async def free(way: RightOfWay) -> bool:
    giving = asyncio.create_task(way.give())
    await turns(2)
    done = giving.done()
    giving.cancel()
    return done


@pytest.mark.parametrize(
    ("body", "goes_first"),
    [
        (b'{"risk_class": "routine"}', False),
        (b'{"risk_class" :\n"routine"}', False),
        (b'{"risk_class": "emergency", "training": true}', False),
        (b'{"risk_class": "urgent"}', True),
        (b'{"risk_class": "emergency"}', True),
        (b"not even JSON", False),
    ],
)
async def test_a_graver_case_goes_first_from_the_door_on(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, body: bytes, goes_first: bool
) -> None:
    monkeypatch.setattr(rule, "RECENT_SECONDS", 60.0)
    async with a_house(tmp_path / "data", database) as house:
        await intake.glance(house, routine=looks_routine(body))
        assert await free(house.admission.way) is not goes_first


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("risk_class", list(RiskClass))
async def test_a_graver_case_goes_first_until_it_is_released_and_practice_never(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, risk_class: RiskClass, training: bool
) -> None:
    monkeypatch.setattr(rule, "RECENT_SECONDS", 60.0)
    async with a_house(tmp_path / "data", database) as house:
        principal, _ = await a_client(house)
        made = replace(submission(house.clock.now()), risk_class=risk_class, training=training)
        await intake.submit(house, principal, made, "key", b"body")
        # What was said at the door is forgotten: the later steps must say it again.
        house.admission.way._taken_at = -math.inf
        await settle(house)
        assert await free(house.admission.way) is (training or risk_class is RiskClass.ROUTINE)
