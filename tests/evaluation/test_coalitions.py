"""What parts of a panel are worth against leaving members out one by one; Shapley values against all orders of arrival."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from arbiter.evaluation.ballots import Ballots
from arbiter.evaluation.coalitions import MOST_MEMBERS, best_parts, left_out, shapley, worth_of
from tests.evaluation.small import drawn, seats
from tests.evaluation.test_probabilities import fitted_on


def panel(members: int, number: int = 3) -> Ballots:
    return drawn(11, 60, seats(*"aabbc"[:members]), number, samples=3, absent=0.25)


def test_every_part_is_worth_what_the_deciding_function_says_with_the_others_silent() -> None:
    ballots = panel(4)
    fitted = fitted_on(ballots)
    worth = worth_of(ballots, fitted)
    prior = fitted.prior
    for part in range(16):
        for at, row in enumerate(ballots.rows()):
            heard = tuple(own if part >> member & 1 else None for member, own in enumerate(row))
            logs = fitted.posterior(heard)
            if logs is None:
                whole = sum(share ** (1 / fitted.temperature) for share in prior)
                logs = tuple(share ** (1 / fitted.temperature) / whole for share in prior)
            truth = int(ballots.truths[at])
            level = [option for option, share in enumerate(logs) if share >= max(logs) - 1e-9]
            assert worth.log_score[part, at] == pytest.approx(math.log(logs[truth]))
            assert worth.right[part, at] == pytest.approx((truth in level) / len(level))


def test_shapley_values_are_the_mean_gain_over_every_order_of_arrival() -> None:
    values = np.random.default_rng(1).normal(size=(32, 7))
    expected = np.zeros((5, 7))
    for order in itertools.permutations(range(5)):
        part = 0
        for member in order:
            expected[member] += values[part | 1 << member] - values[part]
            part |= 1 << member
    assert shapley(values, 5) == pytest.approx(expected / math.factorial(5))


def test_shapley_values_add_up_to_what_the_whole_has_over_nobody() -> None:
    ballots = panel(5)
    worth = worth_of(ballots, fitted_on(ballots))
    for values in (worth.right, worth.log_score):
        assert shapley(values, 5).sum(axis=0) == pytest.approx(values[31] - values[0])


def test_a_member_that_never_answers_adds_nothing() -> None:
    ballots = panel(4)
    ballots.shares[:, 2] = 0.0
    ballots.valid[:, 2] = False
    ballots.leads[:, 2] = -1
    worth = worth_of(ballots, fitted_on(ballots))
    assert shapley(worth.log_score, 4)[2] == pytest.approx(np.zeros(60))
    assert left_out(worth.right, 4)[2] == pytest.approx(np.zeros(60))


def test_two_members_that_say_the_same_get_the_same_share() -> None:
    own = seats("a", "a", "b")
    ballots = drawn(12, 80, own, 2)
    ballots.shares[:, 1], ballots.valid[:, 1], ballots.leads[:, 1] = (
        ballots.shares[:, 0], ballots.valid[:, 0], ballots.leads[:, 0],
    )  # fmt: skip
    worth = worth_of(ballots, fitted_on(ballots))
    found = shapley(worth.log_score, 3)
    assert found[0] == pytest.approx(found[1])


def test_the_best_part_of_each_size_is_found_by_going_through_them() -> None:
    ballots = panel(5)
    worth = worth_of(ballots, fitted_on(ballots))
    found = best_parts(worth, 5)
    right = worth.right.mean(axis=1)
    for size, part in enumerate(found, start=1):
        assert part.bit_count() == size
        rivals = [sum(1 << member for member in some) for some in itertools.combinations(range(5), size)]
        assert right[part] == pytest.approx(max(right[rival] for rival in rivals))
    assert found[-1] == 31


def test_what_leaving_one_out_costs_is_the_whole_less_the_rest() -> None:
    values = np.random.default_rng(2).normal(size=(8, 3))
    assert left_out(values, 3) == pytest.approx(
        np.array([values[7] - values[6], values[7] - values[5], values[7] - values[3]])
    )


def test_a_panel_too_large_to_go_through_is_refused() -> None:
    ballots = drawn(13, 20, seats(*["a"] * (MOST_MEMBERS + 1)), 2)
    with pytest.raises(ValueError, match="expected at most 10 members, got 11"):
        worth_of(ballots, fitted_on(ballots))
