"""Estimates observers' error rates where no truth is known: the EM algorithm of Dawid and Skene (1979, Appl. Statist. 28:20).

For a cold start only. It takes observers to err independently given the truth, and calls truth what explains their
agreement best: a panel whose members share an error is then sure of it. Where cases have labels, `reliability` is the estimate.

    E:  T_ik proportional to p_k prod_jl pi_jkl ^ n_ijl        M:  pi_jkl proportional to sum_i T_ik n_ijl,  p_k = mean_i T_ik

with n_ijl how often observer j said option l of case i, starting from T_ik = the share of all that was said of i which said k
(their eq. 2.5, 2.3, 2.4 and 3.1). The likelihood never falls; it may have several maxima, and this start finds one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Counts: TypeAlias = Sequence[Sequence[Sequence[int]]]
"""n[i][j][l]: for each of N cases and J observers how often it said each of K options; all 0 where it did not answer."""

Table: TypeAlias = tuple[tuple[float, ...], ...]
"""Rows of probabilities, each summing to 1."""

TOLERANCE: Final = 1e-10
MOST_ITERATIONS: Final = 10_000

LEAST_RATE: Final = 1e-6
"""What EM never saw counts as this rare in other cases, not as impossible."""


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What EM ended at.

    Attributes:
        priors: p_k, how often each option is the truth.
        error_rates: for each observer pi_j: K rows, the truth, of K columns, what it says. A row of which nothing is known,
            since the observer answered no case that may have this truth, has equal numbers.
        classes: T_ik, for each case how likely each option is its truth.
        log_likelihoods: after each iteration, in nats, without the multinomial coefficients; never falling.
        converged: whether the last iteration changed no T_ik by more than the tolerance.
    """

    priors: tuple[float, ...]
    error_rates: tuple[Table, ...]
    classes: Table
    log_likelihoods: tuple[float, ...]
    converged: bool

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood of these estimates."""
        return self.log_likelihoods[-1]

    @property
    def iterations(self) -> int:
        """How many times both steps were taken."""
        return len(self.log_likelihoods)

    def probabilities(self, case: Sequence[Sequence[int]]) -> tuple[float, ...]:
        """Return how likely each option is the truth of a case, be it one that EM saw or another.

        Of a case that nobody answered it is how often each option is the truth.

        Raises:
            ValueError: when the case has not J observers of K options.
        """
        observers, options = len(self.error_rates), len(self.priors)
        if len(case) != observers or any(len(said) != options for said in case):
            raise ValueError(f"expected {observers} observers of {options} options each")
        priors = [max(prior, LEAST_RATE) for prior in self.priors]
        rates = [[[max(rate, LEAST_RATE) for rate in row] for row in table] for table in self.error_rates]
        return _expected(case, priors, rates)[0]


def dawid_skene(
    counts: Counts,
    *,
    times: Sequence[int] | None = None,
    tolerance: float = TOLERANCE,
    most_iterations: int = MOST_ITERATIONS,
) -> DawidSkene:
    """Return the estimates that EM ends at, whether by convergence or by the number of iterations.

    Args:
        counts: what was said.
        times: how often each of these cases came, once where it is None: cases of which the same was said have the same
            classes throughout, and need be gone through once alone.
        tolerance: by how much the last iteration may change a T_ik.
        most_iterations: how many are taken at most.

    Raises:
        ValueError: when there is no case, no observer or one option alone, lengths differ, a count is below zero, nobody
            answered a case, one came less than once, the tolerance is not above zero, or no iteration is allowed.
    """
    _check(counts)
    came = [1] * len(counts) if times is None else list(times)
    if len(came) != len(counts) or min(came) < 1:
        raise ValueError(f"expected {len(counts)} numbers of times from 1, one for each case")
    if not (tolerance > 0.0 and most_iterations >= 1):
        raise ValueError(
            f"expected a tolerance above 0 and iterations from 1, got {tolerance} and {most_iterations}"
        )
    classes = tuple(map(_shares_said, counts))
    log_likelihoods: list[float] = []
    while True:
        weighted = tuple(
            tuple(number * chance for chance in own) for number, own in zip(came, classes, strict=True)
        )
        priors = tuple(math.fsum(column) / sum(came) for column in zip(*weighted, strict=True))
        error_rates = tuple(_rates(counts, weighted, observer) for observer in range(len(counts[0])))
        cases = [_expected(case, priors, error_rates) for case in counts]
        following = tuple(own for own, _ in cases)
        log_likelihoods.append(
            math.fsum(number * evidence for number, (_, evidence) in zip(came, cases, strict=True))
        )
        converged = _most_changed(classes, following) <= tolerance
        classes = following
        if converged or len(log_likelihoods) >= most_iterations:
            return DawidSkene(priors, error_rates, classes, tuple(log_likelihoods), converged)


def _check(counts: Counts) -> None:
    if not counts or not counts[0]:
        raise ValueError("expected at least one case and one observer")
    observers, options = len(counts[0]), len(counts[0][0])
    if options < 2:
        raise ValueError(f"expected at least two options, got {options}")
    for at, case in enumerate(counts):
        if len(case) != observers or any(len(said) != options for said in case):
            raise ValueError(f"case {at}: expected {observers} observers of {options} options each")
        if any(count < 0 for said in case for count in said):
            raise ValueError(f"case {at}: expected counts from 0")
        if not any(count for said in case for count in said):
            raise ValueError(f"case {at}: expected an answer, got none")


def _shares_said(case: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Return the share of each option in all that was said of a case."""
    said = [sum(column) for column in zip(*case, strict=True)]
    return tuple(count / sum(said) for count in said)


def _rates(counts: Counts, classes: Table, observer: int) -> Table:
    """Return pi_j, the M step's estimate for one observer."""
    options = len(classes[0])
    rows: list[tuple[float, ...]] = []
    for truth in range(options):
        expected = [
            math.fsum(own[truth] * case[observer][said] for own, case in zip(classes, counts, strict=True))
            for said in range(options)
        ]
        whole = math.fsum(expected)
        rows.append(tuple(each / whole if whole > 0.0 else 1.0 / options for each in expected))
    return tuple(rows)


def _expected(
    case: Sequence[Sequence[int]],
    priors: Sequence[float],
    error_rates: Sequence[Sequence[Sequence[float]]],
) -> tuple[tuple[float, ...], float]:
    """Return one case's T_ik, the E step's, and the logarithm of its likelihood."""
    logarithms = [
        math.fsum(
            [
                _log(prior),
                *(
                    count * _log(rates[truth][option])
                    for rates, said in zip(error_rates, case, strict=True)
                    for option, count in enumerate(said)
                    if count
                ),
            ]
        )
        for truth, prior in enumerate(priors)
    ]
    most = max(logarithms)
    powers = [math.exp(logarithm - most) for logarithm in logarithms]
    whole = math.fsum(powers)
    return tuple(power / whole for power in powers), most + math.log(whole)


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0.0 else -math.inf


def _most_changed(before: Table, after: Table) -> float:
    return max(
        abs(new - old)
        for own, following in zip(before, after, strict=True)
        for old, new in zip(own, following, strict=True)
    )
