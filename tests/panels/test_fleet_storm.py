"""Thousands of asks before replicas that end every way, some given up half-way: no place is lost, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from arbiter.fleet.state import CALLS_A_HEDGE, Position
from arbiter.model import RiskClass
from arbiter.panels.vllm.asking import Asking, Told
from arbiter.panels.vllm.exchange import Ending
from arbiter.panels.vllm.hedging import Allowance
from arbiter.panels.vllm.moves import Moves
from arbiter.panels.vllm.places import NO_ROOM, Places
from arbiter.panels.vllm.replica import ServingReplica
from arbiter.panels.vllm.tries import Request
from arbiter.panels.vllm.wire import Talk
from tests.fleet.files import a_fleet
from tests.panels.asking import RealClock
from tests.panels.model_servers import refusing_url
from tests.panels.wires import Main

CONCURRENCY = 4
QUEUE = 6
SECONDS = 0.4
MODELS = ("a", "b")


class Stormy:
    """A wire on which nothing is sent, and every exchange ends by chance, or never."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.under_way: set[Talk] = set()
        self.most = 0

    def begin(self, method: str, _path: str, _content: bytes, limit: int, _id: str | None = None) -> Talk:
        talk = Talk(limit)
        if method == "GET":
            talk.end(Ending.NOT_CONNECTED)
            return talk
        self.under_way.add(talk)
        # What has ended is taken out a turn of the loop later.
        self.most = max(self.most, sum(not talk.done.done() for talk in self.under_way))
        talk.done.add_done_callback(lambda _: self.under_way.discard(talk))
        ending = self._chance.choices(
            (Ending.COMPLETE, Ending.BROKEN, Ending.NOT_CONNECTED, Ending.TOO_LARGE, None), (80, 6, 4, 2, 8)
        )[0]
        if ending is not None:
            wait = self._chance.expovariate(1 / 0.01)
            asyncio.get_running_loop().call_later(wait, self._end, talk, ending)
        return talk

    def _end(self, talk: Talk, ending: Ending) -> None:
        if ending is Ending.COMPLETE and talk.ending is None:
            talk.status = self._chance.choices((200, 429, 500, 404, 400), (84, 6, 4, 3, 3))[0]
            talk.retry_after = self._chance.choice((None, None, 0)) if talk.status == 429 else None
        talk.end(ending)

    async def close(self) -> None:
        assert not self.under_way


def stormy_places(chance: random.Random) -> Places:
    server = a_fleet(
        {"gpu-a": [refusing_url() for _ in range(3)]}, concurrency=CONCURRENCY, queue=QUEUE
    ).servers["gpu-a"]
    replicas = [ServingReplica(replica, None) for replica in server.replicas]
    for replica in replicas:
        stormy: Any = Stormy(chance)
        replica.wire = stormy
    return Places(server, replicas, RealClock(), Moves())


async def storm(seed: int) -> None:
    chance = random.Random(seed)
    places, allowance = stormy_places(chance), Allowance()
    barred: set[str] = set()

    async def one() -> Told:
        request = Request(
            chance.choice(MODELS),
            b"{}",
            1_000,
            chance.choice(list(RiskClass)),
            "r",
            lambda: frozenset(barred),
        )
        return await Asking(places, allowance, request, time.perf_counter() + SECONDS).run()

    async def weather() -> None:
        """Proofs come and go, and probes bring replicas back."""
        while True:
            barred.symmetric_difference_update({chance.choice(places.replicas).name})
            for replica, model in places.due():
                places.probing(replica, model)
                places.probed(replica, model, None)
            await asyncio.sleep(0.02)

    changing = asyncio.create_task(weather())
    asks: list[asyncio.Task[Told]] = []
    for _ in range(1_500):
        asks.append(asyncio.create_task(one()))
        if chance.random() < 0.2:
            asyncio.get_running_loop().call_later(chance.random() * 0.05, chance.choice(asks).cancel)
        await asyncio.sleep(chance.expovariate(1 / 0.0007))
    _, late = await asyncio.wait(asks, timeout=SECONDS + 5.0)
    changing.cancel()
    await asyncio.wait({changing})
    assert not late
    assert_nothing_is_left(places)
    assert CALLS_A_HEDGE * allowance.hedges <= allowance.calls
    told = [ask.result() for ask in asks if not ask.cancelled()]
    # All that can come of an ask came.
    assert {one.refused is None for one in told} == {True, False}
    assert NO_ROOM in {one.refused for one in told}
    assert any(one.reroutes for one in told)
    assert any(ask.cancelled() for ask in asks)
    for replica in places.replicas:
        await replica.close()


def assert_nothing_is_left(places: Places) -> None:
    for replica in places.replicas:
        stormy: Any = replica.wire
        assert (replica.in_flight, replica.waiting, len(stormy.under_way)) == (0, 0, 0)
        assert 1 <= stormy.most <= CONCURRENCY
        assert {replica.record(model).breaker.position for model in MODELS} <= {
            Position.CLOSED,
            Position.OPEN,
        }
    assert len(places._room) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_storm_no_place_is_taken_and_nobody_waits(on_loop: Callable[[Main], None], seed: int) -> None:
    on_loop(lambda: storm(seed))
