"""Judges probabilities by the truth: accuracy, log loss, calibration error; and takes means with their errors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Probabilities: TypeAlias = Sequence[float]
"""One number an option, summing to 1."""

FLOOR: Final = 0.001
"""No probability counts as less in the log loss: a share of votes may be 0, and one such case would outweigh all."""

BINS: Final = 10
SAME: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Judged:
    """Of some cases: the share decided rightly, the mean log loss in nats, the expected calibration error."""

    accuracy: float
    log_loss: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over repetitions and its standard error; `z` is how many of these it lies from 0."""

    value: float
    error: float

    @property
    def z(self) -> float:
        """The mean in standard errors; 0 when both are 0."""
        if self.error:
            return self.value / self.error
        return math.copysign(math.inf, self.value) if self.value else 0.0


def judge(said: Sequence[Probabilities], truths: Sequence[int]) -> Judged:
    """Return how good these probabilities were. Among options that lead together one is taken as if by lot."""
    right, confidence, losses = [], [], []
    for probabilities, truth in zip(said, truths, strict=True):
        most = max(probabilities)
        leaders = [at for at, each in enumerate(probabilities) if most - each <= SAME]
        right.append((truth in leaders) / len(leaders))
        confidence.append(most)
        losses.append(-math.log(max(probabilities[truth], FLOOR)))
    return Judged(math.fsum(right) / len(right), math.fsum(losses) / len(losses), _gap(confidence, right))


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of at least two repetitions."""
    return Mean(statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values)))


def _gap(confidence: Sequence[float], right: Sequence[float]) -> float:
    """Return the expected calibration error over equal bins, weighed by their cases (Guo et al. 2017, eq. 3)."""
    bins: list[list[float]] = [[] for _ in range(BINS)]
    for sure, correct in zip(confidence, right, strict=True):
        bins[min(int(sure * BINS), BINS - 1)].append(sure - correct)
    return math.fsum(abs(math.fsum(own)) for own in bins) / len(confidence)
