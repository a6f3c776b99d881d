"""Tells whether a seat still answers fixed cases as it did: an exact test that holds for any distribution of answers.

A canary case is asked again and again, each time with seeds of its own. While nothing has changed, every draw of a case comes
from one distribution, whatever that is: the draws of the baseline and those of tonight are then exchangeable, and given how
often each answer fell in all, tonight's counts are a multivariate hypergeometric draw. Nothing is estimated and nothing
assumed beyond that. Cases are strata: each keeps its own margins.

The statistic is the surprise of tonight's tables, in `PARTS` of a bit: for each case the logarithm of how many of all ways of
dealing its draws out give this table, rounded down factor by factor and so a whole number, summed over cases. One stratum alone,
that is the ordering of Fisher's exact test in its form for more than two columns (Freeman and Halton 1951, Biometrika
38:141). Its null distribution is found by convolution in whole numbers, so the p-value is a fraction and exact:
P(p <= a) <= a for every a. The same baseline serves many nights, so one unlucky baseline makes several nights unlucky; the
expected number of false alarms, which is what is bounded, does not care.

A seat that always answers the same has one table alone under the null and no surprise; when all of tonight's draws of one case
are another answer, p is 1 / C(before + now, now), whatever the rest does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, prod
from typing import Final

PARTS: Final = 8
"""The statistic counts eighths of a bit."""

NIGHTS_A_YEAR: Final = 366


@dataclass(frozen=True, slots=True)
class CaseCounts:
    """How often each answer fell in one canary case, in the baseline and tonight."""

    case: str
    before: Mapping[str, int]
    now: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the test says: the exact p-value, the surprise behind it, and each case's share of it, the greatest first."""

    p_value: Fraction
    surprise: int
    cases: tuple[tuple[str, int], ...]


def compare(counted: Sequence[CaseCounts]) -> Comparison:
    """Return how tonight's answers compare with the baseline's.

    Raises:
        ValueError: when there is no case, a case was drawn on one side alone, or a count is negative.
    """
    if not counted:
        raise ValueError("expected at least one case, got none")
    observed: list[tuple[str, int]] = []
    laws: list[Mapping[int, int]] = []
    for case in counted:
        margins, now = _table(case)
        observed.append((case.case, _surprise(margins, now)))
        laws.append(_law(tuple(sorted(margins)), sum(now)))
    surprise = sum(own for _, own in observed)
    p_value = _tail(laws, surprise)
    return Comparison(p_value, surprise, tuple(sorted(observed, key=lambda own: (-own[1], own[0]))))


def level(false_alarms_a_year: Fraction, seats: int) -> Fraction:
    """Return the p-value at or below which a seat alarms in a night.

    The expected number of false alarms a year over all `seats` is then at most `false_alarms_a_year`, however the seats
    depend on one another (Bonferroni).

    Raises:
        ValueError: when there is no seat, or the number of alarms is not above zero.
    """
    if seats < 1 or false_alarms_a_year <= 0:
        raise ValueError("expected at least one seat and a number of false alarms above zero")
    return min(Fraction(1), false_alarms_a_year / (NIGHTS_A_YEAR * seats))


def _table(case: CaseCounts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how often each answer fell in all and tonight, in one order of answers."""
    answers = sorted(case.before.keys() | case.now.keys())
    before = tuple(case.before.get(answer, 0) for answer in answers)
    now = tuple(case.now.get(answer, 0) for answer in answers)
    if min((*before, *now), default=0) < 0:
        raise ValueError(f"case {case.case}: expected counts from zero")
    if not sum(before) or not sum(now):
        raise ValueError(f"case {case.case}: expected draws in the baseline and tonight")
    return tuple(old + new for old, new in zip(before, now, strict=True)), now


def _surprise(margins: Sequence[int], now: Sequence[int]) -> int:
    """Return the surprise of one table; never below zero, since the ways of one table are some of all ways."""
    ways = sum(_parts(comb(margin, drawn)) for margin, drawn in zip(margins, now, strict=True))
    return _parts(comb(sum(margins), sum(now))) - ways


@lru_cache(maxsize=4096)
def _law(margins: tuple[int, ...], drawn: int) -> Mapping[int, int]:
    """Return, for each surprise that a case with these margins can have, how many ways of dealing `drawn` out give it."""
    # By (drawn so far, logarithms so far): answers come one by one, so many of them cost no more than their number.
    ways: dict[tuple[int, int], int] = {(0, 0): 1}
    for margin in margins:
        longer: defaultdict[tuple[int, int], int] = defaultdict(int)
        for (so_far, parts), count in ways.items():
            for own in range(min(margin, drawn - so_far) + 1):
                longer[so_far + own, parts + _parts(comb(margin, own))] += count * comb(margin, own)
        ways = longer
    most = _parts(comb(sum(margins), drawn))
    return {most - parts: count for (dealt, parts), count in ways.items() if dealt == drawn}


def _tail(laws: Iterable[Mapping[int, int]], surprise: int) -> Fraction:
    """Return the probability of at least this surprise over independent cases."""
    sums = Counter({0: 1})
    whole = 1
    for law in laws:
        longer: Counter[int] = Counter()
        for so_far, count in sums.items():
            for own, ways in law.items():
                # Whatever has reached the observed surprise stays above it.
                longer[min(so_far + own, surprise)] += count * ways
        sums, whole = longer, whole * sum(law.values())
    return Fraction(sums[surprise], whole)


def _parts(ways: int) -> int:
    """Return `PARTS` times the binary logarithm of a whole number from 1, rounded down, in whole numbers alone."""
    return int(prod([ways] * PARTS)).bit_length() - 1
