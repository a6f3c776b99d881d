"""The sketch of latencies beside exact quantiles, and the cap on hedges beside a count."""

from __future__ import annotations

import math
import random
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.fleet.state import CALLS_A_HEDGE
from arbiter.panels.vllm.hedging import SAVED, Allowance
from arbiter.panels.vllm.latency import RELATIVE_ERROR, Sketch

SHARES = (0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0)


def exact(values: list[int], share: float) -> int:
    """The quantile by its definition: the least value at or below which that share of all lies."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def sketch_of(values: list[int]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(100, 600_000_000), min_size=1, max_size=400), st.sampled_from(SHARES))
def test_a_quantile_is_the_exact_one_but_for_the_stated_error(values: list[int], share: float) -> None:
    found, true = sketch_of(values).quantile(share), exact(values, share)
    assert abs(found - true) <= RELATIVE_ERROR * true + 1


@pytest.mark.parametrize("share", SHARES)
def test_latencies_as_they_are_met_have_their_quantiles(share: float) -> None:
    chance = random.Random(7)
    values = [round(200_000 * chance.lognormvariate(0, 0.4)) for _ in range(1_500)]
    assert sketch_of(values).quantile(share) == pytest.approx(exact(values, share), rel=RELATIVE_ERROR)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 10**12), max_size=100))
def test_what_is_out_of_range_is_counted_at_the_end_it_lies_beyond(values: list[int]) -> None:
    sketch = sketch_of(values)
    told = sketch.told()
    assert told.count == len(values) == sum(count for _, count in told.buckets)
    assert told.p50_us <= told.p95_us <= told.p99_us
    bounds = [bound for bound, _ in told.buckets]
    assert bounds == sorted(set(bounds))


def test_an_empty_one_knows_nothing() -> None:
    told = Sketch().told()
    assert (told.count, told.p50_us, told.p99_us, told.buckets) == (0, 0, 0, ())


def test_two_sketches_tell_of_the_replies_of_both() -> None:
    chance = random.Random(8)
    ours, theirs = ([round(chance.expovariate(1 / 1e5)) + 200 for _ in range(500)] for _ in range(2))
    both = sketch_of(ours).merged_with(sketch_of(theirs))
    assert both.told() == sketch_of(ours + theirs).told()


def test_what_was_long_ago_is_forgotten_and_nothing_grows() -> None:
    sketch = sketch_of([1_000_000] * 2_000)
    tracemalloc.start()
    for _ in range(20_000):
        sketch.add(10_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sketch.quantile(0.99) == pytest.approx(10_000, rel=RELATIVE_ERROR)
    assert (sketch.seen, sketch.known <= 4_000) == (22_000, True)
    assert grown < 64 * 1024 + sys.getsizeof(sketch)


# --- hedges -----------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["call", "slow", "silent"]), max_size=600))
def test_hedges_never_exceed_their_share_of_the_calls_made(wanted: list[str]) -> None:
    """At every moment, for any order of calls and wishes."""
    allowance, calls, hedges = Allowance(), 0, 0
    for wish in wanted:
        if wish == "call":
            allowance.called()
            calls += 1
        elif allowance.take(silent=wish == "silent"):
            hedges += 1
        assert CALLS_A_HEDGE * hedges <= calls
        assert (allowance.calls, allowance.hedges) == (calls, hedges)


def test_every_call_wants_one_and_one_in_twenty_gets_it() -> None:
    allowance = Allowance()
    got = 0
    for _ in range(10_000):
        allowance.called()
        got += allowance.take(silent=True)
    assert got == 500


def test_what_is_slow_now_and_then_leaves_enough_for_a_replica_that_falls_silent() -> None:
    allowance = Allowance()
    for _ in range(10_000):
        allowance.called()
        allowance.take(silent=False)
    assert sum(allowance.take(silent=True) for _ in range(1_000)) == 60


def test_also_what_is_slow_among_the_first_hundred_gets_one() -> None:
    allowance = Allowance()
    for _ in range(100):
        allowance.called()
    assert [allowance.take(silent=False) for _ in range(4)] == [True, True, False, False]


def test_a_long_quiet_time_saves_up_no_storm() -> None:
    allowance = Allowance()
    for _ in range(1_000_000):
        allowance.called()
    assert sum(allowance.take(silent=True) for _ in range(1_000)) == SAVED
