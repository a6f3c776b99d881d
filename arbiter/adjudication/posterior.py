"""Turns what members said into the probability of each option.

Naive Bayes over reliability matrices, each member's word raised to the weight that the independence of its errors leaves
it, then one temperature for the whole:

    log pi_k = (log prior_k + sum_j w_j sum_l p_jl log T_j[k, l]) / temperature, normalised over k

with p_jl the share of member j's valid samples that said l, T_j[k, l] = P(j says l | truth k) (Dawid and Skene 1979,
Appl. Statist. 28:20), and w_j = 1 / sum_i max(rho_ij, 0), rho_jj = 1, over the members that are present: two that always err
together count as one (arXiv 2506.07962). Temperature scaling: Guo et al. 2017, arXiv 1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

Shares: TypeAlias = Sequence[float]
"""K numbers from 0 to 1 that sum to 1: one for each option."""

Matrix: TypeAlias = Sequence[Sequence[float]]
"""Rows of numbers. A reliability matrix is K x K, its rows the truth and each summing to 1; a correlation matrix J x J."""


@lru_cache(maxsize=4096)
def independence(
    correlations: tuple[tuple[Fraction | float, ...], ...], present: tuple[int, ...]
) -> tuple[Fraction, ...]:
    """Return w_j for each member in `present` (indices into `correlations`), in that order and exactly; their sum is n_eff.

    A correlation below zero counts as none: that two members err at different times is no reason to hear either louder. Of a
    panel few sets of members are ever present together, so each is reckoned once.
    """
    return tuple(
        1
        / sum(
            (Fraction(1 if other == member else max(correlations[member][other], 0)) for other in present),
            Fraction(0),
        )
        for member in present
    )


def log_posterior(
    prior: Shares, reliabilities: Sequence[Matrix], weights: Sequence[float], shares: Sequence[Shares]
) -> tuple[float, ...]:
    """Return the unnormalised logarithm of each option's probability, before any temperature.

    Args:
        prior: how often each option is the truth, all above 0.
        reliabilities: each present member's matrix, all numbers above 0.
        weights: each present member's weight.
        shares: each present member's distribution over the options.
    """
    voices = tuple(zip(reliabilities, weights, shares, strict=True))
    return tuple(
        math.fsum(
            [
                math.log(prior[truth]),
                *(
                    weight * share * math.log(matrix[truth][said])
                    for matrix, weight, own in voices
                    for said, share in enumerate(own)
                    if share > 0.0
                ),
            ]
        )
        for truth in range(len(prior))
    )


def tempered(logarithms: Sequence[float], temperature: float) -> tuple[float, ...]:
    """Return the probabilities that these logarithms stand for, divided by a temperature above 0: the softmax."""
    scaled = [logarithm / temperature for logarithm in logarithms]
    most = max(scaled)
    powers = [math.exp(each - most) for each in scaled]
    whole = math.fsum(powers)
    return tuple(power / whole for power in powers)
