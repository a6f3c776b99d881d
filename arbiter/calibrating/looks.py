"""Accounts for looking at one guarantee set more than once: what all looks spend together stays within the protocol's delta.

A certificate made at `delta` is wrong with at most that chance. Who certifies on the same cases again and puts in force
whichever certificate comes out is wrong with at most the sum of what each was made at (Bonferroni's inequality, whatever the
certificates have to do with each other, as long as the panels were not chosen by what single cases of that set showed; that
no account makes good). So each look spends a share of delta, and shares are laid out beforehand as levels
of repeated tests are (Lan and DeMets, Discrete sequential boundaries for clinical trials, Biometrika 1983).

Look N of a series spends delta / (N (N + 1)): a half, a sixth, a twelfth. N looks have spent delta N / (N + 1), all that may
ever come delta. The first has the half, and a late one still more than a geometric series would leave it. A look that is to
be the only one may spend the whole.

Which cases a calibration was certified on it tells by their marks, the least hashes among them (Broder, On the resemblance
and containment of documents, 1997): of two sets that have a twentieth of all their cases in common, a mark is common too in 998 of 1,000 such pairs.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal
from itertools import count
from typing import Final

from arbiter.calibration import Calibration, Labels

MOST_LOOKS: Final = 100
MARKS: Final = 128
"""How many marks a set of cases has at most."""

_STEP: Final = Decimal("0.000001")
_MARK_DIGITS: Final = 16


def share(delta: Decimal, look: int | None) -> Decimal:
    """Return what a look may spend of a protocol's `delta`, rounded down to six decimals; None is the only look.

    Raises:
        ValueError: when `look` is not from 1 to 100, or too little is left of delta to be written.
    """
    if look is None:
        return delta
    if not 1 <= look <= MOST_LOOKS:
        raise ValueError(f"expected a look from 1 to {MOST_LOOKS}, got {look}")
    found = (delta / (look * (look + 1))).quantize(_STEP, ROUND_FLOOR)
    if not found:
        raise ValueError(f"look {look}: expected a share of at least {_STEP}, delta {delta} leaves less")
    return found


def next_look(delta: Decimal, left: Decimal) -> int | None:
    """Return the first look of a series whose share is within what is `left` of delta; None where nothing can be."""
    for look in count(1):
        try:
            if share(delta, look) <= left:
                return look
        except ValueError:
            return None
    return None


def marks(cases: Iterable[bytes]) -> tuple[str, ...]:
    """Return the marks of a set of cases, sorted: hex digits of the least hashes, all of them where there are few.

    Args:
        cases: what tells one case from all others, and is not to be guessed: a mark would say that the guess was right.
    """
    hashed = {hashlib.sha256(case).hexdigest()[:_MARK_DIGITS] for case in cases}
    return tuple(heapq.nsmallest(MARKS, hashed))


def are_marks(given: tuple[str, ...], cases: int) -> bool:
    """Tell whether these can be the marks of so many different cases."""
    return (
        len(given) == min(MARKS, cases)
        and list(given) == sorted(set(given))
        and all(len(mark) == _MARK_DIGITS and not set(mark) - set("0123456789abcdef") for mark in given)
    )


def share_cases(one: Labels, other: Labels) -> bool:
    """Tell whether two calibrations are known to have been certified on a same case."""
    return one.cases_hash == other.cases_hash or not set(one.marks).isdisjoint(other.marks)


def spent(calibration: Calibration, earlier: Iterable[Calibration]) -> tuple[int, Decimal]:
    """Return how many of the `earlier` looked at cases of this calibration, and what they spent of delta together."""
    before = [each.delta for each in earlier if share_cases(each.labels, calibration.labels)]
    return len(before), sum(before, Decimal(0))
