"""A server's replicas that fail, over real sockets: what goes on to another, what waits, what is told, and what comes back."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from arbiter.fleet.state import FleetState, Position
from arbiter.model import MemberStatus, RerouteCause, RiskClass
from arbiter.panels.member import Reroute
from tests.panels.fleets import (
    MODEL,
    become,
    fleet_of,
    opened,
    pool_of,
    position_of,
    put,
    puts,
    replica_of,
    seen,
    sent,
    state_of,
    until,
)

VALID, INVALID = MemberStatus.VALID, MemberStatus.INVALID
DOWN, TIMED_OUT = MemberStatus.DOWN, MemberStatus.TIMED_OUT


# (what one of two replicas does, the state the member ends in, why the other one was asked, or None where it was not)
GOES_ON: list[tuple[str, MemberStatus, RerouteCause | None]] = [
    ("good", VALID, None),
    ("endless", VALID, None),
    ("refused", VALID, RerouteCause.NOT_CONNECTED),
    ("reset", VALID, RerouteCause.BROKEN),
    ("cut-short", VALID, RerouteCause.BROKEN),
    ("hang-up", VALID, RerouteCause.BROKEN),
    ("no-http", VALID, RerouteCause.BROKEN),
    ("endless-head", VALID, RerouteCause.BROKEN),
    ("bad-chunks", VALID, RerouteCause.BROKEN),
    ("status-500", VALID, RerouteCause.SERVER_ERROR),
    ("status-503", VALID, RerouteCause.SERVER_ERROR),
    ("storm", VALID, RerouteCause.SERVER_ERROR),
    ("status-429", VALID, RerouteCause.TOO_MANY_REQUESTS),
    ("busy-always", VALID, RerouteCause.TOO_MANY_REQUESTS),
    ("busy-for-long", VALID, RerouteCause.TOO_MANY_REQUESTS),
    ("busy-until-a-date", VALID, RerouteCause.TOO_MANY_REQUESTS),
    # What says no for good, and what has answered, is asked nowhere else: no second roll of the dice.
    ("status-400", DOWN, None),
    ("status-401", DOWN, None),
    ("status-404", DOWN, None),
    ("status-201", DOWN, None),
    ("redirect", DOWN, None),
    ("huge", INVALID, None),
    ("crumbs", INVALID, None),
    ("spaces", INVALID, None),
    ("wrong-model", INVALID, None),
    ("other-reply", INVALID, None),
    ("unnamed-reply", INVALID, None),
    ("wrong-schema", INVALID, None),
    ("wrong-option", INVALID, None),
    ("duplicate-keys", INVALID, None),
    ("invalid-utf-8", INVALID, None),
    ("ungrounded", INVALID, None),
    ("abstains", MemberStatus.ABSTAINED, None),
    ("black-hole", TIMED_OUT, None),
    ("dead-engine", TIMED_OUT, None),
    ("drip", TIMED_OUT, None),
    ("drip-head", TIMED_OUT, None),
]


@pytest.mark.parametrize(("act", "status", "cause"), GOES_ON, ids=[row[0] for row in GOES_ON])
async def test_what_failed_fast_goes_on_to_another_replica_and_nothing_else_does(
    url: str, act: str, status: MemberStatus, cause: RerouteCause | None
) -> None:
    async with fleet_of(url, act, "good") as servers:
        # Each in turn is asked first: the second ask goes to the one that misbehaves.
        seconds = 0.8 if status is TIMED_OUT else 10.0
        returned = [await put(servers, seconds=10.0), await put(servers, seconds=seconds)]
        assert [item.opinion.status for item in returned] == [VALID, status]
        told = [reroute for item in returned for reroute in item.reroutes]
        assert told == ([] if cause is None else [Reroute("gpu-a-1", "gpu-a-2", cause)])
        assert state_of(servers).reroutes == len(told)
        rerouted = [item for item in returned if item.reroutes]
        for item in rerouted:
            first, second = opened(item)["attempts"]
            assert (first["replica"], second["replica"]) == ("gpu-a-1", "gpu-a-2")
            assert first["began_us"] == 0 <= first["ended_us"] <= second["began_us"] < second["ended_us"]
            assert (opened(item)["replica"], second["ending"]) == ("gpu-a-2", "complete")
        assert all("attempts" not in opened(item) for item in returned if not item.reroutes)
        # No place stays taken.
        assert [replica.in_flight for replica in state_of(servers).replicas] == [0, 0]


async def test_each_replica_is_asked_once_at_most_and_the_last_failure_is_told(url: str) -> None:
    before = seen(url)
    async with fleet_of(url, "status-500", "reset", "hang-up") as servers:
        returned = await put(servers)
        assert returned.opinion.status is DOWN
        attempts = opened(returned)["attempts"]
        assert {attempt["replica"] for attempt in attempts} == {"gpu-a-1", "gpu-a-2", "gpu-a-3"}
        assert len(attempts) == 3
        assert opened(returned)["ending"] == attempts[-1]["ending"]
        assert opened(returned)["replica"] == attempts[-1]["replica"]
    after = seen(url)
    assert {name: after[name] - before.get(name, 0) for name in ("status-500", "reset", "hang-up")} == {
        "status-500": 1, "reset": 1, "hang-up": 1,
    }  # fmt: skip


async def test_every_try_sends_the_very_same_bytes(url: str) -> None:
    async with fleet_of(url, "status-500", "good") as servers:
        first, second = await puts(servers, 2)
        assert opened(first)["request"] == opened(second)["request"]


async def test_a_single_replica_is_waited_for_once_as_long_as_it_says(url: str) -> None:
    async with fleet_of(url, "busy-once") as servers:
        started = time.monotonic()
        returned = await put(servers, seconds=10.0)
        assert returned.opinion.status is VALID
        assert 1.0 <= time.monotonic() - started < 5.0
        assert [attempt["status"] for attempt in opened(returned)["attempts"]] == [429, 200]
        # The same replica again: nothing went elsewhere.
        assert returned.reroutes == ()
    before = seen(url).get("busy-always", 0)
    async with fleet_of(url, "busy-always") as servers:
        assert (await put(servers)).opinion.status is DOWN
    assert seen(url)["busy-always"] - before == 2


async def test_nobody_waits_longer_than_the_case_has_time(url: str) -> None:
    """Who waited for as long as the server says would be out of time."""
    for act, seconds in (("busy-for-long", 10.0), ("busy-always", 0.9)):
        before = seen(url).get(act, 0)
        async with fleet_of(url, act) as servers:
            started = time.monotonic()
            assert (await put(servers, seconds)).opinion.status is DOWN
            assert time.monotonic() - started < 5.0
        assert seen(url)[act] - before == 1


async def test_with_too_little_time_left_no_further_request_is_made(url: str) -> None:
    async with fleet_of(url, "status-500", "steady") as servers:
        for replica in pool_of(servers).replicas:
            for _ in range(20):
                replica.record(MODEL).sketch.add(20_000_000)
        returned = await puts(servers, 2, seconds=10.0)
        assert sorted(item.opinion.status for item in returned) == [DOWN, VALID]
        assert [item.reroutes for item in returned] == [(), ()]


# --- breakers ---------------------------------------------------------------------------------------------------------


async def test_a_replica_that_keeps_failing_is_asked_no_more_and_none_left_is_down_at_once(url: str) -> None:
    before = seen(url).get("status-500", 0)
    async with fleet_of(url, "status-500") as servers:
        assert [item.opinion.status for item in await puts(servers, 3)] == [DOWN] * 3
        assert position_of(servers, 0) is Position.OPEN
        started = time.monotonic()
        returned = await put(servers, seconds=20.0)
        assert time.monotonic() - started < 10.0
        assert (returned.opinion.status, returned.exchange) == (DOWN, None)
        assert returned.opinion.rationale == "no replica of the model server is fit to be asked"
        (move,) = servers.moves.first(10)[0]
        assert (move.server, move.replica, move.model) == ("gpu-a", "gpu-a-1", MODEL)
        assert (move.from_position, move.to_position, move.cause) == (
            Position.CLOSED, Position.OPEN, "server-error",
        )  # fmt: skip
        # Another model of the same replica is another matter.
        assert (await put(servers, name="ward-2")).exchange is not None
    assert seen(url)["status-500"] - before == 4


@pytest.mark.parametrize("act", ["wrong-model", "other-reply", "not-json"])
async def test_a_replica_that_answers_for_somebody_else_is_asked_no_more(url: str, act: str) -> None:
    async with fleet_of(url, act) as servers:
        assert [item.opinion.status for item in await puts(servers, 3)] == [INVALID] * 3
        assert position_of(servers, 0) is Position.OPEN


@pytest.mark.parametrize("act", ["wrong-schema", "ungrounded", "status-400", "status-429", "abstains"])
async def test_what_a_model_says_and_what_is_wrong_with_a_request_speak_against_no_replica(
    url: str, act: str
) -> None:
    async with fleet_of(url, act) as servers:
        await puts(servers, 12)
        assert position_of(servers, 0) is Position.CLOSED


async def test_a_probe_brings_a_replica_back_and_no_patients_case_does(url: str) -> None:

    def not_probed(counts: dict[str, int]) -> int:
        return counts["comes-back"] - counts.get("comes-back probed", 0)

    become(url, "comes-back", "status-500")
    async with fleet_of(url, "comes-back", probing=True) as servers:
        await puts(servers, 3)
        assert not_probed(seen(url)) == 3
        await until(lambda: seen(url).get("comes-back probed", 0) >= 2)
        assert position_of(servers, 0) is not Position.CLOSED
        assert not_probed(seen(url)) == 3
        become(url, "comes-back", "good")
        await until(lambda: position_of(servers, 0) is Position.CLOSED)
        assert (await put(servers)).opinion.status is VALID
        walked = [(move.from_position, move.to_position) for move in servers.moves.first(100)[0]]
        assert walked[0] == (Position.CLOSED, Position.OPEN)
        assert walked[-1] == (Position.HALF_OPEN, Position.CLOSED)
        assert all(one[1] is next_[0] for one, next_ in pairwise(walked))


@pytest.mark.parametrize("act", ["dead-engine", "wrong-model", "status-503", "status-404"])
async def test_a_server_whose_health_is_green_is_not_back_before_it_has_generated(url: str, act: str) -> None:
    async with fleet_of(url, act, probing=True) as servers:
        # Time enough for a silence to speak against it, however late a request begins.
        await asyncio.gather(*(put(servers, seconds=3.0 if act == "dead-engine" else 10.0) for _ in range(3)))
        await until(lambda: replica_of(servers, 0).breakers[0].probes >= 2)
        assert position_of(servers, 0) is not Position.CLOSED


async def test_a_process_that_did_not_run_holds_nothing_against_its_replicas(url: str) -> None:
    become(url, "patient", "slow")
    async with fleet_of(url, "patient") as servers:
        asking = [asyncio.create_task(put(servers, seconds=1.1)) for _ in range(6)]
        await asyncio.sleep(0.1)
        time.sleep(2.5)  # noqa: ASYNC251 - a machine that was stopped and goes on
        assert {item.opinion.status for item in await asyncio.gather(*asking)} == {TIMED_OUT}
        assert position_of(servers, 0) is Position.CLOSED
        assert (await put(servers)).opinion.status is VALID
        become(url, "patient", "black-hole")
        await asyncio.gather(*(put(servers, seconds=3.0) for _ in range(3)))
        assert position_of(servers, 0) is Position.OPEN


# --- what is sent and told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("risk", "priority"), [(RiskClass.EMERGENCY, 0), (RiskClass.URGENT, 1), (RiskClass.ROUTINE, 2)]
)
async def test_the_risk_class_is_told_where_the_server_goes_by_it_and_nowhere_else(
    url: str, risk: RiskClass, priority: int
) -> None:
    async with fleet_of(url, "good", scheduling="priority") as servers:
        assert sent(await put(servers, risk=risk))["priority"] == priority
    async with fleet_of(url, "good") as servers:
        assert "priority" not in sent(await put(servers, risk=risk))


async def test_the_state_of_a_fleet_says_what_happened_and_survives_json(url: str) -> None:
    async with fleet_of(url, "good", "status-500") as servers:
        await puts(servers, 8)
        state = servers.state(pool_of(servers).clock.now())
        assert FleetState.from_json(state.to_json()) == state
        (server,) = state.servers
        good, bad = server.replicas
        assert (good.engine, good.outcomes, good.latency.count) == (
            "vllm 0.0.1+misbehaving", (("complete", 8),), 8,
        )  # fmt: skip
        assert bad.outcomes == (("status-500", 3),)
        assert (bad.breakers[0].position, bad.breakers[0].cause) == (Position.OPEN, "server-error")
        assert (server.calls, server.reroutes, server.input_tokens, server.output_tokens) == (8, 3, 8, 8)
