"""Measures how far several coders agree beyond chance: Krippendorff's alpha for values without an order.

    alpha = 1 - D_o / D_e = 1 - (n - 1) sum_u (m_u^2 - sum_c n_uc^2) / (m_u - 1) / (n^2 - sum_c n_c^2)

with n_uc how often unit u got value c, m_u how many values it got, n_c and n their sums over units with at least two
values (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability). 1 is full agreement, 0 what chance would bring,
and below 0 coders agree less than that. A unit with fewer than two values has no pair and does not count; who gave a
value does not matter. Whole numbers and fractions until the end, so the result does not depend on the order of units.

What alpha takes of its units are a few sums, so units can come one by one and need not be kept: `Agreement`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Agreement:
    """What alpha takes of the options that coders gave so far: sums over `units`, and nothing of any one of them.

    `given` is how often each option was given (n_c), by option; `differing` the pairs that differ, by how many gave one (m_u).
    """

    units: int = 0
    given: tuple[tuple[str, int], ...] = ()
    differing: tuple[tuple[int, int], ...] = ()

    def after(self, options: Sequence[str | None]) -> Agreement:
        """Return the sums with one more unit, given by its coders' options, None where a coder gave none."""
        given, differing = Counter[Hashable](dict(self.given)), Counter(dict(self.differing))
        _add(options, given, differing)
        by_option = sorted((str(option), count) for option, count in given.items())
        return Agreement(self.units + 1, tuple(by_option), tuple(sorted(differing.items())))

    @property
    def alpha(self) -> float | None:
        """Krippendorff's alpha of these units; None as for `krippendorff_alpha`."""
        return _alpha(Counter[Hashable](dict(self.given)), Counter(dict(self.differing)))


def krippendorff_alpha(units: Sequence[Sequence[Hashable | None]]) -> float | None:
    """Return alpha of these units, each the values its coders gave, None where a coder gave none.

    Returns:
        None where alpha is 0 / 0: when no unit has two values, or all values that can be compared are the same. Coders
        who never used but one value may agree, or not look; there is nothing that chance could have got wrong.

    Raises:
        ValueError: when a value is unequal to itself, as NaN is: a missing value is None.
    """
    given: Counter[Hashable] = Counter()
    # By m_u, so that the fractions to be summed are as many as there are numbers of coders.
    differing: Counter[int] = Counter()
    for values in units:
        _add(values, given, differing)
    return _alpha(given, differing)


def _add(values: Sequence[Hashable | None], given: Counter[Hashable], differing: Counter[int]) -> None:
    own = Counter(value for value in values if value is not None)
    if any(value != value for value in own):  # noqa: PLR0124 - that is how a NaN of any type is told
        raise ValueError("expected None for a missing value, got one that is unequal to itself")
    if own.total() < 2:
        return
    given.update(own)
    differing[own.total()] += own.total() ** 2 - _squares(own)


def _alpha(given: Counter[Hashable], differing: Counter[int]) -> float | None:
    whole = given.total()
    by_chance = whole**2 - _squares(given)
    if by_chance == 0:
        return None
    observed = sum((Fraction(pairs, size - 1) for size, pairs in differing.items()), Fraction(0))
    return float(1 - (whole - 1) * observed / by_chance)


def _squares(counts: Counter[Hashable]) -> int:
    return sum(count * count for count in counts.values())
