"""The temperature: scipy's minimum, the bounds where there is none, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from arbiter.adjudication.posterior import tempered
from arbiter.calibrating.temperature import HIGHEST, LOWEST, fit_temperature


def drawn(seed: int, true_temperature: float, *, number: int = 500, options: int = 4) -> tuple[Any, Any]:
    """Logarithms, and truths drawn from their softmax at that temperature."""
    chance = np.random.default_rng(seed)
    logarithms = chance.normal(scale=3.0, size=(number, options)) - 40.0
    chances = np.exp(log_softmax(logarithms / true_temperature, axis=1))
    truths = [int(chance.choice(options, p=own)) for own in chances]
    return logarithms, truths


def mean_loss(logarithms: Any, truths: Any, temperature: float) -> float:
    return float(-log_softmax(logarithms / temperature, axis=1)[range(len(truths)), truths].mean())


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 2.5, 9.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_is_where_scipy_finds_the_least_loss(seed: int, true_temperature: float) -> None:
    logarithms, truths = drawn(seed, true_temperature)
    found = fit_temperature(logarithms.tolist(), truths)
    least = minimize_scalar(
        lambda inverse: mean_loss(logarithms, truths, 1.0 / inverse),
        bounds=(1.0 / HIGHEST, 1.0 / LOWEST),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert not found.at_bound
    assert 1.0 / found.value == pytest.approx(least.x, rel=1e-6)
    assert found.mean_loss == pytest.approx(least.fun, abs=1e-12)


def test_the_loss_is_that_of_what_the_posterior_does_with_the_temperature() -> None:
    logarithms, truths = drawn(3, 2.0, number=50)
    found = fit_temperature(logarithms.tolist(), truths)
    losses = [
        -math.log(tempered(case, found.value)[truth]) for case, truth in zip(logarithms, truths, strict=True)
    ]
    assert found.mean_loss == pytest.approx(math.fsum(losses) / len(losses), abs=1e-12)


def test_the_order_of_cases_changes_no_digit() -> None:
    logarithms, truths = drawn(4, 1.5)
    backwards = fit_temperature(logarithms[::-1].tolist(), truths[::-1])
    assert backwards == fit_temperature(logarithms.tolist(), truths)


def test_a_search_that_starts_far_from_its_end_is_kept_in_its_bracket() -> None:
    """One sure case among many wrong by a hair: at T = 1 the loss is nearly straight, and Newton's first step far out."""
    logarithms = [[0.0, 500.0], *[[0.0, -500.0]] * 400]
    found = fit_temperature(logarithms, [0] * 401)
    # Of 401 cases the worse option is right in one: ln 400 nats apart.
    assert found.at_bound
    assert found.value == HIGHEST
    closer = fit_temperature([[0.0, 60.0], *[[0.0, -60.0]] * 400], [0] * 401)
    assert closer.value == pytest.approx(60.0 / math.log(400.0), rel=1e-9)


def test_cases_that_are_all_right_end_at_the_lower_bound_and_say_so() -> None:
    found = fit_temperature([[1.0, 0.0], [0.0, 0.5]], [0, 1])
    assert (found.value, found.at_bound) == (LOWEST, True)


def test_cases_that_are_all_wrong_end_at_the_upper_bound_and_say_so() -> None:
    found = fit_temperature([[1.0, 0.0], [0.0, 0.5]], [1, 0])
    assert (found.value, found.at_bound) == (HIGHEST, True)


def test_cases_that_say_nothing_leave_the_temperature_at_one() -> None:
    found = fit_temperature([[-7.0, -7.0], [2.0, 2.0]], [0, 1])
    assert (found.value, found.at_bound) == (1.0, False)
    assert found.mean_loss == pytest.approx(math.log(2.0))


@pytest.mark.parametrize(
    ("logarithms", "truths", "expected"),
    [
        ([], [], "at least one held-out case"),
        ([[0.0, 1.0]], [], "1 truths, one for each case, got 0"),
        ([[0.0, 1.0]], [2], "case 0: expected a truth from 0 to 1, got 2"),
        ([[0.0, 1.0]], [-1], "case 0: expected a truth from 0 to 1, got -1"),
        ([[]], [0], "case 0: expected a truth"),
        ([[0.0, 1.0], [0.0, math.nan]], [0, 0], "case 1: expected finite"),
        ([[0.0, -math.inf]], [0], "case 0: expected finite"),
        ([[0.0, math.inf]], [0], "case 0: expected finite"),
    ],
)
def test_cases_that_do_not_fit_together_are_refused(
    logarithms: Sequence[Sequence[float]], truths: Sequence[int], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        fit_temperature(logarithms, truths)
