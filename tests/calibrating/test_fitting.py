"""One fit of all that the posterior uses: numbers as published, what must not matter, and what is refused."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.calibrating.correlation import correlations
from arbiter.calibrating.fitting import FitSettings, Fitted, fit
from arbiter.calibrating.labelled import Labelled
from arbiter.calibrating.reliability import reliability_matrices, smoothed_prior
from arbiter.calibrating.temperature import HIGHEST, LOWEST, fit_temperature
from tests.calibrating.cases import drawn, labelled, said

SETTINGS = FitSettings(smoothing=1.0, shrinkage=20.0, family_prior=0.5)
MILLIONTH = 1e-6
YES, NO = (1.0, 0.0), (0.0, 1.0)


def small(seed: int = 1) -> tuple[Labelled, Labelled]:
    """A panel of four members, each away now and then, in two sets of cases."""
    chance = random.Random(seed)
    first, second = (drawn(chance, 80, members=4, samples=3, right=0.3, absent=0.1) for _ in range(2))
    return first, second


FAMILIES = ["a", "b", "a", "c"]
FITTING, TEMPERING = small()
FITTED = fit(FITTING, TEMPERING, FAMILIES, SETTINGS)


def answered(cases: Labelled, fitted: Fitted) -> tuple[list[tuple[float, ...]], list[int]]:
    """The posterior of each case that somebody answered, and its truth."""
    found = [(fitted.posterior(row), truth) for row, truth in zip(cases.rows, cases.truths, strict=True)]
    kept = [(posterior, truth) for posterior, truth in found if posterior is not None]
    return [posterior for posterior, _ in kept], [truth for _, truth in kept]


# --- the numbers of a bundle --------------------------------------------------------------------------------------


def probabilities(fitted: Fitted) -> list[tuple[float, ...]]:
    return [fitted.prior, *itertools.chain.from_iterable(fitted.reliabilities)]


def test_every_number_is_of_six_decimals_and_within_one_of_what_was_estimated() -> None:
    matrices = reliability_matrices(FITTING, smoothing=1.0)
    rho = correlations(FITTING, FAMILIES, shrinkage=20.0, family_prior=0.5)
    estimated = [smoothed_prior(FITTING, smoothing=1.0), *itertools.chain.from_iterable(matrices), *rho]
    published = [*probabilities(FITTED), *FITTED.correlations]
    for ours, theirs in zip(published, estimated, strict=True):
        assert list(ours) == [round(each, 6) for each in ours]
        assert ours == pytest.approx(theirs, abs=1.5 * MILLIONTH)
    assert FITTED.temperature == round(FITTED.temperature, 6)


@pytest.mark.parametrize("smoothing", [1e-9, 1e-3, 1.0, 7.3])
@pytest.mark.parametrize("options", [2, 3, 7])
def test_published_probabilities_sum_to_one_in_millionths_and_none_is_zero(
    smoothing: float, options: int
) -> None:
    cases = drawn(random.Random(options), 150, members=2, options=options, right=0.97)
    fitted = fit(cases, cases, ["a", "b"], replace(SETTINGS, smoothing=smoothing))
    for shares in probabilities(fitted):
        assert sum(round(share * 1e6) for share in shares) == 1_000_000
        assert min(shares) >= MILLIONTH


def test_the_temperature_is_that_of_the_numbers_as_published() -> None:
    logarithms = [
        (FITTED.logarithms(row), truth) for row, truth in zip(TEMPERING.rows, TEMPERING.truths, strict=True)
    ]
    kept = [(own, truth) for own, truth in logarithms if own is not None]
    found = fit_temperature([own for own, _ in kept], [truth for _, truth in kept])
    assert round(found.value, 6) == FITTED.temperature
    assert not found.at_bound
    assert LOWEST < FITTED.temperature < HIGHEST


def test_tempering_cases_that_are_all_right_leave_a_bound_and_the_bundle_says_so() -> None:
    cases = labelled([[YES], [NO]] * 2, [0, 1] * 2)
    fitted = fit(cases, cases, ["a"], SETTINGS)
    assert fitted.temperature == LOWEST


def test_a_bundle_read_back_from_its_digits_decides_the_same() -> None:
    again = Fitted(
        tuple(float(f"{share:.6f}") for share in FITTED.prior),
        tuple(
            tuple(tuple(float(f"{own:.6f}") for own in row) for row in matrix)
            for matrix in FITTED.reliabilities
        ),
        tuple(tuple(float(f"{rho:.6f}") for rho in row) for row in FITTED.correlations),
        float(f"{FITTED.temperature:.6f}"),
    )
    assert again == FITTED


# --- what must not matter, or move along --------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_permuting_cases_changes_no_digit(chance: random.Random) -> None:
    def shuffled(cases: Labelled) -> Labelled:
        order = chance.sample(range(len(cases.rows)), len(cases.rows))
        return Labelled(
            tuple(cases.rows[at] for at in order), tuple(cases.truths[at] for at in order), cases.options
        )

    assert fit(shuffled(FITTING), shuffled(TEMPERING), FAMILIES, SETTINGS) == FITTED


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)))
def test_permuting_members_permutes_what_is_fitted_and_no_posterior(order: list[int]) -> None:
    def seated(cases: Labelled) -> Labelled:
        return Labelled(
            tuple(tuple(row[member] for member in order) for row in cases.rows), cases.truths, cases.options
        )

    moved = fit(seated(FITTING), seated(TEMPERING), [FAMILIES[member] for member in order], SETTINGS)
    assert moved.prior == FITTED.prior
    assert moved.reliabilities == tuple(FITTED.reliabilities[member] for member in order)
    rho = np.array(FITTED.correlations)[np.ix_(order, order)]
    assert np.array(moved.correlations) == pytest.approx(rho, abs=MILLIONTH)
    assert moved.temperature == pytest.approx(FITTED.temperature, abs=1e-4)
    before, after = answered(TEMPERING, FITTED)[0], answered(seated(TEMPERING), moved)[0]
    assert np.array(after) == pytest.approx(np.array(before), abs=1e-4)


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(3)))
def test_renaming_options_renames_what_is_fitted(order: list[int]) -> None:
    def renamed(cases: Labelled) -> Labelled:
        rows = tuple(
            tuple(None if shares is None else tuple(shares[option] for option in order) for shares in row)
            for row in cases.rows
        )
        return Labelled(rows, tuple(order.index(truth) for truth in cases.truths), cases.options)

    moved = fit(renamed(FITTING), renamed(TEMPERING), FAMILIES, SETTINGS)
    # What rounding leaves goes to the largest share, of equal ones to the first: a millionth may move.
    assert np.array(moved.prior) == pytest.approx(np.array(FITTED.prior)[order], abs=2.1 * MILLIONTH)
    matrices = np.array(FITTED.reliabilities)[:, order][:, :, order]
    assert np.array(moved.reliabilities) == pytest.approx(matrices, abs=2.1 * MILLIONTH)
    assert np.array(moved.correlations) == pytest.approx(np.array(FITTED.correlations), abs=MILLIONTH)
    before, after = np.array(answered(TEMPERING, FITTED)[0]), np.array(answered(renamed(TEMPERING), moved)[0])
    assert after == pytest.approx(before[:, order], abs=1e-4)


def test_a_member_without_labels_moves_no_posterior_of_a_panel_it_is_no_kin_of() -> None:
    def joined(cases: Labelled) -> Labelled:
        return Labelled(tuple((*row, None) for row in cases.rows), cases.truths, cases.options)

    with_it = fit(joined(FITTING), joined(TEMPERING), [*FAMILIES, "stranger"], SETTINGS)
    equal = (0.333334, 0.333333, 0.333333)
    assert with_it.reliabilities[-1] == (equal,) * 3
    assert with_it.correlations[-1] == (0.0, 0.0, 0.0, 0.0, 1.0)
    for row in FITTING.rows:
        if any(row):
            alone, beside = FITTED.posterior(row), with_it.posterior((*row, said(2, 3)))
            assert beside == pytest.approx(alone, abs=1e-5)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fitting", "tempering", "families", "expected"),
    [
        (
            labelled([[YES]] * 3, [0] * 3),
            labelled([[YES]], [0]),
            ["a"],
            "option 1: expected at least 2 fitting .* 0",
        ),
        (
            labelled([[YES]] * 3, [0, 0, 1]),
            labelled([[YES]], [0]),
            ["a"],
            "option 1: expected at least 2 .* got 1",
        ),
        (
            labelled([[YES]] * 4, [0, 0, 1, 1]),
            labelled([[YES, NO]], [0]),
            ["a"],
            "1 members and 2 options, got 2",
        ),
        (
            labelled([[YES]] * 4, [0, 0, 1, 1]),
            labelled([[said(0, 3)]], [0], options=3),
            ["a"],
            "1 members and 2 options, got 1 and 3",
        ),
        (
            labelled([[YES]] * 4, [0, 0, 1, 1]),
            labelled([[None]], [0]),
            ["a"],
            "tempering case that a member answered",
        ),
        (
            labelled([[YES]] * 4, [0, 0, 1, 1]),
            labelled([[YES]], [0]),
            [],
            "1 families, one for each member, got 0",
        ),
    ],
    ids=["one truth", "one case", "other panel", "other question", "all silent", "no family"],
)
def test_too_little_or_unfitting_data_is_refused(
    fitting: Labelled, tempering: Labelled, families: Sequence[str], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        fit(fitting, tempering, families, SETTINGS)


@pytest.mark.parametrize(
    ("smoothing", "shrinkage", "family_prior", "expected"),
    [
        (0.0, 1.0, 0.5, "smoothing above 0"),
        (math.nan, 1.0, 0.5, "smoothing above 0"),
        (1.0, -1.0, 0.5, "shrinkage from 0"),
        (1.0, 1.0, 1.5, "family prior from 0 to 1"),
    ],
)
def test_settings_outside_their_range_are_refused(
    smoothing: float, shrinkage: float, family_prior: float, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        FitSettings(smoothing, shrinkage, family_prior)


# --- time ---------------------------------------------------------------------------------------------------------


def test_ten_thousand_cases_of_seven_members_fit_in_well_under_three_seconds() -> None:
    chance = random.Random(6)
    fitting = drawn(chance, 10_000, members=7, absent=0.05)
    tempering = drawn(chance, 2_000, members=7, absent=0.05)
    began = time.process_time()
    fit(fitting, tempering, ["a"] * 7, SETTINGS)
    assert time.process_time() - began < 3.0
