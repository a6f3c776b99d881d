"""Who waits for a replica with room, who is turned away, and who is woken: over real sockets, and on both event loops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from arbiter.model import MemberStatus, RiskClass
from arbiter.panels.vllm.moves import Moves
from arbiter.panels.vllm.places import LONGEST_HELD_SECONDS, NO_ROOM, Places
from arbiter.panels.vllm.replica import ServingReplica
from arbiter.panels.vllm.room import Place
from tests.fleet.files import a_fleet
from tests.panels.asking import RealClock
from tests.panels.fleets import MODEL, fleet_of, pool_of, put, puts, state_of, until
from tests.panels.model_servers import refusing_url
from tests.panels.wires import Main

VALID, DOWN = MemberStatus.VALID, MemberStatus.DOWN


async def test_no_more_requests_are_under_way_than_a_replica_may_have(url: str) -> None:
    async with fleet_of(url, "steady", "steady", concurrency=2, queue=50) as servers:
        asks = [asyncio.create_task(put(servers)) for _ in range(20)]
        most = 0
        while not all(ask.done() for ask in asks):
            most = max(most, *(replica.in_flight for replica in state_of(servers).replicas))
            await asyncio.sleep(0.002)
        assert {ask.result().opinion.status for ask in asks} == {VALID}
        assert most == 2
        assert state_of(servers).shed == 0


async def test_where_there_is_no_room_the_least_grave_are_turned_away_and_the_gravest_go_first(
    url: str,
) -> None:
    ended: list[RiskClass] = []

    async def one(risk: RiskClass) -> MemberStatus:
        returned = await put(servers, seconds=20.0, risk=risk)
        if returned.opinion.status is VALID:
            ended.append(risk)
        return returned.opinion.status

    def came() -> int:
        """How many wait or were turned away."""
        state = state_of(servers)
        return state.shed + sum(replica.waiting for replica in state.replicas)

    async with fleet_of(url, "steady", concurrency=1, queue=2) as servers:
        places = pool_of(servers).places
        place = places.take(MODEL, ())
        assert place is not None
        tasks = []
        for risk in (
            RiskClass.ROUTINE, RiskClass.ROUTINE, RiskClass.ROUTINE, RiskClass.URGENT, RiskClass.EMERGENCY,
            RiskClass.ROUTINE,
        ):  # fmt: skip
            tasks.append(asyncio.create_task(one(risk)))
            await until(lambda: came() == len(tasks))
        # Two may wait, and those are the two gravest.
        await until(lambda: state_of(servers).shed == 4)
        places.give_back(place)
        states = await asyncio.gather(*tasks)
        assert states == [DOWN, DOWN, DOWN, VALID, VALID, DOWN]
        assert ended == [RiskClass.EMERGENCY, RiskClass.URGENT]
        assert state_of(servers).shed == 4


async def test_who_could_not_be_answered_in_time_does_not_wait(url: str) -> None:
    async with fleet_of(url, "slow", concurrency=1, queue=10) as servers:
        places = pool_of(servers).places
        (replica,) = places.replicas
        await put(servers)
        known = replica.record(MODEL).usual
        assert known is not None
        assert known >= 0.5
        replica.record(MODEL).usual = 3.0
        place = places.take(MODEL, ())
        assert place is not None
        # Who waited would be out of time.
        assert (await put(servers, seconds=2.0)).opinion.status is DOWN
        assert state_of(servers).shed == 1
        waiting = asyncio.create_task(put(servers, seconds=20.0))
        await until(lambda: replica.waiting == 1)
        places.give_back(place)
        assert (await waiting).opinion.status is VALID


async def test_those_who_wait_are_told_at_once_when_nobody_can_be_asked_any_more(url: str) -> None:
    async with fleet_of(url, "status-500", concurrency=1, queue=50) as servers:
        started = time.monotonic()
        returned = await asyncio.gather(*(put(servers, seconds=20.0) for _ in range(30)))
        assert {item.opinion.status for item in returned} == {DOWN}
        assert time.monotonic() - started < 10.0
        assert sum(item.exchange is not None for item in returned) == 3


async def test_who_gives_up_waiting_takes_no_place(url: str) -> None:
    async with fleet_of(url, "steady", concurrency=1, queue=50) as servers:
        waiting = [asyncio.create_task(put(servers)) for _ in range(10)]
        await asyncio.sleep(0.07)
        for task in waiting[::2]:
            task.cancel()
        await asyncio.wait(waiting)
        assert {task.result().opinion.status for task in waiting if not task.cancelled()} == {VALID}
        assert [(one.in_flight, one.waiting) for one in state_of(servers).replicas] == [(0, 0)]


async def test_who_is_cancelled_just_when_a_place_is_given_gives_it_back() -> None:
    places = places_of(refusing_url())
    (replica,) = places.replicas
    place = places.take(MODEL, ())
    assert place is not None
    ends_at = time.perf_counter() + 5.0
    first, second = (
        asyncio.create_task(places.acquire(MODEL, frozenset, RiskClass.ROUTINE, ends_at)) for _ in range(2)
    )
    await asyncio.sleep(0.01)
    assert replica.waiting == 2
    places.give_back(place)
    first.cancel()
    # It is the other one's then.
    given = await second
    assert first.cancelled()
    assert isinstance(given, Place)
    assert (replica.in_flight, replica.waiting) == (1, 0)


# --- replicas that are held -------------------------------------------------------------------------------------------


def places_of(*urls: str) -> Places:
    """The places of a server of those replicas, one request at a time each."""
    server = a_fleet({"gpu-a": list(urls)}, concurrency=1).servers["gpu-a"]
    return Places(
        server, [ServingReplica(replica, None) for replica in server.replicas], RealClock(), Moves()
    )


def test_who_waits_for_a_replica_that_is_held_is_woken_when_its_time_is_over(
    on_loop: Callable[[Main], None],
) -> None:
    """A loop's timer may be a little early: then the replica is held still, and who waits must not be forgotten."""

    async def main() -> None:
        places = places_of(refusing_url())
        (replica,) = places.replicas
        for turn in range(200):
            busy_until = time.perf_counter() + 0.0003 * (turn % 10)
            while time.perf_counter() < busy_until:
                pass
            places.hold(replica, 0.005)
            ends_at = time.perf_counter() + 5.0
            place = await places.acquire(MODEL, frozenset, RiskClass.ROUTINE, ends_at)
            assert isinstance(place, Place)
            places.give_back(place)

    on_loop(main)


async def test_nobody_waits_for_a_replica_that_is_held_beyond_the_cases_time() -> None:
    places = places_of(refusing_url(), refusing_url())
    for replica in places.replicas:
        places.hold(replica, 3_600)
    # Who waited would have had no room in time.
    ends_at = time.perf_counter() + 5.0
    assert await places.acquire(MODEL, frozenset, RiskClass.EMERGENCY, ends_at) == NO_ROOM


async def test_what_one_reply_says_takes_a_replica_away_for_a_while_and_no_longer() -> None:
    places = places_of(refusing_url())
    (replica,) = places.replicas
    places.hold(replica, 3_600)
    assert replica.held_until <= time.perf_counter() + LONGEST_HELD_SECONDS


async def test_a_case_before_a_server_that_wants_to_be_left_for_an_hour_is_told_at_once(url: str) -> None:
    async with fleet_of(url, "busy-for-long") as servers:
        started = time.monotonic()
        assert [item.opinion.status for item in await puts(servers, 3, seconds=20.0)] == [DOWN] * 3
        assert time.monotonic() - started < 10.0
        assert state_of(servers).shed == 2
