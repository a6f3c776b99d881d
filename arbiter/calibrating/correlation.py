"""Estimates how far two members err together, beyond what the truth of a case explains.

    rho_ij = (n r_ij + s rho0_ij) / (n + s)        r_ij = S_ij / sqrt(S_ii S_jj), 0 if that is below 2 / sqrt(n) in size
    S_ij = sum over truths k, over cases c of truth k, of (e_ci - mean_ki) (e_cj - mean_kj)

over the n cases that both answered, with e_ci = 1 - p_ci,truth the error of member i in case c, mean_ki its mean over those
cases of truth k, s the shrinkage, in cases, and rho0_ij the prior: `family_prior` between members of one family, else 0.

The deviations are taken within a truth because the posterior's naive Bayes asks for independence given the truth, and its
reliability matrices know already that one truth is harder than another: members that all find one option hard would otherwise
look like copies. That models err together, the more within a family, is arXiv 2506.07962.

Two members that err apart come to some r_ij all the same, of standard deviation 1 / sqrt(n). What is within twice that is taken
for none: of many pairs such noise would take weight from members that deserve all of theirs, and give some to others (Bickel and
Levina, Covariance regularization by thresholding, arXiv 0901.3079).

Where one of two never errs, or errs always as much, there is nothing to measure and the prior stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from arbiter.calibrating.labelled import Labelled

NOISE: Final = 2.0
"""How many standard deviations of what independent members come to count as nothing."""

Errors: TypeAlias = Sequence[Sequence[float | None]]
"""For each truth its cases' errors of one member, 0 to 1; None where it did not answer."""

NO_SPREAD: Final = 1e-12
"""A sum of squared deviations up to this is what rounding makes of equal errors."""


def correlations(
    labelled: Labelled, families: Sequence[str], *, shrinkage: float, family_prior: float
) -> tuple[tuple[float, ...], ...]:
    """Return rho, J x J: symmetric, 1 on its diagonal, from -1 to 1.

    Args:
        labelled: the cases.
        families: each member's family of models.
        shrinkage: for how many cases the prior counts, from 0.
        family_prior: what is assumed between two members of one family, 0 to 1.

    Raises:
        ValueError: when there is not one family for each member, or a number is outside its range.
    """
    if len(families) != labelled.members:
        raise ValueError(f"expected {labelled.members} families, one for each member, got {len(families)}")
    check_settings(shrinkage, family_prior)
    errors = [_errors(labelled, member) for member in range(labelled.members)]
    whole = [[1.0] * labelled.members for _ in families]
    for one in range(labelled.members):
        for other in range(one):
            prior = family_prior if families[one] == families[other] else 0.0
            rho = _shrunk(errors[one], errors[other], prior, shrinkage)
            whole[one][other] = whole[other][one] = rho
    return tuple(map(tuple, whole))


def check_settings(shrinkage: float, family_prior: float) -> None:
    """Refuse a shrinkage below zero or not finite, and a prior that is not from 0 to 1.

    Raises:
        ValueError: saying which.
    """
    if not (shrinkage >= 0.0 and math.isfinite(shrinkage)):
        raise ValueError(f"expected a shrinkage from 0, got {shrinkage}")
    if not 0.0 <= family_prior <= 1.0:
        raise ValueError(f"expected a family prior from 0 to 1, got {family_prior}")


def _errors(labelled: Labelled, member: int) -> Errors:
    by_truth: list[list[float | None]] = [[] for _ in range(labelled.options)]
    for row, truth in zip(labelled.rows, labelled.truths, strict=True):
        shares = row[member]
        by_truth[truth].append(None if shares is None else 1.0 - shares[truth])
    return by_truth


def _shrunk(one: Errors, other: Errors, prior: float, shrinkage: float) -> float:
    """Return the correlation of two members, the prior where there is none to measure."""
    ours: list[float] = []
    theirs: list[float] = []
    for of_truth, of_other in zip(one, other, strict=True):
        both = [
            (mine, yours)
            for mine, yours in zip(of_truth, of_other, strict=True)
            if mine is not None and yours is not None
        ]
        ours += _deviations([mine for mine, _ in both])
        theirs += _deviations([yours for _, yours in both])
    spreads = [math.fsum(own * own for own in deviations) for deviations in (ours, theirs)]
    if min(spreads) <= NO_SPREAD:
        return prior
    together = math.fsum(mine * yours for mine, yours in zip(ours, theirs, strict=True))
    measured = together / math.sqrt(spreads[0] * spreads[1])
    if abs(measured) < NOISE / math.sqrt(len(ours)):
        measured = 0.0
    rho = (len(ours) * measured + shrinkage * prior) / (len(ours) + shrinkage)
    return max(-1.0, min(1.0, rho))


def _deviations(errors: Sequence[float]) -> list[float]:
    if not errors:
        return []
    mean = math.fsum(errors) / len(errors)
    return [error - mean for error in errors]
