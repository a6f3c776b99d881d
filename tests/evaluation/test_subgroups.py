"""Groups of patients: in which band a case falls, and how far a group is from all others."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from arbiter.evaluation.cases import Case
from arbiter.evaluation.figures.answers import UnshownGroups
from arbiter.evaluation.rates import difference, rate
from arbiter.evaluation.subgroups import LEAST_SHOWN, MOST_GROUPS, SMALL, subgroups
from arbiter.model import FactValue, RiskClass
from arbiter.protocols.bundle import ExampleFact, LabelledCase


def case(number: int, unit: str | None = "a", **facts: FactValue) -> Case:
    own = tuple(ExampleFact(name, value, unit if name == "age" else None, 0) for name, value in facts.items())
    return Case(LabelledCase(f"c{number}", "t", RiskClass.ROUTINE, own, "o", "p", None, ()), "h")


def groups_of(
    cases: list[Case], right: list[bool], times: int = LEAST_SHOWN
) -> dict[str, tuple[int, int, bool]]:
    """Return the groups with each case so many times there, so that they are large enough to be shown."""
    cases, right = cases * times, right * times
    truths = np.zeros(len(cases), dtype=int)
    answers = np.array([0 if is_right else 1 for is_right in right])
    found, _ = subgroups(cases, truths, answers, answers)
    return {f"{each.kind} {each.group}": (each.cases, each.accuracy.count, each.small) for each in found}


@pytest.mark.parametrize(
    ("age", "band"),
    [("0", "under 18"), ("17.9", "under 18"), ("18", "18 to 39"), ("39", "18 to 39"), ("40", "40 to 64"),
     ("65", "65 to 79"), ("79.9", "65 to 79"), ("80", "80 and over"), ("130", "80 and over")],
)  # fmt: skip
def test_an_age_falls_into_one_band(age: str, band: str) -> None:
    other = case(2, age=Decimal(50 if band != "40 to 64" else 90))
    found = groups_of([case(1, age=Decimal(age)), other], [True, True])
    assert found[f"age {band}"] == (5, 5, True)


def test_months_are_not_taken_for_years() -> None:
    cases = [case(1, "mo", age=Decimal(70)), case(2, age=Decimal(30)), case(3, age=Decimal(90))]
    assert set(groups_of(cases, [True, True, True])) == {"age 18 to 39", "age 80 and over"}


def test_sex_and_site_are_groups_by_what_the_case_says() -> None:
    cases = [case(1, sex="female", site="north"), case(2, sex="male", site="north"), case(3, site="south")]
    found = groups_of(cases, [True, False, True])
    assert found == {
        "sex female": (5, 5, True),
        "sex male": (5, 0, True),
        "site north": (10, 5, True),
        "site south": (5, 5, True),
    }


def test_a_kind_with_one_group_alone_or_far_too_many_is_left_out() -> None:
    assert groups_of([case(1, sex="female"), case(2, sex="female")], [True, True]) == {}
    many = [case(at, site=f"s{at}") for at in range(MOST_GROUPS + 1)]
    assert groups_of(many, [True] * len(many)) == {}


def test_a_group_is_small_below_the_number_fixed_before() -> None:
    cases = [case(at, sex="female" if at < SMALL else "male") for at in range(2 * SMALL - 1)]
    found = groups_of(cases, [True] * len(cases), times=1)
    assert (found["sex female"][2], found["sex male"][2]) == (False, True)


def test_the_gap_is_the_group_less_everybody_else_also_those_without_the_fact() -> None:
    cases = [case(0, sex="female"), case(1, sex="female"), case(2, sex="male"), case(3)]
    truths, answers, decided = np.zeros(20, dtype=int), [0, 1, 0, -1] * 5, [0, -1, -1, -1] * 5
    found, unshown = subgroups(cases * 5, truths, np.array(answers), np.array(decided))
    assert unshown == UnshownGroups(0, 0)
    female = next(each for each in found if each.group == "female")
    assert female.gap == difference(rate(5, 10), rate(5, 5))
    assert (female.decided.count, female.decided.of) == (5, 10)


def test_groups_of_fewer_than_five_cases_are_counted_together_and_not_shown() -> None:
    sites = {"north": 9, "south": 5, "east": 4, "west": 1}
    cases = [case(at, site=name) for name, number in sites.items() for at in range(number)]
    nothing = np.zeros(len(cases), dtype=int)
    found, unshown = subgroups(cases, nothing, nothing, nothing)
    assert [(each.group, each.cases) for each in found] == [("north", 9), ("south", 5)]
    assert unshown == UnshownGroups(groups=2, cases=5)


def test_the_only_group_that_is_large_enough_is_not_shown_for_it_would_tell_of_the_others() -> None:
    cases = [case(at, sex="female" if at < 4 else "male") for at in range(40)]
    nothing = np.zeros(len(cases), dtype=int)
    assert subgroups(cases, nothing, nothing, nothing) == ((), UnshownGroups(groups=1, cases=4))
