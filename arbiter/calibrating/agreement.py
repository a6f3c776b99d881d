"""Measures how far several coders agree beyond chance: Krippendorff's alpha for values without an order.

    alpha = 1 - D_o / D_e = 1 - (n - 1) sum_u (m_u^2 - sum_c n_uc^2) / (m_u - 1) / (n^2 - sum_c n_c^2)

with n_uc how often unit u got value c, m_u how many values it got, n_c and n their sums over units with at least two
values (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability). 1 is full agreement, 0 what chance would bring,
and below 0 coders agree less than that. A unit with fewer than two values has no pair and does not count; who gave a
value does not matter. Whole numbers and fractions until the end, so the result does not depend on the order of units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction


def krippendorff_alpha(units: Sequence[Sequence[Hashable | None]]) -> float | None:
    """Return alpha of these units, each the values its coders gave, None where a coder gave none.

    Returns:
        None where alpha is 0 / 0: when no unit has two values, or all values that can be compared are the same. Coders
        who never used but one value may agree, or not look; there is nothing that chance could have got wrong.

    Raises:
        ValueError: when a value is unequal to itself, as NaN is: a missing value is None.
    """
    in_all: Counter[Hashable] = Counter()
    # By m_u, so that the fractions to be summed are as many as there are numbers of coders.
    differing: Counter[int] = Counter()
    for values in units:
        own = Counter(value for value in values if value is not None)
        if any(value != value for value in own):  # noqa: PLR0124 - that is how a NaN of any type is told
            raise ValueError("expected None for a missing value, got one that is unequal to itself")
        if own.total() < 2:
            continue
        in_all.update(own)
        differing[own.total()] += own.total() ** 2 - _squares(own)
    whole = in_all.total()
    by_chance = whole**2 - _squares(in_all)
    if by_chance == 0:
        return None
    observed = sum((Fraction(pairs, size - 1) for size, pairs in differing.items()), Fraction(0))
    return float(1 - (whole - 1) * observed / by_chance)


def _squares(counts: Counter[Hashable]) -> int:
    return sum(count * count for count in counts.values())
