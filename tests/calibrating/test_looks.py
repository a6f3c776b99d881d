"""All looks at one guarantee set together spend no more than delta, and sets that were looked at before are known again."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import beta

from arbiter.calibrating.looks import MARKS, are_marks, marks, next_look, share, share_cases, spent
from arbiter.calibration import Labels
from tests.adjudication.calibrations import LABELS, calibration
from tests.adjudication.small import bench

DELTAS = [Decimal(text) for text in ("0.05", "0.1", "0.01", "0.037", "0.333333")]


def cases(start: int, stop: int) -> list[bytes]:
    return [f"case {number}".encode() for number in range(start, stop)]


def of(*numbers: int, name: str = "a") -> Labels:
    return replace(LABELS, cases_hash=name * 64, marks=marks(cases(*numbers)))


# --- what a look may spend ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", DELTAS)
def test_however_many_looks_come_they_spend_no_more_than_delta(delta: Decimal) -> None:
    """N looks of the series have spent delta N / (N + 1), rounding aside, which only takes away."""
    so_far = Decimal(0)
    for look in range(1, 41):
        so_far += share(delta, look)
        exact = Fraction(delta) * look / (look + 1)
        assert exact - Fraction(look, 1_000_000) <= Fraction(so_far) <= exact < Fraction(delta)


def test_the_only_look_has_all_of_it_the_first_a_half_and_later_ones_less_and_less() -> None:
    shares = [share(Decimal("0.06"), look) for look in range(1, 20)]
    assert share(Decimal("0.06"), None) == Decimal("0.06")
    assert [str(each) for each in shares[:3]] == ["0.030000", "0.010000", "0.005000"]
    assert shares == sorted(set(shares), reverse=True)


@pytest.mark.parametrize("look", [0, -1, 101])
def test_what_is_no_look_is_refused(look: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 100"):
        share(Decimal("0.05"), look)


def test_a_share_that_cannot_be_written_is_refused_rather_than_rounded_up() -> None:
    assert share(Decimal("0.009901"), 99) == Decimal("0.000001")
    with pytest.raises(ValueError, match=r"look 100: .* leaves less"):
        share(Decimal("0.009901"), 100)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("0.05", 1),
        ("0.025", 1),
        ("0.024999", 2),
        ("0.008333", 2),
        ("0.008332", 3),
        ("0.000004", 100),
        ("0", None),
    ],
)
def test_the_next_look_is_the_first_that_what_is_left_pays_for(left: str, expected: int | None) -> None:
    assert next_look(Decimal("0.05"), Decimal(left)) == expected


def test_looking_again_and_again_breaks_the_promise_and_its_shares_keep_it() -> None:
    """Cases are added until it holds, of a panel whose error rate is what must not pass: alpha exactly, so any pass is wrong.

    The exact bound is SciPy's. At all of delta a look, some look of eight passes in far more than delta of 4,000 runs.
    """
    alpha, delta, runs = 0.05, 0.2, 4_000
    sizes = [200 * look for look in range(1, 9)]
    errors = np.cumsum(np.random.default_rng(11).binomial(200, alpha, (runs, len(sizes))), axis=1)

    def passed(levels: list[float]) -> float:
        bounds = [
            beta.ppf(1 - level, errors[:, at] + 1, size - errors[:, at])
            for at, (size, level) in enumerate(zip(sizes, levels, strict=True))
        ]
        return float((np.array(bounds) <= alpha).any(axis=0).mean())

    whole = Decimal(str(delta))
    assert passed([delta] * len(sizes)) > 1.5 * delta
    assert passed([float(share(whole, look)) for look in range(1, len(sizes) + 1)]) < delta


# --- who looked at which cases --------------------------------------------------------------------------------------


def test_marks_are_the_least_hashes_whatever_the_order_and_all_of_few() -> None:
    hashed = sorted(hashlib.sha256(case).hexdigest()[:16] for case in cases(0, 500))
    assert marks(cases(0, 500)) == marks(reversed(cases(0, 500))) == tuple(hashed[:MARKS])
    assert len(marks(cases(0, 7))) == 7
    assert marks([]) == ()


@pytest.mark.parametrize("cases_of", [(1_000, 50), (400, 400), (100, 2_000)])
def test_sets_of_other_cases_have_no_mark_in_common(cases_of: tuple[int, int]) -> None:
    one, other = cases_of
    assert not share_cases(of(0, one), of(one, one + other, name="b"))


def test_a_set_that_grew_or_shrank_is_known_again_without_its_files_hash() -> None:
    looked_at = of(0, 1_000)
    for grown in (
        of(0, 1_001, name="b"),
        of(0, 5_000, name="c"),
        of(300, 1_000, name="d"),
        of(900, 2_000, name="e"),
    ):
        assert share_cases(looked_at, grown)
        assert share_cases(grown, looked_at)


def test_of_sets_with_a_twentieth_in_common_hardly_any_is_missed() -> None:
    """A mark of the union is in both sets with chance 1/20: missed are 0.95^128, 1.4 of 1,000."""
    missed = 0
    for run in range(300):
        names = [f"{run} {number}".encode() for number in range(400)]
        one = replace(LABELS, cases_hash="a" * 64, marks=marks(names[:210]))
        other = replace(LABELS, cases_hash="b" * 64, marks=marks(names[190:]))
        missed += not share_cases(one, other)
    assert missed <= 4


def test_the_same_file_is_the_same_cases_without_any_mark() -> None:
    assert share_cases(LABELS, replace(LABELS, opinions_hash="c" * 64))
    assert not share_cases(LABELS, replace(LABELS, cases_hash="c" * 64))


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (marks(cases(0, 500)), 127),
        (marks(cases(0, 100)), 500),
        (marks(cases(0, 100)), 99),
        (marks(cases(0, 5))[::-1], 5),
        (("a" * 16, "a" * 16), 2),
        (("a" * 15,), 1),
        (("A" * 16,), 1),
        ((), 1),
    ],
)
def test_what_cannot_be_the_marks_of_so_many_cases(given: tuple[str, ...], number: int) -> None:
    assert not are_marks(given, number)


def test_what_can_be_them() -> None:
    for number in (0, 1, MARKS, MARKS + 1, 5_000):
        assert are_marks(marks(cases(0, number)), number)


def test_only_looks_at_these_cases_count() -> None:
    made = calibration(bench().protocol, labels=of(0, 1_000), delta=Decimal("0.01"))
    same = replace(made, delta=Decimal("0.025"))
    grown = replace(made, labels=of(0, 1_200, name="b"), delta=Decimal("0.008333"))
    others = replace(made, labels=of(5_000, 6_000, name="c"), delta=Decimal("0.05"))
    assert spent(made, []) == (0, Decimal(0))
    assert spent(made, [others]) == (0, Decimal(0))
    assert spent(made, [same, others, grown]) == (2, Decimal("0.033333"))
