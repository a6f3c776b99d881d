"""The ATRIA stroke score against the table of Singer 2013, written out here, and the guideline's bands by yearly rate.

The table was compared with two published copies of it (the calculators of Clinideck and of the ACR's Guideline Central).
"""

from __future__ import annotations

import pytest

from arbiter.panels.scores.atria_stroke import NEEDS, assess
from arbiter.panels.scores.cha2ds2_va import assess as assess_va
from tests.panels.fibrillation import WELL, every, person, without

OFFER, WITHHOLD = "offer-anticoagulation", "no-anticoagulation"
# Age at each end of each band: points without and with an earlier stroke.
AGES = {
    18: (0, 8), 64: (0, 8), 65: (3, 7), 74: (3, 7), 75: (5, 7), 84: (5, 7), 85: (6, 9), 99: (6, 9),
}  # fmt: skip
ONE_POINT = ("diabetes", "heart_failure", "hypertension", "proteinuria")


@pytest.mark.parametrize(("age", "points"), AGES.items())
def test_each_band_of_age_without_and_with_an_earlier_stroke(age: int, points: tuple[int, int]) -> None:
    assert assess(person(age=age)).total == points[0]
    assert assess(person("ischaemic_stroke", age=age)).total == points[1]


@pytest.mark.parametrize("condition", [*ONE_POINT, "dialysis"])
def test_each_condition_is_one_point(condition: str) -> None:
    assert assess(person(condition)).total == 1


def test_female_sex_is_one_point() -> None:
    assert assess(person(sex="female")).total == 1


@pytest.mark.parametrize(("egfr", "points"), [(5, 1), (44, 1), (45, 0), (120, 0)])
def test_filtration_on_both_sides_of_45(egfr: int, points: int) -> None:
    assert assess(person(egfr=egfr)).total == points


def test_low_filtration_and_dialysis_are_one_point_together() -> None:
    assert assess(person("dialysis", egfr=8)).total == 1


def test_what_its_paper_does_not_count_adds_nothing() -> None:
    for condition in (
        "tia_or_embolism",
        "vascular_disease",
        "reduced_ejection_fraction",
        "haemorrhagic_stroke",
    ):
        assert assess(person(condition)).total == 0


def test_the_greatest_totals_are_twelve_without_and_fifteen_with_a_stroke() -> None:
    worst = person(*ONE_POINT, "dialysis", age=90, sex="female")
    assert assess(worst).total == 12
    assert assess({**worst, "ischaemic_stroke": True}).total == 15


def test_every_set_of_conditions_adds_up() -> None:
    for conditions in every((*ONE_POINT, "ischaemic_stroke", "dialysis")):
        stroke = "ischaemic_stroke" in conditions
        ones = len(conditions) - stroke
        for age, points in AGES.items():
            for sex, point in (("male", 0), ("female", 1)):
                facts = person(*conditions, age=age, sex=sex)
                assert assess(facts).total == points[stroke] + ones + point


@pytest.mark.parametrize(
    ("conditions", "total", "option"),
    [
        ((), 5, WITHHOLD),
        (("hypertension",), 6, None),
        (("hypertension", "diabetes"), 7, OFFER),
        (("hypertension", "diabetes", "proteinuria"), 8, OFFER),
    ],
)
def test_the_bands_low_moderate_and_high(conditions: tuple[str, ...], total: int, option: str | None) -> None:
    result = assess(person(*conditions, age=80))
    assert (result.total, result.option) == (total, option)


def test_the_moderate_band_keeps_its_total_and_says_whose_judgement_it_is() -> None:
    result = assess(person("hypertension", age=80))
    assert (result.total, result.option, result.missing) == (6, None, ())
    assert "individual judgement" in result.summary


def test_any_earlier_stroke_is_high_at_any_age() -> None:
    assert {assess(person("ischaemic_stroke", age=age)).option for age in AGES} == {OFFER}


def test_where_cha2ds2_va_withholds_it_never_offers() -> None:
    flags = (*ONE_POINT, "dialysis", "ischaemic_stroke")
    for conditions in every(flags):
        for age in AGES:
            facts = person(*conditions, age=age, sex="female")
            if assess_va(facts).option == WITHHOLD:
                assert assess(facts).option == WITHHOLD


@pytest.mark.parametrize("name", NEEDS)
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = assess(without(name))
    assert (result.total, result.option, result.missing, result.components) == (None, None, (name,), ())


def test_a_missing_urine_test_is_not_taken_for_a_clean_one_even_after_a_stroke() -> None:
    facts = {name: value for name, value in person("ischaemic_stroke").items() if name != "proteinuria"}
    assert assess(facts).option is None


def test_an_unknown_sex_is_refused() -> None:
    with pytest.raises(TypeError, match="sex"):
        assess({**WELL, "sex": "other"})
