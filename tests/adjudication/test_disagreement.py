"""Disagreement against published numbers, closed forms, and a second implementation in 50-digit decimals."""

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arbiter.adjudication.disagreement import entropy, measure, self_consistency

LN2 = 0.6931471805599453
"""OEIS A002162."""


@pytest.mark.parametrize(
    ("shares", "nats"),
    [
        ((1.0, 0.0), 0.0),
        ((0.5, 0.5), LN2),
        ((0.25, 0.25, 0.25, 0.25), 2 * LN2),
        (
            (0.5, 0.25, 0.125, 0.125),
            1.75 * LN2,
        ),  # Cover and Thomas, Elements of Information Theory, example 2.1.1
        ((0.9, 0.1), 0.46899559358928133 * LN2),  # binary entropy of 0.1: 0.469 bits
        ((0.89, 0.11), 0.4999159581645274 * LN2),  # and of 0.11: 0.500 bits
        ((1 / 3, 1 / 3, 1 / 3), 1.0986122886681098),  # ln 3, OEIS A002391
    ],
)
def test_entropy_of_published_distributions(shares: tuple[float, ...], nats: float) -> None:
    assert entropy(shares) == pytest.approx(nats, abs=1e-12)


def test_self_consistency_runs_from_all_samples_alike_to_all_apart() -> None:
    assert self_consistency((1.0, 0.0, 0.0)) == 1.0
    assert self_consistency((1 / 3, 1 / 3, 1 / 3)) == pytest.approx(0.0, abs=1e-12)
    assert self_consistency((0.9, 0.1)) == pytest.approx(1 - 0.46899559358928133, abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        # The examples in SciPy's reference page of scipy.spatial.distance.jensenshannon: square roots, in nats.
        ((1.0, 0.0), (0.5, 0.5), 0.46450140402245893),
        ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.0),
        # Base 2 there, where opposite certainties are 1 apart: the square root of ln 2 in nats.
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), math.sqrt(LN2)),
    ],
)
def test_between_two_equal_members_is_the_published_divergence_over_ln_2(
    one: tuple[float, ...], other: tuple[float, ...], distance: float
) -> None:
    assert measure((0.5, 0.5), (one, other)).between == pytest.approx(distance**2 / LN2, abs=1e-12)


def test_opposite_certainties_are_all_between_and_nothing_within() -> None:
    found = measure((0.5, 0.5), ((1.0, 0.0), (0.0, 1.0)))
    assert (found.total, found.between, found.within) == (1.0, 1.0, 0.0)


def test_shared_indecision_is_all_within_and_nothing_between() -> None:
    found = measure((0.5, 0.5), ((0.5, 0.5), (0.5, 0.5)))
    assert found.between == 0.0
    assert found.total == found.within == pytest.approx(1.0)


def test_the_same_certainty_is_no_disagreement_at_all_to_the_last_bit() -> None:
    found = measure((0.1, 0.2, 0.7), ((0.0, 1.0, 0.0),) * 3)
    assert (found.total, found.between, found.within) == (0.0, 0.0, 0.0)


def test_the_same_indecision_is_nothing_between_where_rounding_alone_would_leave_something() -> None:
    third, tenths = (1 / 3,) * 3, ((0.1, 0.9),) * 3
    left_over = entropy(
        (math.fsum(0.1 * weight for weight in third), math.fsum(0.9 * weight for weight in third))
    )
    assert left_over != math.fsum(weight * entropy(tenths[0]) for weight in third)
    assert measure(third, tenths).between == 0.0


def test_two_members_of_three_options_are_bounded_by_their_weights_and_four_of_two_by_the_options() -> None:
    """Opposite certainties reach 1 whichever of ln K and H(v) is the lesser."""
    assert measure((0.75, 0.25), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))).between == pytest.approx(1.0, abs=1e-12)
    quarter = (0.25,) * 4
    split = ((1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 1.0))
    assert measure(quarter, split).between == pytest.approx(1.0, abs=1e-12)


def test_one_dissenter_of_three_in_closed_form() -> None:
    """H(1/3) in nats is ln 3 - 2/3 ln 2; the least bound is ln 2."""
    found = measure((1 / 3,) * 3, ((1.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    assert found.between == pytest.approx((math.log(3) - 2 / 3 * LN2) / LN2, abs=1e-12)
    assert found.within == 0.0


@pytest.mark.parametrize("members", [(), ((1.0, 0.0),)])
def test_fewer_than_two_members_cannot_be_compared(members: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="at least two members"):
        measure((1.0,) * len(members), members)


def naive(
    weights: Sequence[Fraction], members: Sequence[Sequence[Fraction]]
) -> tuple[Decimal, Decimal, Decimal]:
    """Compute the three measures in 50 digits, the divergence as a mean of relative entropies."""
    with localcontext() as context:
        context.prec = 50

        def number(fraction: Fraction) -> Decimal:
            return Decimal(fraction.numerator) / Decimal(fraction.denominator)

        def uncertainty(shares: Sequence[Fraction]) -> Decimal:
            return -sum((number(share) * number(share).ln() for share in shares if share), Decimal(0))

        mean = [
            sum(w * p[at] for w, p in zip(weights, members, strict=True)) for at in range(len(members[0]))
        ]
        divergence = Decimal(0)
        for weight, shares in zip(weights, members, strict=True):
            for share, average in zip(shares, mean, strict=True):
                if share:
                    divergence += number(weight * share) * (number(share) / number(Fraction(average))).ln()
        options = Decimal(len(members[0])).ln()
        own = sum((number(w) * uncertainty(p) for w, p in zip(weights, members, strict=True)), Decimal(0))
        return (
            uncertainty([Fraction(average) for average in mean]) / options,
            divergence / min(options, uncertainty(weights)),
            own / options,
        )


@st.composite
def panels(draw: st.DrawFn) -> tuple[list[Fraction], list[list[Fraction]]]:
    options = draw(st.integers(2, 5))
    counts = st.lists(st.integers(0, 12), min_size=options, max_size=options).filter(any)
    members = draw(st.lists(counts, min_size=2, max_size=6))
    raw = draw(st.lists(st.integers(1, 100), min_size=len(members), max_size=len(members)))
    return (
        [Fraction(weight, sum(raw)) for weight in raw],
        [[Fraction(count, sum(member)) for count in member] for member in members],
    )


@given(panel=panels())
def test_measures_agree_with_the_second_implementation(
    panel: tuple[list[Fraction], list[list[Fraction]]],
) -> None:
    weights, members = panel
    found = measure(
        [float(weight) for weight in weights], [[float(share) for share in member] for member in members]
    )
    for value, expected in zip(
        (found.total, found.between, found.within), naive(weights, members), strict=True
    ):
        assert 0.0 <= value <= 1.0
        assert value == pytest.approx(float(expected), abs=1e-9)


@given(panel=panels())
def test_total_is_what_is_between_and_within_put_together(
    panel: tuple[list[Fraction], list[list[Fraction]]],
) -> None:
    weights, members = panel
    assume(len(set(map(tuple, members))) > 1)
    floats = [float(weight) for weight in weights]
    found = measure(floats, [[float(share) for share in member] for member in members])
    options = math.log(len(members[0]))
    assert found.total * options == pytest.approx(
        found.between * min(options, entropy(floats)) + found.within * options, abs=1e-9
    )
