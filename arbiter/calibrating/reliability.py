"""Estimates how often each member says each option under each truth, and how often each option is the truth.

    T_j[k, l] = (n_jkl + s / K) / (n_jk + s)        prior_k = (n_k + s / K) / (n + s)

with n_jkl the sum of member j's shares of l over cases of truth k that it answered, n_jk their number, and s the smoothing, in
cases. Without smoothing these are Dawid and Skene's rates (1979, Appl. Statist. 28:20, eq. 2.3) for known truths.

Each row shrinks to equal shares, by its own labels: a member without labels has rows that are all alike, and so moves no
posterior. Where labels of one truth abound and of another are few, a word seldom said does point to the other; that is right
of members that mostly are. Shrinking to what the member says whatever the truth would take that back, and fits worse:
`test_reliability` draws panels with a rare option and compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from arbiter.adjudication.posterior import Shares
from arbiter.calibrating.labelled import Labelled

Matrices: TypeAlias = tuple[tuple[tuple[float, ...], ...], ...]
"""One matrix for each member: rows the truth, columns what it says."""


def reliability_matrices(labelled: Labelled, *, smoothing: float) -> Matrices:
    """Return T_j for each of J members: K rows that sum to 1, every number above 0.

    A member that answered no labelled case has equal shares everywhere.

    Raises:
        ValueError: when the smoothing is not a number above zero.
    """
    check_smoothing(smoothing)
    said: list[list[list[Shares]]] = [[[] for _ in range(labelled.options)] for _ in range(labelled.members)]
    for row, truth in zip(labelled.rows, labelled.truths, strict=True):
        for member, shares in enumerate(row):
            if shares is not None:
                said[member][truth].append(shares)
    return tuple(_matrix(of_member, labelled.options, smoothing) for of_member in said)


def smoothed_prior(labelled: Labelled, *, smoothing: float) -> tuple[float, ...]:
    """Return how often each of K options is the truth: above 0, summing to 1.

    Raises:
        ValueError: when the smoothing is not a number above zero.
    """
    check_smoothing(smoothing)
    counts = [float(labelled.truths.count(option)) for option in range(labelled.options)]
    return _toward_equal(counts, smoothing)


def _matrix(
    said: Sequence[Sequence[Shares]], options: int, smoothing: float
) -> tuple[tuple[float, ...], ...]:
    """Return one member's matrix from its shares in the cases of each truth."""
    return tuple(
        _toward_equal(
            [math.fsum(shares[option] for shares in of_truth) for option in range(options)], smoothing
        )
        for of_truth in said
    )


def _toward_equal(counts: Sequence[float], smoothing: float) -> tuple[float, ...]:
    """Return the shares of these counts once `smoothing` more cases have fallen, as many on each."""
    whole, each = math.fsum(counts) + smoothing, smoothing / len(counts)
    return tuple((count + each) / whole for count in counts)


def check_smoothing(smoothing: float) -> None:
    """Refuse a smoothing that is not a number above zero.

    Raises:
        ValueError: saying so.
    """
    if not (smoothing > 0.0 and math.isfinite(smoothing)):
        raise ValueError(f"expected a smoothing above 0, got {smoothing}")
