"""Krippendorff's alpha: against published examples and the `krippendorff` package."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import krippendorff
import numpy as np
import pytest

from arbiter.calibrating.agreement import Agreement, krippendorff_alpha

FOUR_OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, example C: nominal alpha 0.743."""

TWO_OBSERVERS = ("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
"""The same, example A: binary data, alpha 0.095."""

THREE_CODERS = (
    ". . . . . 3 4 1 2 1 1 3 3 . 3",
    "1 . 2 1 3 3 4 3 . . . . . . .",
    ". . 2 1 3 4 4 . 2 1 1 3 3 . 4",
)
"""Wikipedia, Krippendorff's alpha, a computational example: nominal alpha 0.691."""


def units(coders: Sequence[str]) -> list[list[str | None]]:
    """The values of each unit, from a line for each coder in which a dot is a missing value."""
    lines = [[None if value == "." else value for value in line.split()] for line in coders]
    return [list(unit) for unit in zip(*lines, strict=True)]


@pytest.mark.parametrize(
    ("coders", "published"),
    [(FOUR_OBSERVERS, 0.743), (TWO_OBSERVERS, 0.095), (THREE_CODERS, 0.691)],
    ids=["four observers", "two observers", "three coders"],
)
def test_the_published_examples(coders: Sequence[str], published: float) -> None:
    found = krippendorff_alpha(units(coders))
    assert found is not None
    assert round(found, 3) == published


def test_the_binary_example_is_8_of_84_exactly() -> None:
    """14 zeros, 6 ones and 4 units that differ: 1 - 19 * 4 / (14 * 6)."""
    assert krippendorff_alpha(units(TWO_OBSERVERS)) == 8 / 84


def drawn(chance: random.Random) -> list[list[str | None]]:
    coders, values = chance.randint(2, 7), "abcdef"[: chance.randint(2, 6)]
    missing, noise = chance.choice([0.0, 0.2, 0.6]), chance.random()
    found: list[list[str | None]] = []
    for _ in range(chance.randint(2, 40)):
        truth = chance.choice(values)
        said = [chance.choice(values) if chance.random() < noise else truth for _ in range(coders)]
        found.append([None if chance.random() < missing else value for value in said])
    return found


def test_random_data_with_missing_values_agree_with_the_package() -> None:
    chance, compared = random.Random(20261127), 0
    for _ in range(400):
        given = drawn(chance)
        found = krippendorff_alpha(given)
        counts = np.array([[unit.count(value) for value in "abcdef"] for unit in given])
        pairable = counts[counts.sum(axis=1) >= 2]
        if np.count_nonzero(pairable.sum(axis=0)) < 2:
            assert found is None
            continue
        assert found == pytest.approx(
            krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"), abs=1e-9
        )
        compared += 1
    assert compared > 350


def test_the_order_of_units_and_coders_plays_no_part() -> None:
    chance = random.Random(3)
    for _ in range(50):
        given = drawn(chance)
        found = krippendorff_alpha(given)
        chance.shuffle(given)
        assert krippendorff_alpha([chance.sample(unit, len(unit)) for unit in given]) == found


def test_full_agreement_is_1_and_two_coders_who_always_differ_are_below_0() -> None:
    assert krippendorff_alpha([["a", "a", "a"], ["b", "b", "b"]]) == 1.0
    below = krippendorff_alpha([["a", "b"]] * 50)
    assert below is not None
    # 100 values, half of them "a", and every pair differs: 1 - 99 * 100 / (100^2 - 2 * 50^2).
    assert below == pytest.approx(-0.98, abs=1e-12)


@pytest.mark.parametrize(
    "given",
    [
        [],
        [[]],
        [["a"], ["b"]],
        [["a", None], [None, "b"]],
        [["a", "a"], ["a", "a"]],
        # The only other value stands alone in its unit.
        [["a", "a"], ["b", None]],
    ],
    ids=["no unit", "no coder", "one coder", "no pair", "one value", "one value that has pairs"],
)
def test_where_chance_could_err_nowhere_there_is_no_number(given: list[list[str | None]]) -> None:
    assert krippendorff_alpha(given) is None


def test_a_nan_is_no_missing_value() -> None:
    with pytest.raises(ValueError, match="expected None for a missing value"):
        krippendorff_alpha([[1.0, math.nan], [1.0, 2.0]])


# --- case by case -------------------------------------------------------------------------------------------------


def test_units_that_come_one_by_one_give_the_same_alpha_and_none_of_them_is_kept() -> None:
    chance = random.Random(31)
    for _ in range(60):
        given, sums = drawn(chance), Agreement()
        for unit in given:
            sums = sums.after(unit)
        assert sums.alpha == krippendorff_alpha(given)
        assert sums.units == len(given)
        turned = Agreement()
        for unit in reversed(given):
            turned = turned.after(unit[::-1])
        assert turned == sums


def test_a_unit_nobody_answered_counts_as_a_unit_and_for_nothing_else() -> None:
    sums = Agreement().after(["a", "b"])
    assert sums.after([None, None]) == Agreement(2, sums.given, sums.differing)
    assert sums.after(["a"]) == Agreement(2, sums.given, sums.differing)
    assert Agreement().after([]).alpha is None
