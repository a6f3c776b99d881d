"""Weights, shares and strategies, by hand."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.adjudication.aggregation import independence, lead, tally
from arbiter.adjudication.bench import hear
from arbiter.model import MemberStatus, ReasonCode
from arbiter.question import Strategy
from tests.adjudication.small import bench, opinion, opinions, seat


@pytest.mark.parametrize(
    ("families", "correlation", "effective"),
    [
        ("", "0.5", Fraction(0)),
        ("a", "0.5", Fraction(1)),
        ("abc", "0.9", Fraction(3)),
        ("aaa", "0", Fraction(3)),
        ("aaa", "1", Fraction(1)),
        ("aa", "0.5", Fraction(4, 3)),
        ("aab", "0.5", Fraction(7, 3)),
        ("aaaa", "0.2", Fraction(5, 2)),
        ("aaa", "0.6", Fraction(15, 11)),
        ("aaa", "-0.5", Fraction(3)),
    ],
)
def test_members_of_one_family_count_for_less(families: str, correlation: str, effective: Fraction) -> None:
    assert sum(independence(families, Decimal(correlation)), Fraction(0)) == effective


@given(families=st.text("abc", min_size=1, max_size=8), correlation=st.decimals(0, 1, places=3))
def test_a_panel_never_counts_for_more_than_its_members_or_less_than_its_families(
    families: str, correlation: Decimal
) -> None:
    effective = sum(independence(families, correlation), Fraction(0))
    assert len(set(families)) <= effective <= len(families)


def test_a_seats_weight_counts_only_where_the_strategy_weighs() -> None:
    seats = (seat("a", weight="3"), seat("b", weight="1"))
    votes = opinions("urgent", "watch")
    for strategy, weights in (
        (Strategy.WEIGHTED, (0.75, 0.25)),
        (Strategy.MAJORITY, (0.5, 0.5)),
        (Strategy.UNANIMOUS, (0.5, 0.5)),
    ):
        court = bench(*seats, strategy=strategy)
        assert tally(court, hear(court, votes)).weights == weights


def test_weights_multiply_with_independence() -> None:
    """a and b are one family at 0.5, so 2/3 each; with seats of 2, 1, 1 that is 4/3 : 2/3 : 1."""
    court = bench(
        seat("a", family="x", weight="2"), seat("b", family="x"), seat("c"), strategy=Strategy.WEIGHTED
    )
    counted = tally(court, hear(court, opinions("urgent", "watch", {"urgent": 1, "watch": 3})))
    assert counted.weights == (4 / 9, 2 / 9, 1 / 3)
    assert counted.shares == pytest.approx((4 / 9 + 1 / 12, 2 / 9 + 1 / 4), abs=1e-15)
    assert counted.effective == Fraction(7, 3)


def test_samples_are_counted_unsmoothed() -> None:
    court = bench()
    counted = tally(court, hear(court, opinions({"urgent": 4, "watch": 1}, "urgent", "watch")))
    assert counted.distributions == ((0.8, 0.2), (1.0, 0.0), (0.0, 1.0))


def leading(
    strategy: Strategy, *votes: str | dict[str, int], threshold: str = "0.6"
) -> tuple[str | None, bool]:
    court = bench(
        *(seat(member) for member in "abcdefgh"[: len(votes)]),
        options=("urgent", "watch", "home"),
        strategy=strategy,
        threshold=Decimal(threshold),
    )
    found = lead(court, tally(court, hear(court, opinions(*votes))))
    return found.option, found.shortfall is None


SPLIT = {"urgent": 1, "watch": 1}


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (("urgent", "urgent", "watch"), ("urgent", True)),
        (("urgent", "urgent"), ("urgent", True)),
        (("urgent", "watch"), (None, False)),
        (("urgent", "watch", "home"), (None, False)),
        (("urgent", "urgent", "watch", "home"), ("urgent", False)),
        (("urgent", "urgent", "watch", "watch"), (None, False)),
        (("urgent", "urgent", SPLIT), ("urgent", True)),
        (("urgent", SPLIT), ("urgent", False)),
        ((SPLIT, SPLIT), (None, False)),
        (({"urgent": 3, "watch": 2}, {"urgent": 3, "watch": 2}, "watch"), ("urgent", True)),
        ((), (None, False)),
    ],
)
def test_a_majority_is_more_than_half_of_the_valid_members(
    votes: tuple[str | dict[str, int], ...], expected: tuple[str | None, bool]
) -> None:
    assert leading(Strategy.MAJORITY, *votes) == expected


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (("urgent", "urgent", "urgent"), ("urgent", True)),
        (("urgent", "urgent", "watch"), ("urgent", False)),
        (("urgent", "urgent", SPLIT), ("urgent", False)),
        (("urgent", {"urgent": 2, "watch": 1}), ("urgent", True)),
        ((SPLIT, SPLIT), (None, False)),
        ((), (None, False)),
    ],
)
def test_unanimous_is_every_valid_member(
    votes: tuple[str | dict[str, int], ...], expected: tuple[str | None, bool]
) -> None:
    assert leading(Strategy.UNANIMOUS, *votes) == expected


@pytest.mark.parametrize(
    ("votes", "threshold", "expected"),
    [
        (("urgent", "urgent", "watch"), "0.6", ("urgent", True)),
        (("urgent", "urgent", "watch"), "0.7", ("urgent", False)),
        (("urgent", "watch"), "0.4", (None, False)),
        (("urgent", "watch", "home"), "0.1", (None, False)),
        (("urgent", "urgent", "watch", "home"), "0.4", ("urgent", True)),
        (({"urgent": 3, "watch": 1}, {"urgent": 3, "watch": 1}), "0.7", ("urgent", True)),
        ((), "0", (None, False)),
    ],
)
def test_weighted_must_exceed_the_threshold(
    votes: tuple[str | dict[str, int], ...], threshold: str, expected: tuple[str | None, bool]
) -> None:
    assert leading(Strategy.WEIGHTED, *votes, threshold=threshold) == expected


@pytest.mark.parametrize(
    ("threshold", "near"),
    [
        ("0.75", True),
        ("0.750001", True),
        ("0.749999", True),
        ("0.7500009", True),
        ("0.750002", False),
        ("0.749998", False),
    ],
)
def test_a_share_within_a_millionth_of_the_threshold_is_near_it_from_either_side(
    threshold: str, near: bool
) -> None:
    court = bench(seat("a"), seat("b"), strategy=Strategy.WEIGHTED, threshold=Decimal(threshold))
    votes = opinions("urgent", {"urgent": 1, "watch": 1})
    code = lead(court, tally(court, hear(court, votes))).code
    assert (code is ReasonCode.NEAR_THRESHOLD) is near


def test_votes_of_members_that_did_not_answer_validly_do_not_count() -> None:
    court = bench()
    for status in set(MemberStatus) - {MemberStatus.VALID}:
        heard = hear(
            court, [opinion("a", "urgent"), opinion("b", {"watch": 9}, status), opinion("c", "urgent")]
        )
        assert tally(court, heard).shares == (1.0, 0.0)
