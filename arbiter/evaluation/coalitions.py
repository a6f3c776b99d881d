"""What the posterior of any part of a panel is worth: its accuracy and log score on the same cases, for all parts at once.

A part of the panel hears only its own members, each at the weight that independence leaves it among those of the part that
answered. Where none did, the prior speaks: so every part answers every case, and parts can be compared, the empty one too.
Shapley values are exact sums over all parts (Shapley 1953; efficiency: they add up to what the whole has over the prior).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from arbiter.adjudication.posterior import independence
from arbiter.calibrating.fitting import Fitted
from arbiter.evaluation.ballots import Ballots, Floats, Indices

MOST_MEMBERS: Final = 10
"""Up to which size of a panel all its parts are gone through: 1,024 of them."""

_AT_ONCE: Final = 4_000_000
"""Numbers held at a time, so that a large panel over many cases stays within memory."""


@dataclass(frozen=True, slots=True)
class Worth:
    """By part (a bit mask of members, 2^J of them) and case: 1 where it is right, and the log of what it gave the truth."""

    right: Floats
    log_score: Floats


def worth_of(ballots: Ballots, fitted: Fitted) -> Worth:
    """Return what every part of the panel is worth on each case, arrays of 2^J x N.

    A part is right on a case in as far as its most probable options are: shared among several that are level.

    Raises:
        ValueError: when the panel has more than `MOST_MEMBERS` members.
    """
    members = len(ballots.seats)
    if members > MOST_MEMBERS:
        raise ValueError(f"expected at most {MOST_MEMBERS} members, got {members}")
    parts = 1 << members
    worth = Worth(np.zeros((parts, len(ballots))), np.zeros((parts, len(ballots))))
    words = _words(ballots, fitted)
    masks = ballots.valid @ (1 << np.arange(members))
    step = max(1, _AT_ONCE // (parts * len(ballots.options)))
    for present in np.unique(masks):
        chosen = np.flatnonzero(masks == present)
        heard, place = np.unique(np.arange(parts) & present, return_inverse=True)
        weights = np.array([_weights(fitted, int(part), members) for part in heard])
        for begin in range(0, len(chosen), step):
            some = chosen[begin : begin + step]
            right, score = _scored(weights, words[some], fitted, ballots.truths[some])
            worth.right[:, some] = right[place]
            worth.log_score[:, some] = score[place]
    return worth


def _words(ballots: Ballots, fitted: Fitted) -> Floats:
    """Return sum_l p_jl log T_j[k, l] by case, member and option k."""
    logs = np.log(np.array(fitted.reliabilities))
    words: Floats = np.einsum("njl,jkl->njk", ballots.shares, logs)
    return words


def _weights(fitted: Fitted, part: int, members: int) -> list[float]:
    present = tuple(member for member in range(members) if part >> member & 1)
    weights = dict(zip(present, independence(fitted.correlations, present), strict=True))
    return [float(weights.get(member, 0)) for member in range(members)]


def _scored(weights: Floats, words: Floats, fitted: Fitted, truths: Indices) -> tuple[Floats, Floats]:
    """Return rightness and log score, each parts x cases, of posteriors by these weights."""
    logs = np.log(np.array(fitted.prior)) + np.einsum("sj,njk->snk", weights, words)
    logs /= fitted.temperature
    logs -= logs.max(axis=2, keepdims=True)
    # What rounding leaves between options that are level must not decide between them.
    level = logs > -1e-9
    at = np.arange(len(truths))
    right = level[:, at, truths] / level.sum(axis=2)
    score = logs[:, at, truths] - np.log(np.exp(logs).sum(axis=2))
    return right, score


def shapley(values: Floats, members: int) -> Floats:
    """Return each member's Shapley value, J (x N), of values by part, 2^J (x N)."""
    parts = np.arange(1 << members)
    sizes = np.array([int(part).bit_count() for part in parts])
    weight = np.array(
        [
            math.factorial(size) * math.factorial(members - size - 1) / math.factorial(members)
            for size in range(members)
        ]
    )
    found = []
    for member in range(members):
        without = parts[parts >> member & 1 == 0]
        gained = values[without | 1 << member] - values[without]
        found.append(np.tensordot(weight[sizes[without]], gained, axes=1))
    return np.array(found)


def left_out(values: Floats, members: int) -> Floats:
    """Return what the whole panel loses without each member, J (x N), of values by part."""
    whole = (1 << members) - 1
    return np.array([values[whole] - values[whole ^ 1 << member] for member in range(members)])


def best_parts(fitting: Worth, members: int) -> tuple[int, ...]:
    """Return for each size from 1 the part that is right most often on the fitting cases; of equals the better log score."""
    right, score = fitting.right.mean(axis=1), fitting.log_score.mean(axis=1)
    sizes = {
        size: [part for part in range(1 << members) if part.bit_count() == size]
        for size in range(1, members + 1)
    }
    return tuple(
        max(parts, key=lambda part: (round(float(right[part]), 12), round(float(score[part]), 12), -part))
        for parts in sizes.values()
    )
