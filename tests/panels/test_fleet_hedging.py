"""Second requests to another replica: when they are sent, who is waited for, and what pays for them."""

from __future__ import annotations

import time

import pytest

from arbiter.fleet.state import Position
from arbiter.model import MemberStatus, RerouteCause
from arbiter.panels.member import Reroute
from arbiter.panels.vllm.pace import Pace
from arbiter.panels.vllm.pool import Servers
from tests.panels.fleets import (
    MODEL,
    fleet_of,
    opened,
    pool_of,
    position_of,
    put,
    puts,
    replica_of,
    state_of,
)

VALID, DOWN, TIMED_OUT = MemberStatus.VALID, MemberStatus.DOWN, MemberStatus.TIMED_OUT


def learn(servers: Servers, p95_us: int, replies: int = 20) -> None:
    """Let that many replies of each replica be known, all alike, so that each is asked in turn."""
    for replica in pool_of(servers).replicas:
        replica.pace = Pace()
        record = replica.record(MODEL)
        record.usual = 0.05
        for _ in range(replies):
            record.sketch.add(p95_us)


def save_up(servers: Servers) -> None:
    """Let so many calls have been made as pay for five second requests."""
    for _ in range(100):
        pool_of(servers)._allowance.called()


async def test_a_slow_replica_is_overtaken_and_its_reply_is_not_waited_for(url: str) -> None:
    """A byte of it comes every fifth of a second; what others say on a busy machine comes well before the 95th percentile."""
    async with fleet_of(url, "drip", "steady") as servers:
        learn(servers, p95_us=500_000)
        save_up(servers)
        returned = await puts(servers, 4)
        assert {item.opinion.status for item in returned} == {VALID}
        # The other one is asked first; whoever comes after the one that was overtaken keeps away from there.
        overtaken = (Reroute("gpu-a-1", "gpu-a-2", RerouteCause.SLOW),)
        assert [item.reroutes for item in returned] == [(), overtaken, (), ()]
        (first, second) = opened(returned[1])["attempts"]
        assert (first["ending"], second["ending"]) == ("given-up", "complete")
        assert first["began_us"] < second["began_us"] < first["ended_us"]
        state = state_of(servers)
        assert (state.hedges, state.hedges_won, state.calls) == (1, 1, 104)


@pytest.mark.parametrize(("replies", "hedge"), [(19, True), (20, False)])
async def test_no_second_request_is_sent_before_enough_is_known_or_where_the_file_says_no(
    url: str, replies: int, hedge: bool
) -> None:
    async with fleet_of(url, "slow", "black-hole", hedge=hedge) as servers:
        learn(servers, p95_us=50_000, replies=replies)
        save_up(servers)
        pool_of(servers).replicas[1].pace.took(10.0, time.perf_counter())
        item = await put(servers)
        assert (item.opinion.status, opened(item)["replica"], item.reroutes) == (VALID, "gpu-a-1", ())
        assert state_of(servers).hedges == 0


async def test_what_reached_no_replica_pays_for_no_second_request(url: str) -> None:
    async with fleet_of(url, "status-500") as servers:
        assert {item.opinion.status for item in await puts(servers, 40)} == {DOWN}
        # Three until its breaker opened.
        assert state_of(servers).calls == 3


async def test_a_replica_that_swallows_what_it_is_asked_is_shunned_before_that_speaks_against_it(
    url: str,
) -> None:
    """Other questions take it ten seconds now and then: these, which have less, end before that is anything strange."""
    async with fleet_of(url, "black-hole", "steady", hedge=False) as servers:
        learn(servers, p95_us=10_000_000)
        # Too little time for what a reply takes at most, and enough for what it takes now.
        states = [item.opinion.status for item in await puts(servers, 8, seconds=2.0)]
        assert states == [VALID, TIMED_OUT, *[VALID] * 6]
        assert position_of(servers, 0) is Position.CLOSED
        assert replica_of(servers, 0).breakers[0].failures == 0


@pytest.mark.parametrize("act", ["status-404", "status-401", "redirect", "status-500", "hang-up"])
async def test_a_second_one_that_says_no_takes_nothing_from_the_first(url: str, act: str) -> None:
    async with fleet_of(url, "slow", act) as servers:
        pool = pool_of(servers)
        for replica, usual in zip(pool.replicas, (0.05, 0.5), strict=True):
            record = replica.record(MODEL)
            record.took(usual)
            replica.pace.took(
                usual / 0.05, time.perf_counter()
            )  # the first is the quicker one, as far as anybody knows
            for _ in range(20):
                record.sketch.add(50_000)
        for _ in range(40):
            pool._allowance.called()
        item = await put(servers)
        assert [attempt["replica"] for attempt in opened(item)["attempts"]] == ["gpu-a-1", "gpu-a-2"]
        assert item.reroutes == (Reroute("gpu-a-1", "gpu-a-2", RerouteCause.SLOW),)
        assert (item.opinion.status, opened(item)["replica"]) == (VALID, "gpu-a-1")
