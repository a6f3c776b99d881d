"""HAS-BLED against the table and footnotes of Pisters 2010.

Definitions and limits were compared with two published copies: the table of the Journal of the American Board of Family
Medicine (creatinine of 200 umol/L or more) and that of the Queensland Health clinical manual.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbiter.panels.scores.has_bled import NEEDS, assess
from tests.panels.fibrillation import WELL, every, person, without

KIDNEY = ("dialysis", "kidney_transplant")
STROKES = ("ischaemic_stroke", "haemorrhagic_stroke")
BLEEDS = (
    "gastrointestinal_bleed", "intracranial_bleed", "other_major_bleed", "bleeding_predisposition", "anaemia_history",
)  # fmt: skip
DRUGS = ("antiplatelet", "nsaid")


@pytest.mark.parametrize("condition", [*KIDNEY, "liver_disease", *STROKES, *BLEEDS, *DRUGS])
def test_each_condition_is_one_point(condition: str) -> None:
    assert assess(person(condition)).total == 1


@pytest.mark.parametrize("item", [KIDNEY, STROKES, BLEEDS, DRUGS])
def test_one_item_is_one_point_whatever_it_is_made_of(item: tuple[str, ...]) -> None:
    assert assess(person(*item)).total == 1


@pytest.mark.parametrize(
    ("fact", "value", "points"),
    [
        ("systolic_bp", 160, 0),
        ("systolic_bp", 161, 1),
        ("creatinine", 199, 0),
        ("creatinine", 200, 1),
        ("age", 65, 0),
        ("age", 66, 1),
        ("alcohol", "7.9", 0),
        ("alcohol", 8, 1),
    ],
)
def test_each_number_on_both_sides_of_its_limit(fact: str, value: int | str, points: int) -> None:
    assert assess(person(**{fact: value})).total == points


@pytest.mark.parametrize(
    ("sex", "haemoglobin", "points"),
    [("male", "12.9", 1), ("male", "13.0", 0), ("female", "11.9", 1), ("female", "12.0", 0)],
)
def test_anaemia_by_each_sex_s_limit_is_a_predisposition(sex: str, haemoglobin: str, points: int) -> None:
    assert assess(person(sex=sex, haemoglobin=haemoglobin)).total == points


@pytest.mark.parametrize(("in_range", "points"), [(0, 1), (59, 1), (60, 0), (100, 0)])
def test_a_labile_inr_on_a_vitamin_k_antagonist(in_range: int, points: int) -> None:
    facts = person(anticoagulant="vitamin-k-antagonist", time_in_therapeutic_range=in_range)
    assert assess(facts).total == points


@pytest.mark.parametrize("anticoagulant", ["none", "other"])
def test_an_old_inr_counts_for_nothing_without_a_vitamin_k_antagonist(anticoagulant: str) -> None:
    facts = person(anticoagulant=anticoagulant, time_in_therapeutic_range=20)
    assert assess(facts).total == 0
    assert all(part.fact != "time_in_therapeutic_range" for part in assess(facts).components)


def test_on_a_vitamin_k_antagonist_the_time_in_range_is_needed() -> None:
    result = assess(person(anticoagulant="vitamin-k-antagonist"))
    assert (result.option, result.missing) == (None, ("time_in_therapeutic_range",))


def test_history_of_hypertension_is_no_point_what_counts_is_the_pressure() -> None:
    assert assess(person("hypertension")).total == 0


def test_a_transient_ischaemic_attack_is_no_stroke() -> None:
    assert assess(person("tia_or_embolism")).total == 0


def test_the_greatest_total_is_nine() -> None:
    facts = person(
        *KIDNEY, "liver_disease", *STROKES, *BLEEDS, *DRUGS,
        systolic_bp=190, anticoagulant="vitamin-k-antagonist", time_in_therapeutic_range=30, age=80, alcohol=20,
    )  # fmt: skip
    assert assess(facts).total == 9


@pytest.mark.parametrize(
    ("conditions", "total", "option"),
    [
        ((), 0, "not-high"),
        (("nsaid",), 1, "not-high"),
        (("nsaid", "liver_disease"), 2, "not-high"),
        (("nsaid", "liver_disease", "ischaemic_stroke"), 3, "high"),
        (("nsaid", "liver_disease", "ischaemic_stroke", "dialysis"), 4, "high"),
    ],
)
def test_three_or_more_is_high(conditions: tuple[str, ...], total: int, option: str) -> None:
    result = assess(person(*conditions))
    assert (result.total, result.option) == (total, option)


def test_every_set_of_conditions_adds_up() -> None:
    flags = (*KIDNEY, "liver_disease", *STROKES, *BLEEDS, *DRUGS)
    for conditions in every(flags):
        held = set(conditions)
        items = (KIDNEY, ("liver_disease",), STROKES, BLEEDS, DRUGS)
        assert assess(person(*conditions)).total == sum(bool(held & set(item)) for item in items)


@pytest.mark.parametrize("name", NEEDS)
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = assess(without(name))
    assert (result.total, result.option, result.missing, result.components) == (None, None, (name,), ())


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("anticoagulant", "heparin"),
        ("sex", "unknown"),
        ("nsaid", "no"),
        ("alcohol", True),
        ("creatinine", Decimal("NaN")),
    ],
)
def test_what_the_table_does_not_know_is_refused(fact: str, value: str | bool | Decimal) -> None:
    with pytest.raises(TypeError, match=fact):
        assess({**WELL, fact: value})
