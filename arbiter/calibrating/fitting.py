"""Fits from labelled cases all that the posterior uses, and rounds it once, to what a bundle can print and read back the same.

Reliability, prior and correlation come from one set of cases and the temperature from another, by the numbers as rounded: it
is those that will decide. Nothing here draws a number, reads a clock, or depends on the order of cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.adjudication.posterior import Shares, independence, log_posterior, tempered
from arbiter.calibrating.correlation import check_settings, correlations
from arbiter.calibrating.labelled import Labelled, Row, check_shares
from arbiter.calibrating.reliability import Matrices, check_smoothing, reliability_matrices, smoothed_prior
from arbiter.calibrating.temperature import fit_temperature

DECIMALS: Final = 6
PARTS: Final = 10**DECIMALS

FEWEST_CASES: Final = 2
"""How many cases of each option fitting takes at the least: one alone has nothing to deviate from."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How much is assumed where little was seen.

    Attributes:
        smoothing: for how many cases what is assumed of each reliability row, and of the prior, counts; above 0.
        shrinkage: for how many cases the prior of a correlation counts; from 0.
        family_prior: how far two members of one family are taken to err together, 0 to 1.

    Raises:
        ValueError: when a number is outside its range.
    """

    smoothing: float
    shrinkage: float
    family_prior: float

    def __post_init__(self) -> None:
        check_smoothing(self.smoothing)
        check_settings(self.shrinkage, self.family_prior)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the posterior of a panel of J members over K options uses, in numbers of six decimals.

    Attributes:
        prior: how often each option is the truth; K numbers above 0 that sum to 1.
        reliabilities: each member's matrix, its rows the truth, of numbers above 0 that sum to 1.
        correlations: of members' errors, J x J.
        temperature: above 0.

    Raises:
        ValueError: when a number is none of these, or lengths differ.
    """

    prior: tuple[float, ...]
    reliabilities: Matrices
    correlations: tuple[tuple[float, ...], ...]
    temperature: float

    def __post_init__(self) -> None:
        options, members = len(self.prior), len(self.reliabilities)
        if options < 2 or not members:
            raise ValueError(f"expected at least two options and one member, got {options} and {members}")
        for shares in (self.prior, *(row for matrix in self.reliabilities for row in matrix)):
            check_shares(shares, options)
            if min(shares) <= 0.0:
                raise ValueError(f"expected probabilities above 0, got {list(shares)}")
        if any(len(matrix) != options for matrix in self.reliabilities):
            raise ValueError(f"expected {options} rows in each reliability matrix")
        if [len(row) for row in self.correlations] != [members] * members:
            raise ValueError(f"expected {members} rows of {members} correlations")
        for one, row in enumerate(self.correlations):
            if row[one] != 1.0 or any(
                not -1.0 <= rho <= 1.0 or rho != self.correlations[other][one]
                for other, rho in enumerate(row)
            ):
                raise ValueError(f"member {one}: expected symmetric correlations from -1 to 1, its own 1")
        if not (self.temperature > 0.0 and math.isfinite(self.temperature)):
            raise ValueError(f"expected a temperature above 0, got {self.temperature}")

    def posterior(self, row: Row) -> tuple[float, ...] | None:
        """Return the probability of each option given what members said, None where nobody answered.

        Raises:
            ValueError: when the row has not one entry for each member, or an entry is no distribution over the options.
        """
        logarithms = self.logarithms(row)
        return None if logarithms is None else tempered(logarithms, self.temperature)

    def logarithms(self, row: Row) -> tuple[float, ...] | None:
        """Return what `posterior` does before the temperature: logarithms, unnormalised.

        Raises:
            ValueError: as `posterior` does.
        """
        if len(row) != len(self.reliabilities):
            raise ValueError(f"expected {len(self.reliabilities)} members, got {len(row)}")
        answered = {member: shares for member, shares in enumerate(row) if shares is not None}
        if not answered:
            return None
        for member, shares in answered.items():
            try:
                check_shares(shares, len(self.prior))
            except ValueError as error:
                raise ValueError(f"member {member}: {error}") from error
        present = tuple(answered)
        weights = tuple(map(float, independence(self.correlations, present)))
        matrices = [self.reliabilities[member] for member in present]
        return log_posterior(self.prior, matrices, weights, tuple(answered.values()))


def fit(fitting: Labelled, tempering: Labelled, families: Sequence[str], settings: FitSettings) -> Fitted:
    """Return what the posterior uses, from two sets of cases that share none.

    Args:
        fitting: cases for prior, reliability and correlation.
        tempering: cases for the temperature; those that nobody answered are passed over.
        families: each member's family of models.
        settings: what is assumed where little was seen.

    Raises:
        ValueError: when the sets differ in members or options, an option is the truth of fewer than `FEWEST_CASES` fitting
            cases, no tempering case was answered, or there is not one family for each member.
    """
    _check(fitting, tempering)
    untempered = Fitted(
        _published(smoothed_prior(fitting, smoothing=settings.smoothing)),
        tuple(
            tuple(map(_published, matrix))
            for matrix in reliability_matrices(fitting, smoothing=settings.smoothing)
        ),
        tuple(
            tuple(round(rho, DECIMALS) for rho in row)
            for row in correlations(
                fitting, families, shrinkage=settings.shrinkage, family_prior=settings.family_prior
            )
        ),
        1.0,
    )
    return _with_temperature(untempered, tempering)


def _check(fitting: Labelled, tempering: Labelled) -> None:
    if (fitting.members, fitting.options) != (tempering.members, tempering.options):
        raise ValueError(
            f"expected tempering cases of {fitting.members} members and {fitting.options} options, "
            f"got {tempering.members} and {tempering.options}"
        )
    for option in range(fitting.options):
        number = fitting.truths.count(option)
        if number < FEWEST_CASES:
            raise ValueError(
                f"option {option}: expected at least {FEWEST_CASES} fitting cases whose truth it is, got {number}"
            )


def _with_temperature(untempered: Fitted, tempering: Labelled) -> Fitted:
    cases = [
        (logarithms, truth)
        for row, truth in zip(tempering.rows, tempering.truths, strict=True)
        if (logarithms := untempered.logarithms(row)) is not None
    ]
    if not cases:
        raise ValueError("expected at least one tempering case that a member answered, got none")
    found = fit_temperature([logarithms for logarithms, _ in cases], [truth for _, truth in cases])
    return Fitted(
        untempered.prior, untempered.reliabilities, untempered.correlations, round(found.value, DECIMALS)
    )


def _published(shares: Shares) -> tuple[float, ...]:
    """Return probabilities rounded to six decimals, none of them to 0, that sum to 1 in these decimals.

    What rounding adds or takes is made good at the largest, which it changes the least.
    """
    parts = [max(1, round(share * PARTS)) for share in shares]
    parts[parts.index(max(parts))] += PARTS - sum(parts)
    return tuple(part / PARTS for part in parts)
