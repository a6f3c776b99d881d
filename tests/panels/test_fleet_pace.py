"""What is reckoned of a replica that was slow: left at once, forgiven with time, tried by one request, believed when quick."""

from __future__ import annotations

import pytest

from arbiter.panels.vllm.pace import Pace


def slow(now: float = 0.0) -> Pace:
    pace = Pace()
    pace.took(10.0, now)
    return pace


def test_a_slow_reply_counts_at_once_and_quick_ones_by_and_by() -> None:
    pace = Pace()
    for at in range(100):
        pace.took(1.0, at / 100)
    pace.took(10.0, 1.0)
    assert pace.expected(1.0, busy=True) == 10.0
    pace.took(1.0, 1.0)
    assert pace.expected(1.0, busy=True) == pytest.approx(8.2)


def test_a_replica_that_was_slow_is_forgiven_with_time() -> None:
    expected = [slow().expected(silent, busy=False) for silent in (0.0, 5.0, 10.0, 20.0)]
    assert expected == pytest.approx([10.0, 5.5, 3.25, 1.56], rel=0.01)


def test_nothing_is_forgiven_while_a_request_finds_out() -> None:
    assert slow().expected(60.0, busy=True) == 10.0


def test_the_first_reply_after_a_long_silence_is_believed() -> None:
    pace = slow()
    pace.took(1.0, now=60.0)
    assert pace.expected(60.0, busy=True) == 1.0
    pace.took(10.0, now=120.0)
    assert pace.expected(120.0, busy=True) == 10.0


@pytest.mark.parametrize(("waited", "expected"), [(1.0, 1.0), (1.25, 1.0), (2.0, 8.8), (20.0, 8.8)])
def test_having_waited_in_vain_tells_of_a_replica_only_where_others_would_have_answered(
    waited: float, expected: float
) -> None:
    pace = slow()
    for at in range(60):
        pace.outlasted(waited, now=float(at))
    assert pace.expected(60.0, busy=False) == pytest.approx(expected, rel=0.02)


def test_however_slow_it_was_it_is_tried_again_within_half_a_minute() -> None:
    pace = Pace()
    pace.took(10_000.0, now=0.0)
    assert pace.expected(25.0, busy=False) > 1.0
    assert pace.expected(30.0, busy=False) == 1.0


@pytest.mark.parametrize("ratio", [1.0, 1.1, 1.25])
def test_replicas_that_are_nearly_alike_are_alike(ratio: float) -> None:
    pace = Pace()
    pace.took(ratio, now=0.0)
    assert pace.expected(0.0, busy=True) == 1.0
    assert not pace.is_doubtful


def test_who_takes_more_than_twice_as_long_is_doubtful_until_it_is_quick_again() -> None:
    pace = slow()
    assert pace.is_doubtful
    for at in range(12):
        pace.took(1.0, now=float(at) / 100)
    assert not pace.is_doubtful
