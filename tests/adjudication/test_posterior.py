"""The posterior against exact fractions, scipy, and what it must not be moved by."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations
from math import prod
from random import Random

import pytest
from scipy.special import softmax
from scipy.stats import multinomial

from arbiter.adjudication.posterior import independence, log_posterior, tempered

SENSITIVE = ((Fraction(9, 10), Fraction(1, 10)), (Fraction(2, 10), Fraction(8, 10)))
SPECIFIC = ((Fraction(6, 10), Fraction(4, 10)), (Fraction(1, 100), Fraction(99, 100)))
RARE = (Fraction(3, 100), Fraction(97, 100))


def floats(matrix: tuple[tuple[Fraction, ...], ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in matrix)


def test_two_tests_of_a_rare_condition_give_bayes_theorem_to_the_last_digit() -> None:
    """Both positive at a prevalence of 3 %: by fractions, never by logarithms."""
    joint = [RARE[truth] * SENSITIVE[truth][0] * SPECIFIC[truth][0] for truth in (0, 1)]
    expected = float(joint[0] / sum(joint))
    found = tempered(
        log_posterior(
            tuple(map(float, RARE)),
            (floats(SENSITIVE), floats(SPECIFIC)),
            (1.0, 1.0),
            ((1.0, 0.0), (1.0, 0.0)),
        ),
        1.0,
    )
    assert found[0] == pytest.approx(expected, abs=1e-14)
    assert sum(found) == pytest.approx(1.0, abs=1e-14)


def test_samples_of_whole_weight_are_as_likely_as_the_multinomial_says() -> None:
    """A weight of S turns shares of S samples into S draws; scipy's multinomial is the likelihood of these."""
    random = Random(7)
    for _ in range(50):
        options = random.choice((2, 3, 5))
        prior = drawn(random, options)
        matrices = [tuple(drawn(random, options) for _ in range(options)) for _ in range(3)]
        counts = [[random.randint(0, 4) for _ in range(options)] for _ in range(3)]
        counts = [row if sum(row) else [1] * options for row in counts]
        joint = [
            prior[truth]
            * prod(
                multinomial.pmf(row, sum(row), matrix[truth])
                for row, matrix in zip(counts, matrices, strict=True)
            )
            for truth in range(options)
        ]
        shares = [tuple(count / sum(row) for count in row) for row in counts]
        weights = [float(sum(row)) for row in counts]
        found = tempered(log_posterior(prior, matrices, weights, shares), 1.0)
        assert found == pytest.approx([each / sum(joint) for each in joint], abs=1e-12)


def drawn(random: Random, options: int) -> tuple[float, ...]:
    numbers = [random.random() + 0.05 for _ in range(options)]
    return tuple(number / math.fsum(numbers) for number in numbers)


def test_temperature_divides_the_logarithms_as_scipys_softmax_does() -> None:
    random = Random(3)
    for temperature in (0.05, 0.5, 1.0, 3.0, 20.0):
        logarithms = [random.uniform(-700, 10) for _ in range(4)]
        assert tempered(logarithms, temperature) == pytest.approx(
            softmax([each / temperature for each in logarithms]), abs=1e-14
        )


def test_nothing_overflows_however_sure_the_members_are() -> None:
    found = tempered((-1e6, -2e6), 0.05)
    assert found == (1.0, 0.0)


def test_two_that_always_err_together_count_as_one() -> None:
    copies = ((1.0, 1.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    assert independence(copies, (0, 1, 2)) == (Fraction(1, 2), Fraction(1, 2), Fraction(1))
    assert independence(copies, (0, 2)) == (Fraction(1), Fraction(1))
    one = log_posterior((0.5, 0.5), (floats(SENSITIVE),), (1.0,), ((1.0, 0.0),))
    two = log_posterior((0.5, 0.5), (floats(SENSITIVE),) * 2, (0.5, 0.5), ((1.0, 0.0),) * 2)
    assert two == pytest.approx(one, abs=1e-14)


def test_erring_at_different_times_makes_nobody_louder() -> None:
    assert independence(((1.0, -0.9), (-0.9, 1.0)), (0, 1)) == (Fraction(1), Fraction(1))


def test_members_in_another_order_give_the_same() -> None:
    voices = [
        (floats(SENSITIVE), 0.6, (0.8, 0.2)),
        (floats(SPECIFIC), 1.0, (0.0, 1.0)),
        (floats(SENSITIVE), 0.3, (0.5, 0.5)),
    ]
    found = {
        log_posterior((0.3, 0.7), *(tuple(part) for part in zip(*order, strict=True)))
        for order in permutations(voices)
    }
    assert len(found) == 1


def test_options_in_another_order_give_the_same_for_each() -> None:
    matrix, shares, prior = (
        ((0.7, 0.2, 0.1), (0.3, 0.5, 0.2), (0.1, 0.1, 0.8)),
        (0.6, 0.4, 0.0),
        (0.2, 0.3, 0.5),
    )
    whole = log_posterior(prior, (matrix,), (1.0,), (shares,))
    for order in permutations(range(3)):
        turned = tuple(tuple(matrix[truth][said] for said in order) for truth in order)
        found = log_posterior(
            tuple(prior[at] for at in order), (turned,), (1.0,), (tuple(shares[at] for at in order),)
        )
        assert found == pytest.approx([whole[at] for at in order], abs=1e-14)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        log_posterior((0.5, 0.5), (floats(SENSITIVE),), (1.0, 1.0), ((1.0, 0.0),))
