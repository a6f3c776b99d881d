"""Witnesses that are down or slow, processes that take turns to ask them, and one that forgot whom to ask."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from arbiter.errors import ConfigurationError
from arbiter.lifecycle.states import Phase
from arbiter.store.database import Database
from arbiter.store.house_chain import load_house_documents
from arbiter.store.witnessing import LEASE_SECONDS, load_standings
from arbiter.telemetry.metrics import WITNESS_BEHIND, WITNESS_SIZE
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.gauges import gauges
from arbiter.workflow.log.circle_in_force import CHAIN
from tests.cosigning import liars
from tests.cosigning.liars import a_liar
from tests.houses import ShiftableClock, a_client, a_house, settle
from tests.workflow.circles import (
    NOWHERE,
    PATIENCE_SECONDS,
    Someone,
    a_witnessed_house,
    eventually,
    liar,
)
from tests.workflow.post import a_case


async def test_a_witness_that_is_down_costs_nothing_once_it_is_known(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    clock = ShiftableClock()
    async with a_witnessed_house(tmp_path, database, [*two, NOWHERE], {"urgent": 2}, clock) as house:
        client, _ = await a_client(house)
        for number in range(5):
            case = await a_case(house, client, f"key-{number}")
            await eventually(house, client, case, Phase.RELEASED)
        standings = await load_standings(house.store, [NOWHERE.key.encode()])
        assert standings[0].fault == "ConnectError"
        assert standings[0].size is None
        read = {(figure.metric, *figure.said.values()): figure.value for figure in await gauges(house)}
        assert (read[WITNESS_BEHIND, "witness-1"], read[WITNESS_SIZE, "nowhere"]) == (0, 0)
        assert read[WITNESS_SIZE, "witness-1"] > 0
        clock.advance(timedelta(seconds=30))
        await settle(house)
        read = {(figure.metric, *figure.said.values()): figure.value for figure in await gauges(house)}
        assert read[WITNESS_BEHIND, "nowhere"] >= 30


async def test_slow_witnesses_meet_on_one_checkpoint(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    """Two that are slow in different ways still cosign the same checkpoint while the log grows under them."""

    def slow(asked: liars.Asked) -> bytes:
        time.sleep(0.7)
        return liars.cosigns(asked)

    with a_liar(slow) as snail:
        async with a_witnessed_house(tmp_path, database, [two[0], liar(snail.url)], {"urgent": 2}) as house:
            client, _ = await a_client(house)
            cases = []
            for number in range(12):
                cases.append(await a_case(house, client, f"key-{number}"))
                await asyncio.sleep(0.15)
            for case in cases:
                await eventually(house, client, case, Phase.RELEASED)
        assert snail.most_in_flight == 1


async def test_two_processes_take_turns_and_another_goes_on_when_one_stops(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as first:
        client, _ = await a_client(first)
        async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}) as second:
            for number in range(6):
                house = (first, second)[number % 2]
                case = await a_case(house, client, f"key-{number}")
                await eventually(house, client, case, Phase.RELEASED)
        case = await a_case(first, client, "afterwards")
        await eventually(first, client, case, Phase.RELEASED, LEASE_SECONDS + PATIENCE_SECONDS)
        await verify_log(first, (tmp_path / "checkpoint").read_bytes())


async def test_who_is_asked_is_in_the_log_and_a_process_that_forgot_the_witnesses_does_not_start(
    database: Database, tmp_path: Path, two: tuple[Someone, ...]
) -> None:
    async def named() -> list[dict[str, dict[str, object]]]:
        async with a_house(tmp_path, database, running=False) as house:
            return [json.loads(d.content) for d in await load_house_documents(house.store, CHAIN)]

    async with a_house(tmp_path, database):
        pass
    assert await named() == []
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}):
        pass
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 2}):
        pass
    for running in (True, False):
        with pytest.raises(ConfigurationError, match="ARBITER_WITNESSES is not set here"):
            async with a_house(tmp_path, database, running=running):
                pass
    # A lower quorum is a change that the log tells of; with none at all they may be left out.
    async with a_witnessed_house(tmp_path, database, two, {"urgent": 1}):
        pass
    async with a_witnessed_house(tmp_path, database, two, {}):
        pass
    async with a_house(tmp_path, database):
        pass
    told = await named()
    assert [entry["quorum"].get("urgent") for entry in told] == [2, 1, 0, None]
    assert told[0]["witnesses"] == {one.name: one.key.encode() for one in two}
    assert told[-1]["witnesses"] == {}
