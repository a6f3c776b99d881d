"""Finds the one temperature under which the posterior is as sure as it is right, on cases that fitted nothing else.

Temperature scaling (Guo et al. 2017, arXiv 1706.04599): the T that minimises the mean negative log-likelihood of
softmax(x / T). In b = 1 / T that is a mean of log-sum-exps of linear functions and so convex; its slope, the mean of
E_b[x] - x_truth, only rises, and its root is found by Newton's steps kept inside a bracket that each step narrows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LOWEST: Final = 0.05
HIGHEST: Final = 20.0
"""Between these T is sought. Cases that are all right would drive it to 0, cases that mislead to infinity."""

CLOSE: Final = 1e-12
MOST_STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class Temperature:
    """The temperature, whether it is a bound and no minimum, and the mean negative log-likelihood it leaves, in nats."""

    value: float
    at_bound: bool
    mean_loss: float


def fit_temperature(logarithms: Sequence[Sequence[float]], truths: Sequence[int]) -> Temperature:
    """Return the temperature from `LOWEST` to `HIGHEST` that makes these truths likeliest.

    Where every case gives all its options the same, no temperature matters, and it is 1.

    Args:
        logarithms: for each held-out case the unnormalised logarithm of each option's probability.
        truths: the index of each case's truth.

    Raises:
        ValueError: when there is no case, lengths differ, a truth is not an option, or a logarithm is not finite.
    """
    leads = _leads(logarithms, truths)
    if not any(lead for case in leads for lead in case):
        return Temperature(1.0, at_bound=False, mean_loss=_loss(leads, 1.0))
    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    if _slope(leads, low)[0] >= 0.0:
        return Temperature(HIGHEST, at_bound=True, mean_loss=_loss(leads, low))
    if _slope(leads, high)[0] <= 0.0:
        return Temperature(LOWEST, at_bound=True, mean_loss=_loss(leads, high))
    inverse = _root(leads, low, high)
    return Temperature(1.0 / inverse, at_bound=False, mean_loss=_loss(leads, inverse))


def _leads(logarithms: Sequence[Sequence[float]], truths: Sequence[int]) -> list[list[float]]:
    """Return by how much each option leads the truth in each case."""
    if not logarithms:
        raise ValueError("expected at least one held-out case, got none")
    if len(truths) != len(logarithms):
        raise ValueError(f"expected {len(logarithms)} truths, one for each case, got {len(truths)}")
    leads = []
    for at, (case, truth) in enumerate(zip(logarithms, truths, strict=True)):
        if not 0 <= truth < len(case):
            raise ValueError(f"case {at}: expected a truth from 0 to {len(case) - 1}, got {truth}")
        if not all(map(math.isfinite, case)):
            raise ValueError(f"case {at}: expected finite logarithms, got {list(case)}")
        leads.append([logarithm - case[truth] for logarithm in case])
    return leads


def _root(leads: Sequence[Sequence[float]], low: float, high: float) -> float:
    """Return where the slope, below zero at `low` and above at `high`, is zero."""
    inverse = min(max(1.0, low), high)
    for _ in range(MOST_STEPS):
        slope, curvature = _slope(leads, inverse)
        if slope < 0.0:
            low = inverse
        else:
            high = inverse
        newton = inverse - slope / curvature if curvature > 0.0 else low
        following = newton if low < newton < high else 0.5 * (low + high)
        if abs(following - inverse) <= CLOSE * inverse:
            return following
        inverse = following
    return inverse


def _slope(leads: Sequence[Sequence[float]], inverse: float) -> tuple[float, float]:
    """Return the first and second derivative, in 1 / T, of the mean negative log-likelihood."""
    first: list[float] = []
    second: list[float] = []
    for case in leads:
        most = max(case)
        powers = [math.exp(inverse * (lead - most)) for lead in case]
        whole = math.fsum(powers)
        mean = math.fsum(power * lead for power, lead in zip(powers, case, strict=True)) / whole
        spread = (
            math.fsum(power * (lead - mean) ** 2 for power, lead in zip(powers, case, strict=True)) / whole
        )
        first.append(mean)
        second.append(spread)
    return math.fsum(first) / len(leads), math.fsum(second) / len(leads)


def _loss(leads: Sequence[Sequence[float]], inverse: float) -> float:
    """Return the mean negative log-likelihood at 1 / T, in nats."""
    losses = []
    for case in leads:
        most = max(case)
        losses.append(
            inverse * most + math.log(math.fsum(math.exp(inverse * (lead - most)) for lead in case))
        )
    return math.fsum(losses) / len(leads)
