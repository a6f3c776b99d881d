"""Sketches put together are the sketch of everything, as far as buckets can tell; checked against the values themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.fleet.sketches import NOTHING, joined, time_words
from arbiter.fleet.state import Latency
from tests.fleet.states import drawn, sketch

_BUCKET = 1.04 / 0.96
times = st.lists(st.integers(min_value=200, max_value=10**8), min_size=1, max_size=60)


@given(times, times, times)
def test_joined_sketches_know_the_quantiles_of_all_values_to_a_bucket(
    one: list[int], two: list[int], three: list[int]
) -> None:
    values = sorted([*one, *two, *three])
    found = joined([sketch(one), sketch(two), sketch(three)])
    assert found.count == sum(number for _, number in found.buckets) == len(values)
    for share, told in ((0.5, found.p50_us), (0.95, found.p95_us), (0.99, found.p99_us)):
        rank = next(at for at in range(1, len(values) + 1) if at >= share * len(values) - 1e-9)
        assert values[rank - 1] - 1 <= told <= values[rank - 1] * _BUCKET + 1


@given(times, times)
def test_the_order_of_sketches_does_not_matter(one: list[int], two: list[int]) -> None:
    assert joined([sketch(one), sketch(two)]) == joined([sketch(two), sketch(one)])


def test_one_sketch_keeps_its_own_quantiles() -> None:
    alone = sketch(drawn(180, 500))
    assert joined([NOTHING, alone, NOTHING]) == alone


def test_nothing_and_nothing_is_nothing() -> None:
    assert joined([]) == joined([NOTHING, NOTHING]) == NOTHING


def test_what_is_counted_and_in_no_bucket_has_no_quantile() -> None:
    lost = Latency(7, 5, 5, 5, ())
    assert joined([lost, lost]) == Latency(14, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0 µs"),
        (999, "999 µs"),
        (1_000, "1 ms"),
        (1_940, "1.9 ms"),
        (181_400, "181 ms"),
        (999_400, "999 ms"),
        (1_000_000, "1 s"),
        (5_840_000, "5.8 s"),
        (61_000_000, "61 s"),
    ],
)
def test_a_time_is_told_in_the_unit_that_suits_it(us: int, words: str) -> None:
    assert time_words(us) == words
