"""Learns from labelled cases how likely the leading option is right, from more than the posterior; seated only where it wins.

The stacker is a logistic regression with one inspectable weight for each sign. It costs something: more to explain, more to
watch. So it takes the posterior's place only where it lowers the log loss on cases that fitted neither, by a one-sided paired
t-test of the cases' losses (Student 1908, Biometrika 6:1) at a level of 5%. Below `FEWEST_HELD_OUT` cases the mean of such
skewed differences is not near enough to normal for the test, and the posterior stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from arbiter.calibrating.logistic import log_loss, logistic, logistic_regression

LEVEL: Final = 0.05
FEWEST_HELD_OUT: Final = 30


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a case's leading option before its truth.

    Attributes:
        log_odds: ln(p / (1 - p)) of the option's posterior probability p.
        self_consistency: the mean over members of their agreement with themselves, 0 to 1.
        groundedness: the share of what members cite that the case holds, 0 to 1.
        confidence: the mean of members' stated and calibrated confidence, 0 to 1.
    """

    log_odds: float
    self_consistency: float
    groundedness: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Stacker:
    """An intercept and each sign's weight: what one more of it adds to the log-odds that the leading option is right."""

    intercept: float
    log_odds: float
    self_consistency: float
    groundedness: float
    confidence: float

    def log_odds_right(self, signs: Signs) -> float:
        """Return the log-odds that the leading option is right."""
        intercept, *weights = astuple(self)
        terms = (weight * sign for weight, sign in zip(weights, astuple(signs), strict=True))
        return math.fsum([intercept, *terms])

    def chance_right(self, signs: Signs) -> float:
        """Return the probability that the leading option is right."""
        return logistic(self.log_odds_right(signs))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A case that fitted neither the posterior nor the stacker: its signs, and whether the leading option was right."""

    signs: Signs
    right: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """How much lower the stacker's mean log loss is than the posterior's, in nats, and the test's p-value."""

    gain: float
    p_value: float


def fit_stacker(signs: Sequence[Signs], right: Sequence[bool], *, penalty: float = 1.0) -> Stacker:
    """Return the stacker that fits these cases best, its weights held back by the penalty as `logistic` says.

    Raises:
        ValueError: as `logistic_regression` does; so also when the leading option was right in all cases, or in none.
    """
    return Stacker(*logistic_regression([astuple(own) for own in signs], right, penalty=penalty))


def tried(stacker: Stacker, held_out: Sequence[HeldOut]) -> Trial:
    """Return how the stacker does against the posterior alone.

    Raises:
        ValueError: when there are fewer than two cases.
    """
    gains = [
        log_loss(case.signs.log_odds, outcome=case.right)
        - log_loss(stacker.log_odds_right(case.signs), outcome=case.right)
        for case in held_out
    ]
    return Trial(*paired_test(gains))


def wins(stacker: Stacker, held_out: Sequence[HeldOut]) -> bool:
    """Return whether the stacker may take the posterior's place: it beat it, on cases enough to say so."""
    return len(held_out) >= FEWEST_HELD_OUT and tried(stacker, held_out).p_value <= LEVEL


def paired_test(differences: Sequence[float]) -> tuple[float, float]:
    """Return the mean of n differences and the probability of one as high were they none in truth: Student's t, one-sided.

    Differences that are all the same have no spread to judge by: their probability is 0 where they are above zero, else 1.

    Raises:
        ValueError: when there are fewer than two.
    """
    number = len(differences)
    if number < 2:
        raise ValueError(f"expected at least two differences, got {number}")
    mean = math.fsum(differences) / number
    variance = math.fsum((each - mean) ** 2 for each in differences) / (number - 1)
    if variance == 0.0:
        return mean, 0.0 if mean > 0.0 else 1.0
    return mean, _upper_tail(mean / math.sqrt(variance / number), number - 1)


def _upper_tail(statistic: float, freedom: int) -> float:
    """Return P(t >= statistic): the finite series for whole degrees of freedom, Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(statistic / math.sqrt(freedom))
    sine, cosine_squared = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    terms = [term] if freedom > 1 else []
    for at in range(2 + odd, freedom - 1, 2):
        term *= cosine_squared * (at - 1) / at
        terms.append(term)
    within = sine * math.fsum(terms)
    if odd:
        within = (angle + within) * 2.0 / math.pi
    return 0.5 * (1.0 - within)
