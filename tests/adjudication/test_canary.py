"""The canary's exact test: against published tables, every way of dealing out, and long runs in which nothing changes."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import comb, log2, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.adjudication.canary import PARTS, CaseCounts, compare, level


def table(before: str, now: str, case: str = "case") -> CaseCounts:
    """A case by its draws, a letter each."""
    return CaseCounts(case, Counter(before), Counter(now))


def counts(before: Sequence[int], now: Sequence[int], case: str = "case") -> CaseCounts:
    names = [f"answer-{at}" for at in range(len(before))]
    return CaseCounts(case, dict(zip(names, before, strict=True)), dict(zip(names, now, strict=True)))


# --- published tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "published"),
    [
        # Fisher's lady tasting tea, three of four right (Agresti 2002, p. 92), two-sided: 34 of 70.
        ((3, 1), (1, 3), 0.4857),
        # Fisher 1970, convictions of twins; R 4.4, help(fisher.test): fisher.test(Convictions, conf.int = FALSE).
        ((2, 15), (10, 3), 0.0005367),
        # Whales and sharks; SciPy 1.14, scipy.stats.fisher_exact([[8, 2], [1, 5]]).
        ((8, 2), (1, 5), 0.03497),
    ],
    ids=["tea", "twins", "whales"],
)
def test_one_case_with_two_answers_is_fishers_exact_test(
    before: tuple[int, int], now: tuple[int, int], published: float
) -> None:
    assert float(compare([counts(before, now)]).p_value) == pytest.approx(published, rel=2e-4)


def test_the_tea_is_exactly_34_of_70() -> None:
    assert compare([counts((3, 1), (1, 3))]).p_value == Fraction(34, 70)


# --- every way of dealing out -------------------------------------------------------------------------------------


def dealt(case: CaseCounts) -> Mapping[tuple[tuple[str, int], ...], int]:
    """Every table that the draws of a case can make, with how many ways: each draw is a card, each hand counted."""
    cards = [answer for answer, count in Counter(case.before).items() for _ in range(count)]
    cards += [answer for answer, count in Counter(case.now).items() for _ in range(count)]
    hands: Counter[tuple[tuple[str, int], ...]] = Counter()
    for hand in itertools.combinations(range(len(cards)), sum(case.now.values())):
        hands[tuple(sorted(Counter(cards[at] for at in hand).items()))] += 1
    return hands


def surprise_of(case: CaseCounts, hand: Mapping[str, int]) -> int:
    """The statistic in its definition's words, by another road than the code's."""
    margins = Counter(case.before) + Counter(case.now)
    own = sum(_eighths(comb(margins[answer], hand.get(answer, 0))) for answer in margins)
    return _eighths(comb(margins.total(), sum(hand.values()))) - own


def _eighths(ways: int) -> int:
    whole = int(PARTS * log2(ways))
    # A float may miss by one where the logarithm is a whole number of parts.
    return next(parts for parts in (whole + 1, whole, whole - 1) if 2**parts <= ways**PARTS)


def p_by_enumeration(cases: Sequence[CaseCounts]) -> Fraction:
    observed = sum(surprise_of(case, case.now) for case in cases)
    laws: list[Mapping[int, int]] = []
    for case in cases:
        law: defaultdict[int, int] = defaultdict(int)
        for hand, ways in dealt(case).items():
            law[surprise_of(case, dict(hand))] += ways
        laws.append(law)
    reaching = sum(
        prod(law[own] for law, own in zip(laws, chosen, strict=True))
        for chosen in itertools.product(*laws)
        if sum(chosen) >= observed
    )
    return Fraction(reaching, prod(sum(law.values()) for law in laws))


draws = st.text("abcd", min_size=1, max_size=6)


@settings(max_examples=80)
@given(st.lists(st.tuples(draws, draws), min_size=1, max_size=3))
def test_the_p_value_is_that_of_dealing_every_hand_by_hand(drawn: list[tuple[str, str]]) -> None:
    cases = [table(before, now, str(at)) for at, (before, now) in enumerate(drawn)]
    assert compare(cases).p_value == p_by_enumeration(cases)


@settings(max_examples=80)
@given(draws, draws)
def test_one_case_with_many_answers_orders_tables_as_freeman_and_halton_do(before: str, now: str) -> None:
    """Up to what rounding each answer's logarithm down may turn round."""
    case = table(before, now)
    hands = dealt(case)
    own = hands[tuple(sorted(Counter(now).items()))]
    whole = sum(hands.values())
    slack = 2 ** ((len(set(before + now)) + 1) / PARTS)

    def mass(most: float) -> Fraction:
        return Fraction(sum(ways for ways in hands.values() if ways <= most), whole)

    assert mass(own / slack) <= compare([case]).p_value <= mass(own * slack)


def test_a_false_alarm_is_never_likelier_than_the_level_whatever_the_level() -> None:
    """Over every hand of two cases whose answers are spread: the sum of what alarms is at most the level, exactly."""
    cases = (table("aaabbc", "abc", "one"), table("aaaabb", "bbb", "two"))
    p_values: list[tuple[Fraction, int]] = []
    for (one, ways_one), (two, ways_two) in itertools.product(*(dealt(case).items() for case in cases)):
        hands = (dict(one), dict(two))
        again = [
            CaseCounts(case.case, Counter(case.before) + Counter(case.now) - Counter(hand), hand)
            for case, hand in zip(cases, hands, strict=True)
        ]
        p_values.append((compare(again).p_value, ways_one * ways_two))
    whole = sum(ways for _, ways in p_values)
    for alpha in {p_value for p_value, _ in p_values} | {Fraction(1, 1000), Fraction(1, 20)}:
        assert Fraction(sum(ways for p_value, ways in p_values if p_value <= alpha), whole) <= alpha


# --- long runs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steadiness", [0.99, 0.8, 0.4])
def test_nights_on_which_nothing_changes_alarm_no_oftener_than_stated(steadiness: float) -> None:
    chance, nights, alpha = random.Random(20261126), 500, 0.05
    alarms = sum(
        compare(night(chance, [steadiness] * 6, [steadiness] * 6)).p_value <= alpha for _ in range(nights)
    )
    # Three standard deviations above what is allowed; discrete tables stay below it.
    assert alarms <= nights * alpha + 3 * (nights * alpha * (1 - alpha)) ** 0.5


def test_a_seat_in_two_minds_that_leans_the_other_way_is_found() -> None:
    chance = random.Random(20261126)
    found = [compare(night(chance, [0.9] * 20, [0.5] * 20)).p_value <= Fraction(1, 50_000) for _ in range(50)]
    assert sum(found) >= 45


def night(chance: random.Random, before: Sequence[float], now: Sequence[float]) -> list[CaseCounts]:
    """A baseline of 24 draws and a night of 8 for each case, answered `a` with that probability, else `b` or `c`."""

    def drawn(steadiness: float, number: int) -> Counter[str]:
        shares = [steadiness, (1 - steadiness) / 2, (1 - steadiness) / 2]
        return Counter(chance.choices("abc", shares, k=number))

    return [
        CaseCounts(str(at), drawn(old, 24), drawn(new, 8))
        for at, (old, new) in enumerate(zip(before, now, strict=True))
    ]


# --- a seat that always says the same -----------------------------------------------------------------------------

STEADY = [table("a" * 24, "a" * 8, f"steady-{at}") for at in range(19)]


def test_a_seat_that_says_what_it_always_said_is_no_surprise() -> None:
    found = compare(STEADY)
    assert found.p_value == 1
    assert found.surprise == 0


def test_one_case_of_twenty_that_changes_for_good_is_one_in_ten_million() -> None:
    found = compare([*STEADY, table("a" * 24, "b" * 8, "changed")])
    assert found.p_value == Fraction(1, comb(24 + 8, 8)) == Fraction(1, 10_518_300)
    assert found.cases[0][0] == "changed"
    assert found.p_value < level(Fraction(1, 10), 1_000)


@pytest.mark.parametrize(("other", "p_value"), [(1, Fraction(8, 32)), (2, Fraction(8 * 7, 32 * 31))])
def test_a_draw_or_two_of_another_answer_prove_nothing(other: int, p_value: Fraction) -> None:
    changed = table("a" * 24, "a" * (8 - other) + "b" * other)
    assert compare([*STEADY, changed]).p_value == p_value


# --- what must not matter, and what is refused --------------------------------------------------------------------


@given(st.permutations(range(5)), st.permutations("abc"))
def test_neither_the_order_of_cases_nor_the_names_of_answers_matter(
    order: list[int], names: list[str]
) -> None:
    chance = random.Random(7)
    cases = night(chance, [0.6] * 5, [0.4] * 5)
    renamed = [
        CaseCounts(
            case.case,
            {names["abc".index(answer)]: count for answer, count in case.before.items()},
            {names["abc".index(answer)]: count for answer, count in case.now.items()},
        )
        for case in cases
    ]
    assert compare([renamed[at] for at in order]) == compare(cases)


def test_an_answer_that_never_fell_changes_nothing() -> None:
    assert compare([counts((3, 1, 0), (1, 3, 0))]) == compare([counts((3, 1), (1, 3))])


@pytest.mark.parametrize(
    "cases",
    [
        [],
        [CaseCounts("case", {"a": 3}, {})],
        [CaseCounts("case", {}, {"a": 3})],
        [CaseCounts("case", {"a": 0}, {"a": 3})],
        [CaseCounts("case", {"a": 3, "b": -1}, {"a": 3})],
        [CaseCounts("case", {"a": 3}, {"a": 3, "b": -1})],
    ],
    ids=["no case", "not tonight", "no baseline", "a baseline of nothing", "less than none", "nor tonight"],
)
def test_what_cannot_be_compared_is_refused(cases: list[CaseCounts]) -> None:
    with pytest.raises(ValueError, match="expected"):
        compare(cases)


def test_the_level_shares_the_years_false_alarms_among_all_seats_and_nights() -> None:
    shared = level(Fraction(1, 10), 8)
    assert shared == Fraction(1, 10) / 366 / 8
    assert shared * 366 * 8 == Fraction(1, 10)
    assert level(Fraction(10_000), 1) == 1


@pytest.mark.parametrize(("alarms", "seats"), [(Fraction(0), 3), (Fraction(-1), 3), (Fraction(1), 0)])
def test_a_level_for_no_seat_or_no_alarm_is_refused(alarms: Fraction, seats: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        level(alarms, seats)
