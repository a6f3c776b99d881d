"""Second requests to another replica: when they are sent, who is waited for, and what pays for them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from arbiter.model import MemberStatus, RerouteCause
from arbiter.panels.member import Reroute
from tests.panels.fleets import MODEL, become, fleet_of, opened, pool_of, put, puts, state_of
from tests.panels.model_servers import misbehaving

VALID, DOWN, TIMED_OUT = MemberStatus.VALID, MemberStatus.DOWN, MemberStatus.TIMED_OUT


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with misbehaving() as served:
        yield served


async def test_a_slow_replica_is_overtaken_and_its_reply_is_not_waited_for(url: str) -> None:
    become(url, "moody", "steady")
    async with fleet_of(url, "moody", "steady", concurrency=8) as servers:
        # So many that those which a busy machine hedged leave some of the cap.
        await puts(servers, 200)
        before = state_of(servers)
        become(url, "moody", "slow")
        started = time.monotonic()
        returned = await puts(servers, 4)
        assert time.monotonic() - started < 1.0
        assert {item.opinion.status for item in returned} == {VALID}
        hedged = [item for item in returned if item.reroutes]
        assert [item.reroutes for item in hedged] == [
            (Reroute("gpu-a-1", "gpu-a-2", RerouteCause.SLOW),)
        ] * len(hedged)
        assert 1 <= len(hedged) <= 3
        (first, second) = opened(hedged[0])["attempts"]
        assert (first["ending"], second["ending"]) == ("given-up", "complete")
        assert first["began_us"] < second["began_us"] < first["ended_us"]
        state = state_of(servers)
        # Those before may have seen a hedge or two of their own: some reply is always the slowest of twenty.
        assert state.hedges - before.hedges == state.hedges_won - before.hedges_won == len(hedged)
        assert 20 * state.hedges <= state.calls == before.calls + 4


async def test_no_second_request_is_sent_before_enough_is_known_or_where_the_file_says_no(url: str) -> None:
    async with fleet_of(url, "slow", "steady") as servers:
        await puts(servers, 4)
        assert state_of(servers).hedges == 0
    become(url, "moody-2", "steady")
    async with fleet_of(url, "moody-2", "steady", hedge=False) as servers:
        await puts(servers, 60)
        become(url, "moody-2", "slow")
        await puts(servers, 4)
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
    become(url, "moody-3", "steady")
    async with fleet_of(url, "moody-3", "steady", hedge=False) as servers:
        await puts(servers, 4)
        for replica in pool_of(servers).replicas:
            record = replica.record(MODEL)
            record.usual = 0.05  # alike, so that each is asked in turn
            for _ in range(20):
                record.sketch.add(10_000_000)
        become(url, "moody-3", "black-hole")
        # Too little time for what a reply takes at most, and enough for what it takes now.
        states = [item.opinion.status for item in await puts(servers, 8, seconds=0.6)]
        assert states.count(TIMED_OUT) == 1
        assert states.count(VALID) == 7


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
