"""Bounds an error rate from audits that were drawn with unequal, known probabilities.

A decision that was audited with probability p stands for 1 / p decisions. The rate m is doubted by betting against it:

    K(m) = prod over audits of (1 - c (w_i / W) (err_i - m) / (1 - m)),   w_i = 1 / p_i,   W the greatest weight allowed

A decision that is not audited leaves K as it is, and one that may be has, whatever came before, an expected factor of
at most 1 as long as decisions err at m or more. So K(m) reaches 1 / delta with probability at most delta, and the bound
is the least m that is so doubted (betting: Waudby-Smith and Ramdas, JRSS-B 2024, arXiv 2010.09686; weights:
Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022, arXiv 2210.10768).

Several c in (0, 1) each bet a share; the best one is 1 - rate / m, wherever the rate lies. Each K(m) rises with m,
hence so does their mean, and halving finds the bound. Constant bets multiply in any order: the order of audits does not
count. Hoeffding's bound for the same variables would be far wider, since it knows nothing of the variance of a rare
error.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_BETS: Final = tuple(math.sin(math.pi * (2 * at + 1) / 64) ** 2 for at in range(16))
"""Denser toward 0 and 1: spread as the arcsine law, which costs about the same wherever the best bet lies."""

_HALVINGS: Final = 52


@dataclass(frozen=True, slots=True)
class Audited:
    """An audited decision: whether it was wrong, and with what probability it was audited, above 0 and at most 1."""

    error: bool
    probability: float

    def __post_init__(self) -> None:
        """Refuse a probability that is none."""
        if not 0.0 < self.probability <= 1.0:
            raise ValueError(
                f"expected a sampling probability above 0 and at most 1, got {self.probability!r}"
            )


def weighted_rate(audits: Sequence[Audited]) -> float:
    """Return the estimate of the error rate: each audit counts for 1 / probability, and the sum of these for the whole.

    Raises:
        ValueError: when there is no audit.
    """
    if not audits:
        raise ValueError("expected at least one audit, got none")
    weights = [1.0 / audit.probability for audit in audits]
    wrong = (weight for weight, audit in zip(weights, audits, strict=True) if audit.error)
    return math.fsum(wrong) / math.fsum(weights)


def weighted_bound(audits: Sequence[Audited], least_probability: float, delta: float) -> float:
    """Return the rate that the true one exceeds with probability at most `delta`; 1 when nothing was audited.

    Args:
        audits: all audits of the decisions in question, in any order.
        least_probability: the least with which any decision was to be audited, fixed before the first: the lesser, the
            wider is the bound, since one error then may stand for many.
        delta: the probability that the bound may be wrong.

    Raises:
        ValueError: when an audit was less probable than that, or a number lies outside its range.
    """
    if not 0.0 < least_probability <= 1.0:
        raise ValueError(f"expected a least probability above 0 and at most 1, got {least_probability!r}")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"expected delta between 0 and 1, got {delta!r}")
    for audit in audits:
        if audit.probability < least_probability:
            raise ValueError(
                f"expected every sampling probability from {least_probability!r}, got {audit.probability!r}"
            )
    shares = Counter((audit.error, least_probability / audit.probability) for audit in audits)
    # Sorted, so that sums do not depend on the order of audits either.
    counted = sorted(shares.items())
    enough = -math.log(delta)
    least, most = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (least + most) / 2.0
        if _log_doubt(counted, middle) >= enough:
            most = middle
        else:
            least = middle
    return most


def _log_doubt(counted: Sequence[tuple[tuple[bool, float], int]], rate: float) -> float:
    """Return the logarithm of the mean of K(rate) over the bets, for a rate between 0 and 1."""
    odds = rate / (1.0 - rate)
    logs = [
        math.fsum(
            times * math.log1p(-bet * share if error else bet * share * odds)
            for (error, share), times in counted
        )
        for bet in _BETS
    ]
    most = max(logs)
    return most + math.log(math.fsum(math.exp(each - most) for each in logs) / len(logs))
