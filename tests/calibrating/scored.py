"""Cases whose answers err as their scores say, and the error rate of what a threshold accepts of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from arbiter.adjudication.aggregation import NEAR
from arbiter.calibrating.guarantee import Scored

ALPHA, DELTA = 0.05, 0.05


def cases(chance: random.Random, size: int, worst: float) -> list[Scored]:
    """Cases whose answers are wrong with probability `worst` at score one half, falling as a cube to 0 at score 1."""
    scores = (chance.uniform(0.5, 1.0) for _ in range(size))
    return [Scored(score, chance.random() >= worst * (2 * (1 - score)) ** 3) for score in scores]


def true_error(worst: float, threshold: float) -> float:
    """The error rate of what is accepted above a threshold, for `cases`: the mean of a cube."""
    return worst * (2 * (1 - max(0.5, threshold + NEAR))) ** 3 / 4


def scores(given: Sequence[Scored]) -> list[float]:
    return [case.score for case in given]
