"""The breaker as a machine: what opens it, what closes it, and how long it waits, for any order of events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.fleet.state import Position
from arbiter.panels.vllm.breaker import (
    CONSECUTIVE,
    FEWEST,
    FRESH,
    LONGEST_WAIT_SECONDS,
    STEADY,
    WINDOW,
    Breaker,
    Fault,
    due,
    failed,
    failed_again,
    probed,
    recovered,
    succeeded,
    wait_seconds,
)

CLOSED, OPEN, HALF_OPEN = Position.CLOSED, Position.OPEN, Position.HALF_OPEN
BAD = Fault.SERVER_ERROR


def after(told: str, breaker: Breaker = FRESH, now: float = 100.0) -> Breaker:
    """What a breaker becomes by successes (`.`) and failures (`x`)."""
    for one in told:
        breaker = succeeded(breaker) if one == "." else failed(breaker, BAD, now, 0.5)
    return breaker


@pytest.mark.parametrize(
    ("told", "position"),
    [
        ("x", CLOSED),
        ("xx", CLOSED),
        ("xxx", OPEN),
        ("xx.xx", CLOSED),
        ("." * 50 + "xxx", OPEN),
        # Every other one fails: never three in a row, and half of them all the same.
        ("x." * 5, CLOSED),
        (".x" * 5, OPEN),
        ("xx." * 3 + "x", OPEN),
        ("x.." * 20, CLOSED),
        # What lies further back than the window counts no more.
        (".x" * 4 + "." * WINDOW + "x.x", CLOSED),
    ],
)
def test_it_opens_on_failures_in_a_row_or_too_many_of_the_last(told: str, position: Position) -> None:
    assert after(told).position is position


def test_an_open_one_waits_lets_one_probe_pass_and_closes_on_its_success_alone() -> None:
    opened = after("xxx")
    assert (opened.cause, opened.openings, opened.since) == ("server-error", 1, 100.0)
    assert not due(opened, 100.0)
    with pytest.raises(ValueError, match="waited long enough"):
        probed(opened, 100.0)
    # Neither late successes nor late failures of requests that were under way move it.
    assert succeeded(opened) == opened == failed(opened, BAD, 200.0, 0.5)
    half = probed(opened, opened.until)
    assert (half.position, half.probes) == (HALF_OPEN, 1)
    assert succeeded(half) == half == failed(half, BAD, 200.0, 0.5)
    assert not due(half, 10**9)
    with pytest.raises(ValueError, match="waited long enough"):
        probed(half, 10**9)
    closed = recovered(half, 200.0)
    assert (closed.position, closed.failures, closed.known, closed.cause) == (CLOSED, 0, 0, "probe-answered")


def test_only_a_probe_of_a_half_open_one_is_taken_in() -> None:
    for breaker in (FRESH, after("xxx")):
        assert recovered(breaker, 1.0) == breaker == failed_again(breaker, BAD, 1.0, 0.5)


def test_waits_double_with_every_failed_probe_up_to_the_longest() -> None:
    breaker, waits = after("xxx"), []
    for _ in range(12):
        waits.append(breaker.until - breaker.since)
        breaker = failed_again(probed(breaker, breaker.until), Fault.NO_ANSWER, breaker.until, 0.5)
        assert (breaker.position, breaker.cause) == (OPEN, "no-answer-in-time")
    assert waits[:4] == pytest.approx([waits[0], 2 * waits[0], 4 * waits[0], 8 * waits[0]])
    assert waits[-1] == waits[-2] <= LONGEST_WAIT_SECONDS
    assert breaker.probes == 12


def test_one_that_flaps_waits_longer_each_time_and_a_steady_time_is_forgiven() -> None:
    def flap(breaker: Breaker, steady: int) -> Breaker:
        return after("." * steady + "xxx", recovered(probed(breaker, breaker.until), breaker.until))

    first = after("xxx")
    second = flap(first, STEADY - 1)
    third = flap(second, 0)
    assert [breaker.openings for breaker in (first, second, third)] == [1, 2, 3]
    assert flap(third, STEADY).openings == 1


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_no_wait_is_longer_than_the_longest_or_shorter_for_more_openings(
    openings: int, one: float, other: float
) -> None:
    assert 0.25 <= wait_seconds(openings, one) <= LONGEST_WAIT_SECONDS
    assert wait_seconds(openings, 0) <= wait_seconds(openings, one) <= wait_seconds(openings, 1)
    assert wait_seconds(openings + 1, other) >= wait_seconds(openings, other)
    assert wait_seconds(openings, 1) > wait_seconds(openings, 0), "chance tells breakers apart"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "fault", "time", "probe", "recovered", "failed_again"]), st.floats(0, 1)
    ),
    max_size=200,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_whatever_happens_nothing_passes_but_the_moves_there_are(  # noqa: C901 - one arm an event
    events: list[tuple[str, float]],
) -> None:
    """A model of its own, which counts lists: the machine must agree with it at every step."""
    breaker, now, row, last = FRESH, 0.0, 0, list[bool]()
    walked = [breaker.position]
    for event, chance in events:
        before = breaker
        match event:
            case "ok":
                breaker = succeeded(breaker)
                if before.position is CLOSED:
                    row, last = 0, [*last, False][-WINDOW:]
            case "fault":
                breaker = failed(breaker, BAD, now, chance)
                if before.position is CLOSED:
                    row, last = row + 1, [*last, True][-WINDOW:]
                    opens = row >= CONSECUTIVE or (len(last) >= FEWEST and 2 * sum(last) >= len(last))
                    assert (breaker.position is OPEN) == opens
            case "time":
                now += 60 * chance
            case "probe":
                if due(breaker, now):
                    assert now - before.since >= wait_seconds(before.openings, 0) - 1e-6
                    breaker = probed(breaker, now)
            case "recovered":
                breaker = recovered(breaker, now)
                if before.position is HALF_OPEN:
                    row, last = 0, []
            case _:
                breaker = failed_again(breaker, BAD, now, chance)
        if breaker.position is OPEN:
            assert breaker.until > breaker.since
        walked.append(breaker.position)
    moved = {(one, other) for one, other in pairwise(walked) if one is not other}
    assert moved <= {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED), (HALF_OPEN, OPEN)}
