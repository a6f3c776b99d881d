"""Bounds an error rate from a count of errors, exactly: what a guarantee rests on.

The one-sided bound of Clopper and Pearson (1934, Biometrika 26:404) is the greatest rate at which so few errors would
still be seen with probability `delta`: BetaInv(1 - delta; e + 1, n - e). It is found by halving, on the binomial's own
tail, and holds for every n; no normal approximation is made. The tail is summed from its largest term outwards until
what is left cannot be seen in a float, so it takes about as many terms as the distribution is wide. Against SciPy's
inverse beta, bounds are right to 1e-9 for up to a million cases; a tail itself is right to 1e-8 of its size there,
which is what lgamma leaves.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import count
from statistics import NormalDist
from typing import Final

_HALVINGS: Final = 52
_UNSEEN: Final = 1e-18


def tail(errors: int, cases: int, rate: float) -> float:
    """Return the probability of at most `errors` errors in `cases` independent cases that err at `rate`.

    Raises:
        ValueError: when the counts are not 0 <= errors <= cases, or the rate lies outside 0 to 1.
    """
    _counts(errors, cases)
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"expected a rate from 0 to 1, got {rate!r}")
    if errors == cases or rate == 0.0:
        return 1.0
    if rate == 1.0:
        return 0.0
    odds = rate / (1.0 - rate)
    if errors <= cases * rate:
        terms, step = [_mass(errors, cases, rate)], -1
    else:
        # Above the mean the other side is the small one: summing it loses nothing to cancellation.
        terms, step = [_mass(errors + 1, cases, rate)], 1
    at = errors if step < 0 else errors + 1
    while 0 < at + (step > 0) <= cases:
        ratio = at / ((cases - at + 1) * odds) if step < 0 else (cases - at) * odds / (at + 1)
        following = terms[-1] * ratio
        if following <= terms[0] * _UNSEEN:
            break
        terms.append(following)
        at += step
    small = min(1.0, math.fsum(terms))
    return small if step < 0 else 1.0 - small


@lru_cache(maxsize=65536)
def upper_bound(errors: int, cases: int, delta: float) -> float:
    """Return the rate that the true one exceeds with probability at most `delta`: 1 when all cases erred, or none came.

    The result is the upper end of the last halving, so it stands below the bound by no more than the tail's own error.

    Raises:
        ValueError: when the counts are not 0 <= errors <= cases, or `delta` does not lie between 0 and 1.
    """
    _counts(errors, cases)
    _between("delta", delta)
    if errors == cases:
        return 1.0
    least, most = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (least + most) / 2.0
        if tail(errors, cases, middle) <= delta:
            most = middle
        else:
            least = middle
    return most


def interval(errors: int, cases: int, confidence: float) -> tuple[float, float]:
    """Return the two-sided Clopper-Pearson interval: what is left of `confidence` is shared by both sides.

    Raises:
        ValueError: when the counts are not 0 <= errors <= cases, or `confidence` does not lie between 0 and 1.
    """
    _counts(errors, cases)
    _between("confidence", confidence)
    each = (1.0 - confidence) / 2.0
    return 1.0 - upper_bound(cases - errors, cases, each), upper_bound(errors, cases, each)


@lru_cache(maxsize=4096)
def wilson(errors: int, cases: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval (1927, JASA 22:209): narrower than the exact one and right on average only.

    Raises:
        ValueError: when the counts are not 0 <= errors <= cases, or `confidence` does not lie between 0 and 1.
    """
    _counts(errors, cases)
    _between("confidence", confidence)
    if cases == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    rate, spread = errors / cases, z * z / cases
    centre = (rate + spread / 2.0) / (1.0 + spread)
    half = math.sqrt(rate * (1.0 - rate) * spread + spread * spread / 4.0) / (1.0 + spread)
    # At the ends the two terms are equal but for rounding.
    return (
        0.0 if errors == 0 else max(0.0, centre - half),
        1.0 if errors == cases else min(1.0, centre + half),
    )


@lru_cache(maxsize=4096)
def fewest(errors: int, alpha: float, delta: float) -> int:
    """Return the fewest cases that keep `upper_bound` at or below `alpha` with this many errors among them.

    Raises:
        ValueError: when `errors` is below 0, or `alpha` or `delta` does not lie between 0 and 1.
    """
    if errors < 0:
        raise ValueError(f"expected errors from 0, got {errors}")
    _between("alpha", alpha)
    _between("delta", delta)
    # With more cases the same errors become less likely: double until enough, then halve.
    too_few = errors
    enough = next(size for size in (1 << power for power in count()) if _passes(errors, size, alpha, delta))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _passes(errors, middle, alpha, delta):
            enough = middle
        else:
            too_few = middle
    return enough


def _passes(errors: int, cases: int, alpha: float, delta: float) -> bool:
    return cases > errors and tail(errors, cases, alpha) <= delta


def _mass(errors: int, cases: int, rate: float) -> float:
    """Return the probability of exactly so many errors, at a rate strictly between 0 and 1."""
    ways = math.lgamma(cases + 1) - math.lgamma(errors + 1) - math.lgamma(cases - errors + 1)
    return math.exp(ways + errors * math.log(rate) + (cases - errors) * math.log1p(-rate))


def _counts(errors: int, cases: int) -> None:
    if not 0 <= errors <= cases:
        raise ValueError(f"expected 0 <= errors <= cases, got {errors} errors in {cases} cases")


def _between(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"expected {name} between 0 and 1, got {value!r}")
