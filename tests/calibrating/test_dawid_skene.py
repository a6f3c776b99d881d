"""EM for a cold start: against reported estimates, scipy's search for a higher likelihood, and a second implementation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize

from arbiter.calibrating.dawid_skene import Counts, DawidSkene, dawid_skene
from tests.calibrating import anaesthetists

TWO_DECIMALS = 0.005 + 1e-9


@pytest.fixture(scope="module")
def panel() -> DawidSkene:
    return dawid_skene(anaesthetists.counts())


# --- the reported estimates ---------------------------------------------------------------------------------------


def test_the_table_has_45_patients_and_seven_ratings_of_each() -> None:
    counts = np.array(anaesthetists.counts())
    assert counts.shape == (45, 5, 4)
    assert (counts.sum(axis=2) == [3, 1, 1, 1, 1]).all()


def test_class_marginals_are_those_reported(panel: DawidSkene) -> None:
    assert panel.priors == pytest.approx(anaesthetists.MARGINALS, abs=TWO_DECIMALS)


@pytest.mark.parametrize("observer", range(5))
def test_an_observers_error_rates_are_those_reported(panel: DawidSkene, observer: int) -> None:
    found, reported = np.array(panel.error_rates[observer]), np.array(anaesthetists.ERROR_RATES[observer])
    assert np.abs(found - reported).max() <= TWO_DECIMALS


def test_every_patients_class_probabilities_are_those_reported(panel: DawidSkene) -> None:
    reported = np.array(anaesthetists.class_probabilities())
    assert np.abs(np.array(panel.classes) - reported).max() <= TWO_DECIMALS


# --- a maximum of the likelihood ----------------------------------------------------------------------------------


def log_likelihood(counts: Any, priors: Any, rates: Any) -> float:
    """From the model's definition: a product over all that was said, a mixture over truths."""
    chances = priors * np.prod(rates[None] ** counts[:, :, None, :], axis=(1, 3))
    return float(np.log(chances.sum(axis=1)).sum())


def under_softmax(counts: Any, at: Any) -> float:
    _, observers, options = counts.shape
    powers = np.exp(at.reshape(1 + observers * options, options))
    shares = powers / powers.sum(axis=1, keepdims=True)
    return log_likelihood(counts, shares[0], shares[1:].reshape(observers, options, options))


def logits(found: DawidSkene, floor: float = 1e-12) -> Any:
    rows = [found.priors, *itertools.chain.from_iterable(found.error_rates)]
    return np.log(np.maximum(np.array(rows), floor)).ravel()


def random_counts(seed: int, *, cases: int = 60, observers: int = 4, options: int = 3) -> Any:
    """Answers of observers that are right in six cases of ten, twice each, some left out."""
    chance = np.random.default_rng(seed)
    truths = chance.integers(options, size=cases)
    counts = np.zeros((cases, observers, options), dtype=int)
    for case, observer in itertools.product(range(cases), range(observers)):
        for _ in range(2 if observer else 1 + chance.integers(2)):
            right = chance.random() < 0.6
            counts[case, observer, truths[case] if right else chance.integers(options)] += 1
        if observer and chance.random() < 0.1:
            counts[case, observer] = 0
    return counts


@pytest.mark.parametrize(
    "counts", [np.array(anaesthetists.counts()), random_counts(3)], ids=["paper", "drawn"]
)
def test_the_log_likelihood_is_that_of_the_definition(counts: Any) -> None:
    found = dawid_skene(counts.tolist())
    again = log_likelihood(counts, np.array(found.priors), np.array(found.error_rates))
    assert found.log_likelihood == pytest.approx(again, abs=1e-9)


@pytest.mark.parametrize(
    "counts", [np.array(anaesthetists.counts()), random_counts(3)], ids=["paper", "drawn"]
)
def test_scipy_finds_no_higher_likelihood_from_there(counts: Any) -> None:
    found = dawid_skene(counts.tolist())
    start = logits(found)

    def loss(at: Any) -> float:
        return -under_softmax(counts, at)

    # Estimates at the floor lose about as much as the floor, which is far below what is asked.
    assert -loss(start) == pytest.approx(found.log_likelihood, abs=1e-9)
    assert np.abs(approx_fprime(start, loss, 1e-6)).max() < 1e-4
    assert -minimize(loss, start, method="L-BFGS-B").fun <= found.log_likelihood + 1e-8


def test_scipy_does_find_a_higher_likelihood_where_em_was_stopped_early() -> None:
    counts = np.array(anaesthetists.counts())
    stopped = dawid_skene(counts.tolist(), most_iterations=1)
    better = minimize(lambda at: -under_softmax(counts, at), logits(stopped, 1e-3), method="L-BFGS-B")
    assert -better.fun > stopped.log_likelihood + 1e-3
    assert not stopped.converged


# --- a second implementation --------------------------------------------------------------------------------------


def em_in_arrays(counts: Any, iterations: int) -> tuple[Any, Any, Any]:
    """Dawid and Skene by answers in long form and index arithmetic; no logarithms, all at once."""
    case, observer, said = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
    cases, observers, options = counts.shape
    classes = np.zeros((cases, options))
    np.add.at(classes, (case, said), 1.0)
    classes /= classes.sum(axis=1, keepdims=True)
    for _ in range(iterations):
        rates = np.zeros((observers, options, options))
        np.add.at(rates.transpose(0, 2, 1), (observer, said), classes[case])
        rates /= rates.sum(axis=2, keepdims=True)
        priors = classes.mean(axis=0)
        classes = np.tile(priors, (cases, 1))
        np.multiply.at(classes, case, rates[observer, :, said])
        classes /= classes.sum(axis=1, keepdims=True)
    return priors, rates, classes


@pytest.mark.parametrize("seed", range(5))
def test_estimates_are_those_of_an_implementation_in_arrays(seed: int) -> None:
    counts = random_counts(seed)
    found = dawid_skene(counts.tolist())
    priors, rates, classes = em_in_arrays(counts, found.iterations)
    assert found.converged
    assert np.abs(np.array(found.priors) - priors).max() < 1e-6
    assert np.abs(np.array(found.error_rates) - rates).max() < 1e-6
    assert np.abs(np.array(found.classes) - classes).max() < 1e-6


# --- what must hold, and must not matter --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_never_falls(seed: int) -> None:
    found = dawid_skene(random_counts(seed).tolist())
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(found.log_likelihoods))
    assert found.iterations == len(found.log_likelihoods)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)), st.permutations(range(4)), st.permutations(range(3)))
def test_permuting_cases_observers_and_options_permutes_the_estimates(
    cases: list[int], observers: list[int], options: list[int]
) -> None:
    counts = random_counts(1, cases=12)
    found = dawid_skene(counts.tolist(), most_iterations=20)
    moved = dawid_skene(counts[np.ix_(cases, observers, options)].tolist(), most_iterations=20)
    rates = np.array(found.error_rates)[np.ix_(observers, options, options)]
    assert np.array(moved.priors) == pytest.approx(np.array(found.priors)[options], abs=1e-9)
    assert np.array(moved.error_rates) == pytest.approx(rates, abs=1e-9)
    assert np.array(moved.classes) == pytest.approx(np.array(found.classes)[np.ix_(cases, options)], abs=1e-9)


def test_an_observer_that_never_answered_has_equal_rates_and_moves_nothing() -> None:
    counts = random_counts(2).tolist()
    silent = dawid_skene([[*case, [0, 0, 0]] for case in counts])
    assert silent.error_rates[-1] == ((1 / 3, 1 / 3, 1 / 3),) * 3
    assert silent.classes == dawid_skene(counts).classes


def test_a_most_unlikely_case_does_not_underflow() -> None:
    many = [[[400, 0], [0, 400]], [[0, 400], [400, 0]], [[300, 100], [100, 300]]]
    found = dawid_skene(many)
    assert all(sum(own) == pytest.approx(1.0) for own in found.classes)
    assert found.log_likelihood > -2000.0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], "at least one case"),
        ([[]], "at least one case and one observer"),
        ([[[3]]], "at least two options, got 1"),
        ([[[1, 0], [0, 1]], [[1, 0]]], "case 1: expected 2 observers"),
        ([[[1, 0]], [[1, 0, 0]]], "case 1: expected 1 observers of 2 options"),
        ([[[1, 0]], [[2, -1]]], "case 1: expected counts from 0"),
        ([[[1, 0]], [[0, 0]]], "case 1: expected an answer"),
    ],
)
def test_counts_that_are_empty_ragged_or_negative_are_refused(counts: Counts, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        dawid_skene(counts)


@pytest.mark.parametrize(("tolerance", "most"), [(0.0, 10), (float("nan"), 10), (1e-6, 0)])
def test_a_search_that_could_never_end_or_start_is_refused(tolerance: float, most: int) -> None:
    with pytest.raises(ValueError, match="tolerance above 0 and iterations from 1"):
        dawid_skene([[[1, 0]], [[0, 1]]], tolerance=tolerance, most_iterations=most)


# --- cases that came several times, and others ----------------------------------------------------------------------


def test_cases_that_came_several_times_count_as_if_each_were_listed() -> None:
    counts, times = random_counts(4, cases=40).tolist(), [1 + at % 4 for at in range(40)]
    listed = [case for case, number in zip(counts, times, strict=True) for _ in range(number)]
    found = dawid_skene(counts, times=times, most_iterations=30)
    expected = dawid_skene(listed, most_iterations=30)
    assert found.priors == pytest.approx(expected.priors, abs=1e-9)
    assert np.array(found.error_rates) == pytest.approx(np.array(expected.error_rates), abs=1e-9)
    assert found.log_likelihoods == pytest.approx(expected.log_likelihoods)
    assert found.priors != pytest.approx(dawid_skene(counts, most_iterations=30).priors, abs=1e-3)


@pytest.mark.parametrize("times", [[1] * 39, [1] * 41, [0] + [1] * 39, [-1] + [1] * 39])
def test_numbers_of_times_that_do_not_fit_the_cases_are_refused(times: list[int]) -> None:
    with pytest.raises(ValueError, match="40 numbers of times from 1"):
        dawid_skene(random_counts(4, cases=40).tolist(), times=times)


def test_a_case_of_the_fit_has_the_classes_that_the_fit_gave_it(panel: DawidSkene) -> None:
    for case, own in zip(anaesthetists.counts(), panel.classes, strict=True):
        assert panel.probabilities(case) == pytest.approx(own, abs=1e-4)


def test_what_was_never_seen_is_rare_in_another_case_and_not_impossible() -> None:
    counts = [[(1, 0), (1, 0)]] * 6 + [[(0, 1), (0, 1)]] * 4
    found = dawid_skene(counts)
    assert found.error_rates[0] == ((1.0, 0.0), (0.0, 1.0))
    assert found.probabilities([(1, 0), (0, 1)]) == pytest.approx((0.6, 0.4))


def test_of_a_case_that_nobody_answered_the_priors_are_said(panel: DawidSkene) -> None:
    assert panel.probabilities([(0,) * 4] * 5) == pytest.approx(panel.priors)


@pytest.mark.parametrize("case", [[], [(1, 0, 0, 0)] * 4, [(1, 0, 0)] * 5])
def test_a_case_of_another_panel_is_refused(panel: DawidSkene, case: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="expected 5 observers of 4 options each"):
        panel.probabilities(case)
