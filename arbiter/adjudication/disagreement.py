"""Measures disagreement: in all, between members, and within them, each from 0 (none) to 1 (as much as can be).

Between members is the Jensen-Shannon divergence of their distributions, H(mean) - mean H, over the most it can be for
these weights, min(ln K, H(weights)) (Lin 1991, IEEE Trans. Inf. Theory 37:145). Within is the mean entropy of a
member's own samples; one minus it, member by member, is self-consistency (arXiv 2203.11171). Entropies are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arbiter.adjudication.aggregation import mixture


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The three measures, 0 to 1."""

    total: float
    between: float
    within: float


def entropy(shares: Sequence[float]) -> float:
    """Return the Shannon entropy of a distribution, in nats; 0 ln 0 is 0."""
    return max(0.0, -math.fsum(share * math.log(share) for share in shares if share > 0.0))


def self_consistency(shares: Sequence[float]) -> float:
    """Return 1 - H / ln K for one member's samples over K options: 1 when all agree."""
    return 1.0 - _bounded(entropy(shares) / math.log(len(shares)))


def measure(weights: Sequence[float], distributions: Sequence[Sequence[float]]) -> Disagreement:
    """Return the disagreement of at least two members over at least two options.

    Args:
        weights: how much each member counts, above zero, summing to 1.
        distributions: each member's shares of the options, summing to 1.

    Raises:
        ValueError: when there are fewer than two members: one alone cannot disagree, nor agree.
    """
    if len(distributions) < 2:
        raise ValueError(f"expected at least two members, got {len(distributions)}")
    most = math.log(len(distributions[0]))
    in_all = entropy(mixture(weights, distributions, len(distributions[0])))
    own = math.fsum(weight * entropy(shares) for weight, shares in zip(weights, distributions, strict=True))
    # Members that said exactly the same differ by nothing, not by what rounding leaves over.
    same = all(shares == distributions[0] for shares in distributions)
    between = 0.0 if same else _bounded((in_all - own) / min(most, entropy(weights)))
    return Disagreement(total=_bounded(in_all / most), between=between, within=_bounded(own / most))


def _bounded(value: float) -> float:
    return min(1.0, max(0.0, value))
