"""What several processes know of one fleet, put together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.clock import SystemClock
from arbiter.fleet.overview import SILENT_AFTER, Heard, Overview, oversee
from arbiter.fleet.seats import CanaryResult, SeatCanary, Standing
from arbiter.fleet.state import FleetState, Position
from arbiter.model import RiskClass
from arbiter.panels.vllm.pool import open_servers
from tests.fleet.any_state import any_state
from tests.fleet.files import a_fleet
from tests.fleet.seats import a_protocol, a_seat
from tests.fleet.states import (
    BEGAN,
    NOW,
    a_busy_fleet,
    a_replica,
    a_server,
    a_state,
    a_withheld,
    breaker,
)

CLOSED, OPEN, HALF = Position.CLOSED, Position.OPEN, Position.HALF_OPEN


def heard(state: FleetState | None, seconds: float = 1, **changes: object) -> Heard:
    name, began = ("?", BEGAN) if state is None else (state.process, state.began)
    age = timedelta(seconds=seconds)
    return replace(Heard(name, began, NOW - age, age, state), **changes)  # type: ignore[arg-type] # a test's own


def seen(*states: FleetState, seats: tuple[str, ...] = ("alpha",)) -> Overview:
    protocols = [a_protocol(*(a_seat(name) for name in seats))]
    return oversee([heard(state) for state in states], protocols, {}, NOW)


def told(*positions: Position, process: str = "one/1") -> FleetState:
    """A process that knows one replica a position, each of which was asked for `alpha`."""
    replicas = (a_replica(f"r-{at}", breaker("alpha", position)) for at, position in enumerate(positions))
    return a_state(a_server("specialists", *replicas), process=process)


# --- seats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "standing", "answering"),
    [
        ([[CLOSED, CLOSED]], Standing.ANSWERS, 2),
        ([[CLOSED, OPEN]], Standing.STRAINED, 1),
        ([[CLOSED, HALF]], Standing.STRAINED, 1),
        ([[OPEN, OPEN]], Standing.SILENT, 0),
        ([[OPEN, HALF]], Standing.SILENT, 0),
        ([[HALF]], Standing.SILENT, 0),
        ([[CLOSED], [CLOSED]], Standing.ANSWERS, 1),
        ([[OPEN, OPEN], [OPEN, OPEN]], Standing.SILENT, 0),
        ([[CLOSED, CLOSED], [OPEN, OPEN]], Standing.PARTLY, 0),
        ([[CLOSED, OPEN], [OPEN, CLOSED]], Standing.STRAINED, 0),
        ([[CLOSED, OPEN], [CLOSED, CLOSED]], Standing.STRAINED, 1),
    ],
)
def test_a_seat_stands_as_its_worst_process_finds_it(
    states: list[list[Position]], standing: Standing, answering: int
) -> None:
    (seat,) = seen(*(told(*each, process=f"p/{at}") for at, each in enumerate(states))).seats
    assert (seat.standing, seat.answering, seat.replicas) == (standing, answering, len(states[0]))


def test_a_seat_that_nobody_has_asked_yet_is_not_said_to_answer() -> None:
    (seat,) = seen(a_state(a_server("specialists", a_replica("r-1"), a_replica("r-2")))).seats
    assert seat.standing is Standing.UNASKED


@pytest.mark.parametrize(
    ("withheld", "standing", "answering"),
    [
        ([True, True], Standing.SILENT, 0),
        ([True, False], Standing.STRAINED, 1),
        ([False, False], Standing.ANSWERS, 2),
    ],
)
def test_a_replica_that_is_withheld_does_not_answer_for_a_seat(
    withheld: list[bool], standing: Standing, answering: int
) -> None:
    kept = (a_withheld("alpha"),)
    replicas = (
        a_replica(f"r-{at}", breaker("alpha"), withheld=kept if here else ())
        for at, here in enumerate(withheld)
    )
    (seat,) = seen(a_state(a_server("specialists", *replicas))).seats
    assert (seat.standing, seat.answering) == (standing, answering)


@pytest.mark.parametrize("other", [{"model": "beta"}, {"weights_sha256": "d" * 64}, {"adapter": "other"}])
def test_another_model_of_that_name_or_server_withheld_says_nothing_of_a_seat(other: dict[str, str]) -> None:
    kept = (replace(a_withheld("alpha"), **other),)
    (seat,) = seen(a_state(a_server("specialists", a_replica("r", breaker("alpha"), withheld=kept)))).seats
    assert seat.standing is Standing.ANSWERS


def test_another_models_breaker_says_nothing_of_a_seat() -> None:
    state = a_state(a_server("specialists", a_replica("r-1", breaker("beta", OPEN), breaker("alpha"))))
    (seat,) = seen(state).seats
    assert seat.standing is Standing.ANSWERS


def test_another_servers_replicas_never_stand_in_for_a_seats_own() -> None:
    state = a_state(a_server("general", a_replica("g-1", breaker("alpha"))))
    (seat,) = seen(state).seats
    assert (seat.standing, seat.replicas) == (Standing.UNKNOWN, 0)


@pytest.mark.parametrize("seconds", [SILENT_AFTER.total_seconds() + 0.1, 3000.0])
def test_what_was_told_too_long_ago_says_nothing_of_the_present(seconds: float) -> None:
    overview = oversee([heard(told(CLOSED), seconds)], [a_protocol(a_seat("alpha"))], {}, NOW)
    assert overview.seats[0].standing is Standing.UNKNOWN
    assert overview.servers == ()
    assert [each.silent for each in overview.processes] == [True]


def test_a_silent_process_takes_nothing_from_one_that_is_heard() -> None:
    both = [heard(told(OPEN, process="gone/1"), 60), heard(told(CLOSED, process="here/2"))]
    overview = oversee(both, [a_protocol(a_seat("alpha"))], {}, NOW)
    assert overview.seats[0].standing is Standing.ANSWERS


def test_a_state_that_cannot_be_read_hides_no_other() -> None:
    overview = oversee([heard(None), heard(told(CLOSED))], [a_protocol(a_seat("alpha"))], {}, NOW)
    assert overview.seats[0].standing is Standing.ANSWERS
    assert sorted(each.state is None for each in overview.processes) == [False, True]


def test_seats_that_scores_sit_in_are_not_the_fleets() -> None:
    assert oversee([], [a_protocol()], {}, NOW).seats == ()


def test_a_seats_canary_is_its_own_and_its_protocols() -> None:
    canary = SeatCanary(NOW, CanaryResult.MOVED, NOW, "0.0001")
    protocol = a_protocol(a_seat("alpha"), a_seat("beta"))
    overview = oversee([], [protocol], {("deterioration", "alpha"): canary, ("other", "beta"): canary}, NOW)
    assert [seat.canary for seat in overview.seats] == [canary, None]


# --- servers -----------------------------------------------------------------------------------------------------


def test_two_processes_load_one_server_together() -> None:
    one, two = a_busy_fleet(), replace(a_busy_fleet(), process="other/2")
    alone, both = seen(one).servers, seen(one, two).servers
    for single, double in zip(alone, both, strict=True):
        for counted in ("queue", "calls", "hedges", "hedges_won", "reroutes", "shed"):
            assert getattr(double, counted) == 2 * getattr(single, counted)
        assert (double.in_flight, double.waiting) == (2 * single.in_flight, 2 * single.waiting)
        for less, more in zip(single.replicas, double.replicas, strict=True):
            assert dict(more.outcomes) == {name: 2 * number for name, number in less.outcomes}
            assert more.concurrency == 2 * less.concurrency
            assert more.latency.count == 2 * less.latency.count


async def test_the_places_to_wait_are_as_many_as_the_pool_has() -> None:
    urls = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]
    pool = open_servers(a_fleet({"specialists": urls}, concurrency=1, queue=2), None, SystemClock())[
        "specialists"
    ]
    places, ends_at = pool.places, time.perf_counter() + 60
    for _ in urls:
        assert places.take("alpha", ()) is not None
    asks = [
        asyncio.create_task(places.acquire("alpha", frozenset, RiskClass.ROUTINE, ends_at)) for _ in range(10)
    ]
    await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
    (server,) = seen(a_state(pool.state())).servers
    for ask in asks:
        ask.cancel()
    await asyncio.wait(asks)
    assert (server.waiting, server.queue, server.shed) == (6, 6, 4)


def test_a_breaker_is_told_by_its_worst_position_and_how_many_share_it() -> None:
    early = NOW - timedelta(hours=2)
    states = [told(CLOSED, process="a/1"), told(OPEN, process="b/2"), told(HALF, process="c/3")]
    late = a_state(
        a_server("specialists", a_replica("r-0", breaker("alpha", OPEN, since=early))), process="d/4"
    )
    (server,) = seen(*states, late).servers
    (found,) = server.replicas[0].breakers
    assert (found.position, found.since, found.processes) == (OPEN, early, 4)
    assert (found.closed, found.half_open, found.open) == (1, 1, 2)


def test_replicas_that_processes_place_differently_keep_both_addresses() -> None:
    one = a_state(a_server("s", a_replica("r", url="http://10.0.0.1:1")), process="a/1")
    two = a_state(a_server("s", a_replica("r", url="http://10.0.0.2:1")), process="b/2")
    assert seen(one, two).servers[0].replicas[0].urls == ("http://10.0.0.1:1", "http://10.0.0.2:1")


# --- processes ---------------------------------------------------------------------------------------------------


def test_a_process_that_was_killed_and_began_again_under_its_name_is_one_process() -> None:
    again = replace(told(CLOSED), began=NOW)
    overview = oversee([heard(told(OPEN), 40), heard(again)], [], {}, NOW)
    assert [each.began for each in overview.processes] == [NOW]


def test_two_that_share_a_name_and_are_both_heard_stay_two() -> None:
    twin = replace(told(CLOSED), began=NOW)
    assert len(oversee([heard(told(OPEN)), heard(twin)], [], {}, NOW).processes) == 2


def test_one_that_is_silent_with_nobody_after_it_stays_in_sight() -> None:
    earlier = replace(told(CLOSED), began=BEGAN - timedelta(days=1))
    overview = oversee([heard(told(OPEN), 40), heard(earlier)], [], {}, NOW)
    assert [each.silent for each in overview.processes] == [False, True]


@given(st.lists(any_state, max_size=4), st.randoms(use_true_random=False))
def test_the_order_in_which_processes_are_read_changes_nothing(
    states: list[FleetState], shuffled: object
) -> None:
    every = [heard(state, at + 0.5) for at, state in enumerate(states)]
    mixed = list(every)
    shuffled.shuffle(mixed)  # type: ignore[attr-defined] # a random.Random
    protocols = [a_protocol(a_seat("respiratory"), a_seat("circulation", "general"))]
    assert oversee(every, protocols, {}, NOW) == oversee(mixed, protocols, {}, NOW)
