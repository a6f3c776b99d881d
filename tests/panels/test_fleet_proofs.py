"""A model is asked only where it is proven at that moment: also by an ask that was under way when the proof was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from arbiter.fleet.checking import Expected, Proof
from arbiter.fleet.judging import Check, Line, State
from arbiter.fleet.proofs import NOT_SINCE
from arbiter.model import MemberStatus, RiskClass
from arbiter.panels.vllm.breaker import Fault
from arbiter.panels.vllm.pool import Servers
from arbiter.panels.vllm.room import Place
from tests.panels.fleets import MODEL, become, fleet_of, opened, pool_of, put, state_of
from tests.panels.model_servers import model

VALID, DOWN = MemberStatus.VALID, MemberStatus.DOWN
FIRST, SECOND = "gpu-a-1", "gpu-a-2"


def prove(servers: Servers, state: State = State.PROVEN) -> None:
    """Take in that every replica was checked just now, and how: is what it should be, unless said otherwise."""
    server = pool_of(servers).server
    line = Line(Check.ANSWER, state, "this", "this", "")
    proofs = [
        Proof(Expected("p", "m", model(MODEL), server), replica, (line,)) for replica in server.replicas
    ]
    servers.proofs.settle(proofs, time.monotonic())


@asynccontextmanager
async def proven_fleet(url: str, *acts: str, concurrency: int = 8) -> AsyncIterator[Servers]:
    async with fleet_of(url, *acts, concurrency=concurrency) as servers:
        servers.proofs.needed = True
        prove(servers)
        yield servers


def fail(servers: Servers, name: str) -> None:
    """Let a replica's breaker open, and close it again at once, as its probe would."""
    places = pool_of(servers).places
    replica = next(replica for replica in places.replicas if replica.name == name)
    for _ in range(3):
        places.failed(replica, MODEL, Fault.BROKEN)
    record = replica.record(MODEL)
    while time.perf_counter() < record.breaker.until:
        time.sleep(0.01)
    places.probing(replica, MODEL)
    places.probed(replica, MODEL, None)


async def test_what_failed_goes_on_to_no_replica_that_lost_its_proof_meanwhile(url: str) -> None:
    """The first breaks off after a twentieth of a second."""
    async with proven_fleet(url, "reset", "good") as servers:
        ended = []
        for _ in range(2):
            prove(servers)
            asking = asyncio.create_task(put(servers))
            await asyncio.sleep(0.02)
            servers.proofs.doubt("gpu-a", SECOND, MODEL)
            ended.append(await asking)
        # Each in turn is asked first.
        assert sorted(item.opinion.status for item in ended) == [DOWN, VALID]
        assert [item.reroutes for item in ended] == [(), ()]


async def test_who_waits_is_given_no_replica_that_lost_its_proof_meanwhile(url: str) -> None:
    async with proven_fleet(url, "good", "good", concurrency=1) as servers:
        places = pool_of(servers).places
        held = [places.take(MODEL, ()), places.take(MODEL, ())]
        asking = asyncio.create_task(put(servers))
        await asyncio.sleep(0.02)
        assert sum(replica.waiting for replica in state_of(servers).replicas) == 1
        fail(servers, FIRST)
        for place in sorted((place for place in held if place), key=lambda place: place.replica.name):
            assert isinstance(place, Place)
            places.give_back(place)
            await asyncio.sleep(0.02)
        returned = await asking
        assert (returned.opinion.status, opened(returned)["replica"]) == (VALID, SECOND)


def both_fail(servers: Servers) -> None:
    fail(servers, FIRST)
    fail(servers, SECOND)


@pytest.mark.parametrize(
    "lose", [both_fail, partial(prove, state=State.WRONG), partial(prove, state=State.SILENT)]
)
async def test_who_waits_is_told_at_once_that_no_replica_is_proven_any_more(
    url: str, lose: Callable[[Servers], None]
) -> None:
    async with proven_fleet(url, "good", "good", concurrency=1) as servers:
        places = pool_of(servers).places
        held = [places.take(MODEL, ()), places.take(MODEL, ())]
        started = time.monotonic()
        asking = asyncio.create_task(put(servers, seconds=20.0))
        await asyncio.sleep(0.02)
        lose(servers)
        assert (await asking).opinion.status is DOWN
        assert time.monotonic() - started < 10.0
        for place in held:
            assert place is not None
            places.give_back(place)


async def test_no_second_request_goes_to_a_replica_that_lost_its_proof_meanwhile(url: str) -> None:
    become(url, "unproven", "steady")
    async with proven_fleet(url, "slow", "unproven") as servers:
        pool = pool_of(servers)
        for replica in pool.replicas:
            record = replica.record(MODEL)
            record.usual = 0.05
            for _ in range(20):
                record.sketch.add(50_000)
        for _ in range(100):
            pool._allowance.called()
        asked_first = []
        for _ in range(2):
            prove(servers)
            asking = asyncio.create_task(put(servers))
            await asyncio.sleep(0.02)
            servers.proofs.doubt("gpu-a", SECOND, MODEL)
            returned = await asking
            assert returned.opinion.status is VALID
            asked_first.append(
                returned.reroutes[0].from_replica if returned.reroutes else opened(returned)["replica"]
            )
            assert SECOND not in {reroute.to_replica for reroute in returned.reroutes}
        assert FIRST in asked_first


@pytest.mark.parametrize("act", ["refused", "hang-up", "reset"])
async def test_a_replica_that_was_gone_once_is_asked_nothing_before_it_is_proven_anew(
    url: str, act: str
) -> None:
    """It may be another process that comes back, and one failure opens no breaker."""
    async with proven_fleet(url, act, "good") as servers:
        server, other = pool_of(servers).server, model("ward-2")
        line = Line(Check.ANSWER, State.PROVEN, "this", "this", "")
        expected = Expected("p", "m", other, server)
        servers.proofs.settle([Proof(expected, one, (line,)) for one in server.replicas], time.monotonic())
        for _ in range(2):
            assert (await put(servers)).opinion.status is VALID
        # Neither the model that was asked nor another one that the same process serves.
        for spec in (model(MODEL), other):
            assert servers.proofs.barred(server, spec) == {FIRST: NOT_SINCE}
        assert servers.proofs.wanted.is_set()


@pytest.mark.parametrize("act", ["status-500", "status-429", "wrong-schema", "status-404"])
async def test_a_replica_that_only_answers_badly_keeps_its_proof(url: str, act: str) -> None:
    async with proven_fleet(url, act, "good") as servers:
        for _ in range(2):
            await put(servers)
        assert servers.proofs.barred(pool_of(servers).server, model(MODEL)) == {}


async def test_who_waits_for_a_replica_that_is_gone_is_told_before_its_breaker_opens(url: str) -> None:
    async with proven_fleet(url, "good", concurrency=1) as servers:
        places = pool_of(servers).places
        (replica,) = places.replicas
        held = places.take(MODEL, ())
        assert held is not None
        started = time.monotonic()
        asking = asyncio.create_task(put(servers, seconds=20.0))
        await asyncio.sleep(0.02)
        places.failed(replica, MODEL, Fault.BROKEN)
        assert (await asking).opinion.status is DOWN
        assert time.monotonic() - started < 10.0
        places.give_back(held)


async def test_who_waits_is_given_a_replica_as_soon_as_it_is_proven_and_before_any_newcomer(url: str) -> None:
    async with proven_fleet(url, "good", "good", concurrency=1) as servers:
        places = pool_of(servers).places
        held = [places.take(MODEL, ()), places.take(MODEL, ())]
        fail(servers, SECOND)
        for place in held:
            assert place is not None
            if place.replica.name == SECOND:
                places.give_back(place)
        given: list[str] = []

        async def wait(name: str, risk: RiskClass) -> None:
            def shunned() -> dict[str, str]:
                return servers.proofs.barred(pool_of(servers).server, model(MODEL))

            place = await places.acquire(MODEL, shunned, risk, time.perf_counter() + 5.0)
            # The other is full throughout.
            assert isinstance(place, Place)
            assert place.replica.name == SECOND
            given.append(name)
            await asyncio.sleep(0.02)
            places.give_back(place)

        async with asyncio.TaskGroup() as group:
            group.create_task(wait("routine", RiskClass.ROUTINE))
            group.create_task(wait("emergency", RiskClass.EMERGENCY))
            await asyncio.sleep(0.02)
            assert sum(replica.waiting for replica in state_of(servers).replicas) == 2
            prove(servers)
            group.create_task(wait("newcomer", RiskClass.ROUTINE))
        assert given == ["emergency", "routine", "newcomer"]


async def test_who_waits_goes_on_waiting_where_a_check_leaves_one_replica(url: str) -> None:
    async with proven_fleet(url, "good", "good", concurrency=1) as servers:
        places, server = pool_of(servers).places, pool_of(servers).server
        held = [places.take(MODEL, ()), places.take(MODEL, ())]
        asking = asyncio.create_task(put(servers))
        await asyncio.sleep(0.02)
        line = Line(Check.WEIGHTS, State.WRONG, "this", "that", "")
        wrong = Proof(Expected("p", "m", model(MODEL), server), server.replicas[0], (line,))
        servers.proofs.settle([wrong], time.monotonic())
        for place in sorted((place for place in held if place), key=lambda place: place.replica.name):
            assert not asking.done()
            places.give_back(place)
            await asyncio.sleep(0.02)
        returned = await asking
        assert (returned.opinion.status, opened(returned)["replica"]) == (VALID, SECOND)


async def test_that_a_proof_is_lost_is_told_by_the_log_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with proven_fleet(url, "good", "good") as servers:
        places = pool_of(servers).places
        for _ in range(3):
            places.failed(places.replicas[0], MODEL, Fault.BROKEN)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"server gpu-a, replica {FIRST}: {MODEL} is withheld: not proven since it failed"]
