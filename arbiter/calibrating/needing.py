"""Tells how many more labelled cases a certificate would take, so that labelling can be planned.

Nothing is certified before the strictest threshold of the sequence passes, so that is the one whose needs are stated.
It is assumed that among new cases the threshold accepts the same share and errs at the same rate as among those seen,
errors rounded up; where no error was seen, that none comes. That makes it an estimate and no promise: the rate seen is
itself uncertain, and a certificate on more cases must be made on a guarantee set that no earlier look at it has chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from arbiter.calibrating.binomial import fewest, upper_bound
from arbiter.calibrating.guarantee import Certified, Tested

_MOST_LABELS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Needed:
    """How many more labelled cases of the stratum a level takes, and how many of those would be accepted."""

    alpha: float
    cases: int
    accepted: int


def next_level(certified: Certified, levels: Sequence[float]) -> float | None:
    """Return the next to reach: the certificate's own while it certifies nothing, else the next lower of `levels`."""
    if certified.threshold is None:
        return certified.alpha
    return max((level for level in levels if level < certified.alpha), default=None)


def needed(first: Tested, cases: int, alpha: float, delta: float) -> Needed | None:
    """Return how many more labelled cases it would take until the strictest threshold tested passes at `alpha`.

    Args:
        first: the first test of a certificate's path.
        cases: among how many labelled cases it accepted that many.
        alpha: the error rate to stay within.
        delta: the certificate's own.

    Returns:
        None when no number is enough: the threshold accepted nothing, its rate is not below `alpha`, or more than a
        million labels would have to be accepted.

    Raises:
        ValueError: when `alpha` does not lie between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"expected alpha between 0 and 1, got {alpha!r}")
    if first.accepted == 0:
        return None
    if first.bound <= alpha:
        return Needed(alpha, 0, 0)
    enough = _enough(first.errors, first.accepted, alpha, delta)
    if enough is None:
        return None
    more = enough - first.accepted
    return Needed(alpha, math.ceil(Fraction(more * cases, first.accepted)), more)


def _enough(errors: int, accepted: int, alpha: float, delta: float) -> int | None:
    """Return how many accepted cases pass at the rate `errors` / `accepted`."""
    if errors == 0:
        return max(fewest(0, alpha, delta), accepted)
    if errors >= accepted * alpha:
        return None

    def passes(size: int) -> bool:
        return upper_bound(-(-errors * size // accepted), size, delta) <= alpha

    if not passes(_MOST_LABELS):
        return None
    # Passing is monotone but for the steps of whole errors, and any size that passes is an answer.
    too_few, enough = accepted, _MOST_LABELS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if passes(middle):
            enough = middle
        else:
            too_few = middle
    return enough
