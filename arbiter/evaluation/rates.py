"""Rates, means and differences with their 95 % intervals: no figure of the report stands without one.

A rate has Wilson's interval (1927, JASA 22:209), a difference of two independent rates Newcombe's hybrid of their two (1998,
Statist. Med. 17:873, method 10), a mean over cases the normal one of its standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from arbiter.calibrating.binomial import wilson
from arbiter.evaluation.ballots import Floats

CONFIDENCE: Final = 0.95
_Z: Final = NormalDist().inv_cdf((1.0 + CONFIDENCE) / 2.0)


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `of`; `value`, `low` and `high` are None where there is nothing to count."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


def rate(count: int, of: int) -> Rate:
    """Return a rate with its interval."""
    if of == 0:
        return Rate(0, 0, None, None, None)
    low, high = wilson(int(count), int(of), CONFIDENCE)
    return Rate(int(count), int(of), int(count) / int(of), low, high)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number estimated from cases, `value`, with its interval from `low` to `high`; all None where it cannot be."""

    value: float | None
    low: float | None
    high: float | None


NO_ESTIMATE: Final = Estimate(None, None, None)


def difference(one: Rate, other: Rate) -> Estimate:
    """Return one rate less the other, which must be of other cases."""
    if one.value is None or one.low is None or one.high is None:
        return NO_ESTIMATE
    if other.value is None or other.low is None or other.high is None:
        return NO_ESTIMATE
    gap = one.value - other.value
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(gap, gap - down, gap + up)


def mean(values: Floats) -> Estimate:
    """Return the mean of one number a case; without an interval's width where there is one case alone."""
    if not len(values):
        return NO_ESTIMATE
    middle = float(values.mean())
    if len(values) == 1:
        return Estimate(middle, None, None)
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(middle, middle - half, middle + half)
