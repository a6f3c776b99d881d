"""Where thresholds lie: apart from every score, and from where a test can pass to where all is accepted."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from scipy.stats import beta, binom

from arbiter.calibrating.binomial import fewest
from arbiter.calibrating.guarantee import Scored, certify, grid, is_accepted
from tests.calibrating.scored import ALPHA, DELTA, cases, scores, true_error


def test_thresholds_fall_from_where_twice_the_minimum_is_expected_to_one_that_accepts_all() -> None:
    chance = random.Random(5)
    fitting = [chance.uniform(0.3, 1.0) for _ in range(700)]
    for size in (150, 400, 3000):
        thresholds = grid(fitting, size, ALPHA, DELTA, most=700)
        assert all(stricter > looser for stricter, looser in pairwise(thresholds))
        assert all(is_accepted(score, thresholds[-1]) for score in fitting)
        least = 2 * fewest(0, ALPHA, DELTA)
        expected = sum(is_accepted(score, thresholds[0]) for score in fitting) * size / len(fitting)
        assert least <= expected < least + 2 * size / len(fitting)


def test_no_score_seen_lies_too_near_to_a_threshold_to_be_decided() -> None:
    chance = random.Random(11)
    # Scores of a millionth's grid in a narrow band: many neighbours are too close to lay a threshold between.
    fitting = [round(0.7 + chance.randint(0, 900) * 1e-6, 6) for _ in range(400)]
    thresholds = grid(fitting, 100_000, ALPHA, DELTA, most=1000)
    assert len(thresholds) > 30
    for threshold in thresholds:
        assert threshold == round(threshold, 6)
        assert min(abs(score - threshold) for score in fitting) > 1.9e-6


def test_equal_scores_lie_on_one_side_and_one_score_alone_is_not_split() -> None:
    assert grid([0.9] * 50, 1000, ALPHA, DELTA) == (0.0,)
    assert grid([0.9] * 50 + [0.6] * 50, 1000, ALPHA, DELTA) == (0.75, 0.0)


def test_a_guarantee_set_too_small_for_any_start_tests_all_cases_alone() -> None:
    fitting = [0.5 + at / 1000 for at in range(400)]
    assert grid(fitting, 2 * fewest(0, ALPHA, DELTA) - 1, ALPHA, DELTA) == (0.0,)
    # The loosest may pass all the same: 59 cases without an error do.
    assert certify([Scored(0.7, right=True)] * 59, (0.0,), ALPHA, DELTA).threshold == 0.0
    assert certify([Scored(0.7, right=True)] * 58, (0.0,), ALPHA, DELTA).threshold is None


def test_a_grid_of_fewer_thresholds_keeps_both_ends_and_shares_the_cases_out() -> None:
    chance = random.Random(17)
    fitting = [chance.random() for _ in range(1000)]
    whole, few = (grid(fitting, 5000, ALPHA, DELTA, most=most) for most in (2000, 12))
    assert len(few) == 12
    assert (few[0], few[-1]) == (whole[0], whole[-1])
    assert set(few) <= set(whole)
    steps = [sum(looser < score <= stricter for score in fitting) for stricter, looser in pairwise(few)]
    assert max(steps) <= 2 * min(steps)
    assert grid(fitting, 5000, ALPHA, DELTA, most=2) == (whole[0], 0.0)


def test_where_the_highest_scores_err_too_labels_move_the_start_to_where_the_first_test_passes() -> None:
    """At 3% whatever the score, 118 cases seldom pass at 5%, and a start there would block 20,000 that would."""
    chance, blocked, passed = random.Random(23), 0, 0
    for _ in range(15):
        fitting, given = (
            [Scored(chance.uniform(0.5, 1.0), chance.random() >= 0.03) for _ in range(4000)] for _ in range(2)
        )
        own = scores(fitting)
        blocked += certify(given, grid(own, 4000, ALPHA, DELTA), ALPHA, DELTA).threshold is None
        laid = grid(own, 4000, ALPHA, DELTA, right=[case.right for case in fitting])
        passed += certify(given, laid, ALPHA, DELTA).threshold is not None
        assert set(laid) <= set(grid(own, 4000, ALPHA, DELTA))
    assert blocked > 7
    assert passed > 12


def test_the_start_by_labels_is_where_scipy_says_that_the_test_passes_nine_times_in_ten() -> None:
    chance = random.Random(29)
    fitting = cases(chance, 500, 0.3)
    laid = grid(scores(fitting), 800, ALPHA, DELTA, most=60, right=[case.right for case in fitting])
    every = grid(scores(fitting), 800, ALPHA, DELTA, most=60)

    def likely(threshold: float) -> float:
        own = [case.right for case in fitting if is_accepted(case.score, threshold)]
        size, rate = len(own) * 800 // 500, (own.count(False) + 0.5) / (len(own) + 1)
        allowed = max(e for e in range(size) if beta.ppf(1 - DELTA, e + 1, size - e) <= ALPHA)
        return float(binom.cdf(allowed, size, rate))

    assert laid == every[every.index(laid[0]) :]
    assert every.index(laid[0]) > 0
    kept = [likely(threshold) >= 0.9 for threshold in every[:-1]]
    runs = [(at, kept[at:end]) for at in range(60) for end in range(at + 1, 60) if all(kept[at:end])]
    longest = max(len(run) for _, run in runs)
    assert every[min(at for at, run in runs if len(run) == longest)] == laid[0]


def test_labels_by_which_no_test_is_likely_to_pass_leave_the_start_where_it_is() -> None:
    fitting = [0.5 + at / 2000 for at in range(1000)]
    half = [at % 2 == 0 for at in range(1000)]
    assert grid(fitting, 1000, ALPHA, DELTA, right=half) == grid(fitting, 1000, ALPHA, DELTA)


def test_a_start_by_labels_breaks_the_promise_no_oftener() -> None:
    chance, runs, exceeded = random.Random(31), 400, 0
    for _ in range(runs):
        fitting = cases(chance, 300, 0.24)
        laid = grid(scores(fitting), 300, ALPHA, DELTA, most=25, right=[case.right for case in fitting])
        threshold = certify(cases(chance, 300, 0.24), laid, ALPHA, DELTA).threshold
        exceeded += threshold is not None and true_error(0.24, threshold) > ALPHA
    assert exceeded <= binom.ppf(0.999, runs, DELTA)


def test_a_score_within_a_millionth_of_the_threshold_is_not_accepted() -> None:
    assert not is_accepted(0.75, 0.75)
    assert not is_accepted(0.750001, 0.75)
    assert is_accepted(0.750002, 0.75)
    assert not is_accepted(0.749, 0.75)


def test_labels_that_are_not_as_many_as_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a label for each of 2 scores, got 1"):
        grid([0.5, 0.6], 100, ALPHA, DELTA, right=[True])
