"""Fits a logistic regression of two outcomes, its weights held back by half their sum of squares times a penalty.

Minimises sum_i log(1 + exp(-s_i (a + x_i . w))) + penalty / 2 |w|^2, s_i = 1 where the outcome is true, else -1; the intercept
a is not held back. The loss is strictly convex where both outcomes occur, so its minimum is one, and Newton's steps reach it
(iteratively reweighted least squares; McCullagh and Nelder 1989, section 2.5), each halved until it lowers the loss by a
quarter of what it promised (Boyd and Vandenberghe 2004, section 9.5): whole steps may end where every row is certain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

Vector: TypeAlias = list[float]

CLOSE: Final = 1e-20
"""A step that promises to lower the loss by less is the last."""

ROUNDING: Final = 1e-9
"""A step that promises more than this, and lowers nothing however often it is halved, is not rounding's."""

KEPT_PROMISE: Final = 0.25
MOST_STEPS: Final = 200
MOST_HALVINGS: Final = 50


def logistic(log_odds: float) -> float:
    """Return the probability that has these log-odds."""
    if log_odds >= 0.0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    power = math.exp(log_odds)
    return power / (1.0 + power)


def log_loss(log_odds: float, *, outcome: bool) -> float:
    """Return minus the logarithm of the probability that these log-odds gave the outcome, in nats."""
    margin = log_odds if outcome else -log_odds
    return max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))


def logistic_regression(
    rows: Sequence[Sequence[float]], outcomes: Sequence[bool], *, penalty: float
) -> tuple[float, ...]:
    """Return the intercept and then one weight for each column.

    Raises:
        ValueError: when there is no row or no column, lengths differ, a number is not finite, only one outcome occurs, the
            penalty is not above zero, or the numbers are of too different a size for the steps to end.
    """
    _check(rows, outcomes, penalty)
    padded = [[1.0, *row] for row in rows]
    weights = [0.0] * len(padded[0])
    for _ in range(MOST_STEPS):
        second, downhill = _newton(padded, outcomes, weights, penalty)
        step = _solve(second, downhill)
        promise = _dot(step, downhill)
        if promise <= CLOSE:
            return tuple(weights)
        after = _lower(padded, outcomes, weights, step, penalty, promise)
        if after is None and promise <= ROUNDING:
            return tuple(weights)
        if after is None:
            break
        weights = after
    raise ValueError("expected rows whose weights Newton's method can find, got some of too different a size")


def _check(rows: Sequence[Sequence[float]], outcomes: Sequence[bool], penalty: float) -> None:
    if not rows or not rows[0]:
        raise ValueError("expected at least one row of at least one number")
    if len(outcomes) != len(rows):
        raise ValueError(f"expected {len(rows)} outcomes, one for each row, got {len(outcomes)}")
    if all(outcomes) or not any(outcomes):
        raise ValueError("expected both outcomes to occur, got one alone")
    for at, row in enumerate(rows):
        if len(row) != len(rows[0]) or not all(map(math.isfinite, row)):
            raise ValueError(f"row {at}: expected {len(rows[0])} finite numbers, got {list(row)}")
    if not (penalty > 0.0 and math.isfinite(penalty)):
        raise ValueError(f"expected a penalty above 0, got {penalty}")


def _newton(
    rows: Sequence[Vector], outcomes: Sequence[bool], weights: Vector, penalty: float
) -> tuple[list[Vector], Vector]:
    """Return the second derivatives of the loss and minus its first ones."""
    chances = [logistic(_dot(row, weights)) for row in rows]
    held = [0.0, *[penalty] * (len(weights) - 1)]
    second = [
        [
            math.fsum(p * (1.0 - p) * row[a] * row[b] for p, row in zip(chances, rows, strict=True))
            + (held[a] if a == b else 0.0)
            for b in range(len(weights))
        ]
        for a in range(len(weights))
    ]
    downhill = [
        math.fsum((right - p) * row[a] for p, right, row in zip(chances, outcomes, rows, strict=True))
        - held[a] * weights[a]
        for a in range(len(weights))
    ]
    return second, downhill


def _lower(
    rows: Sequence[Vector],
    outcomes: Sequence[bool],
    weights: Vector,
    step: Vector,
    penalty: float,
    promise: float,
) -> Vector | None:
    """Return the weights after as much of the step as keeps its promise, None where no part of it does."""
    before = _loss(rows, outcomes, weights, penalty)
    share = 1.0
    for _ in range(MOST_HALVINGS):
        after = [weight + share * change for weight, change in zip(weights, step, strict=True)]
        if _loss(rows, outcomes, after, penalty) < before - KEPT_PROMISE * share * promise:
            return after
        share /= 2.0
    return None


def _loss(rows: Sequence[Vector], outcomes: Sequence[bool], weights: Vector, penalty: float) -> float:
    losses = [log_loss(_dot(row, weights), outcome=right) for row, right in zip(rows, outcomes, strict=True)]
    return math.fsum([*losses, *(0.5 * penalty * weight * weight for weight in weights[1:])])


def _dot(row: Vector, weights: Vector) -> float:
    return math.fsum(number * weight for number, weight in zip(row, weights, strict=True))


def _solve(matrix: Sequence[Vector], right: Vector) -> Vector:
    """Return x with matrix x = right, by elimination with the largest pivot."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        for below in range(at + 1, size):
            ratio = rows[below][at] / rows[at][at]
            rows[below] = [low - ratio * high for low, high in zip(rows[below], rows[at], strict=True)]
    solution = [0.0] * size
    for at in reversed(range(size)):
        known = math.fsum(rows[at][after] * solution[after] for after in range(at + 1, size))
        solution[at] = (rows[at][size] - known) / rows[at][at]
    return solution
