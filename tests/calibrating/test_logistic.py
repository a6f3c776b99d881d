"""Logistic regression: scikit-learn's weights, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from arbiter.calibrating.logistic import log_loss, logistic, logistic_regression


def drawn(seed: int, *, number: int = 200, scale: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> tuple[Any, Any]:
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(number, 4)) * scale + [0.5, -1.0, 0.0, 2.0]
    outcomes = chance.random(number) < expit(rows @ [1.0, -0.5, 0.0, 0.3] - 0.4)
    return rows, outcomes


def scikit_learns(rows: Any, outcomes: Any, penalty: float) -> Any:
    model = LogisticRegression(C=1.0 / penalty, tol=1e-10, max_iter=10_000, solver="newton-cholesky")
    model.fit(rows, outcomes)
    return [*model.intercept_, *model.coef_[0]]


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weights_are_scikit_learns(seed: int, penalty: float) -> None:
    rows, outcomes = drawn(seed)
    found = logistic_regression(rows.tolist(), outcomes.tolist(), penalty=penalty)
    assert found == pytest.approx(scikit_learns(rows, outcomes, penalty), abs=1e-6)


def test_columns_of_very_different_scale_have_scikit_learns_weights() -> None:
    rows, outcomes = drawn(4, scale=(20.0, 0.01, 1.0, 3.0))
    found = logistic_regression(rows.tolist(), outcomes.tolist(), penalty=1.0)
    assert found == pytest.approx(scikit_learns(rows, outcomes, 1.0), abs=1e-6)


def test_outcomes_that_a_column_separates_are_held_back_by_the_penalty() -> None:
    rows, outcomes = [[-2.0], [-1.0], [1.0], [2.0]], [False, False, True, True]
    found = logistic_regression(rows, outcomes, penalty=1e-4)
    assert found == pytest.approx(scikit_learns(rows, outcomes, 1e-4), abs=1e-6)
    assert found[1] > 5.0


def test_a_newton_step_that_would_overshoot_is_halved() -> None:
    """Whole steps end here where every row is certain, and no step leads back."""
    rows = [
        [0.228, 0.551, -1.499],
        [-4.058, -1.328, -0.482],
        [-1.512, -12.608, 1.196],
        [0.499, 0.111, -1.494],
        [-0.658, -1.542, -2.472],
        [-0.084, -1.967, 0.523],
        [-2.395, 0.284, 1.333],
        [0.546, 0.417, -1.233],
        [6.469, 1.334, 13.116],
    ]
    outcomes = [at in {2, 3} for at in range(9)]
    found = logistic_regression(rows, outcomes, penalty=1e-4)
    assert found == pytest.approx(scikit_learns(rows, outcomes, 1e-4), abs=1e-6)


def test_numbers_too_large_to_be_told_from_infinity_are_refused() -> None:
    rows, outcomes = [[1e200], [-1e200], [1e200]], [True, False, False]
    with pytest.raises(ValueError, match="too different a size"):
        logistic_regression(rows, outcomes, penalty=1.0)


def test_the_order_of_rows_changes_no_digit() -> None:
    rows, outcomes = (own.tolist() for own in drawn(5))
    backwards = logistic_regression(rows[::-1], outcomes[::-1], penalty=1.0)
    assert backwards == logistic_regression(rows, outcomes, penalty=1.0)


def test_a_column_that_is_always_the_same_gets_no_weight() -> None:
    rows, outcomes = drawn(6)
    found = logistic_regression([[row[0], 0.7] for row in rows.tolist()], outcomes.tolist(), penalty=1.0)
    assert found[2] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("log_odds", [-800.0, -3.0, 0.0, 0.5, 800.0])
def test_chance_and_loss_neither_overflow_nor_lose_what_is_small(log_odds: float) -> None:
    assert logistic(log_odds) == pytest.approx(expit(log_odds), rel=1e-14)
    assert log_loss(log_odds, outcome=True) == pytest.approx(np.logaddexp(0.0, -log_odds), rel=1e-14)
    assert log_loss(log_odds, outcome=False) == pytest.approx(np.logaddexp(0.0, log_odds), rel=1e-14)


@pytest.mark.parametrize(
    ("rows", "outcomes", "penalty", "expected"),
    [
        ([], [], 1.0, "at least one row"),
        ([[], []], [True, False], 1.0, "at least one number"),
        ([[1.0], [2.0]], [True], 1.0, "2 outcomes, one for each row, got 1"),
        ([[1.0], [2.0]], [True, True], 1.0, "both outcomes"),
        ([[1.0], [2.0]], [False, False], 1.0, "both outcomes"),
        ([[1.0], [2.0, 3.0]], [True, False], 1.0, "row 1: expected 1 finite"),
        ([[1.0], [math.nan]], [True, False], 1.0, "row 1: expected 1 finite"),
        ([[math.inf], [1.0]], [True, False], 1.0, "row 0: expected 1 finite"),
        ([[1.0], [2.0]], [True, False], 0.0, "penalty above 0"),
        ([[1.0], [2.0]], [True, False], math.nan, "penalty above 0"),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(
    rows: Sequence[Sequence[float]], outcomes: Sequence[bool], penalty: float, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        logistic_regression(rows, outcomes, penalty=penalty)
