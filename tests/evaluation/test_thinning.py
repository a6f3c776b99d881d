"""Thinning: each case with the same probability in the end, by a number that nobody chose, the same each time."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from arbiter.evaluation.thinning import is_kept

ROOT = bytes(range(32))
FIFTH = Decimal("0.200000")
probabilities = st.decimals("0.000001", "1", places=6)


def test_the_number_is_the_hash_of_id_and_root_as_a_share() -> None:
    """Recomputed apart, on the decimal expansion that any tool gives."""
    for number in range(200):
        digest = hashlib.sha256(f"c_{number}|{ROOT.hex()}".encode()).hexdigest()
        share = int(digest[:13], 16) / 16**13
        assert is_kept(f"c_{number}", ROOT, Decimal(1), FIFTH) == (share < 0.2)


def test_among_twenty_thousand_each_is_there_with_the_least_probability() -> None:
    """Half come for certain, half one time in five; SciPy says whether a fifth of each is there."""
    random = Random(62)
    certain = [f"c_{number}" for number in range(10_000)]
    drawn = [f"c_{number}" for number in range(10_000, 20_000) if random.random() < 0.2]
    kept = sum(is_kept(case, ROOT, Decimal(1), FIFTH) for case in certain)
    assert all(is_kept(case, ROOT, FIFTH, FIFTH) for case in drawn)
    for number in (kept, len(drawn)):
        assert binomtest(number, 10_000, 0.2).pvalue > 0.001


@given(probabilities, st.text(max_size=20), st.binary(min_size=32, max_size=32))
def test_whom_chance_chose_least_often_is_always_kept(least: Decimal, case: str, root: bytes) -> None:
    assert is_kept(case, root, least, least)


@given(probabilities, probabilities, probabilities, st.text(max_size=20))
def test_who_is_kept_where_more_are_chosen_is_kept_where_fewer_are(
    one: Decimal, two: Decimal, three: Decimal, case: str
) -> None:
    least, less, more = sorted((one, two, three))
    assert is_kept(case, ROOT, more, least) <= is_kept(case, ROOT, less, least)


def test_another_checkpoint_draws_anew() -> None:
    roots = (ROOT, bytes(32))
    drawn = [
        [is_kept(f"c_{number}", root, Decimal(1), Decimal("0.5")) for number in range(200)] for root in roots
    ]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("probability", "least"), [("0.1", "0.2"), ("1.1", "0.2"), ("0.2", "0"), ("-1", "-1")]
)
def test_what_is_no_probability_or_below_the_least_is_refused(probability: str, least: str) -> None:
    with pytest.raises(ValueError, match="expected 0 < least <= probability <= 1"):
        is_kept("c_1", ROOT, Decimal(probability), Decimal(least))
