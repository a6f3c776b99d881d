"""ORBIT against the table of O'Brien 2015, as the British Journal of General Practice and NICE's calculator print it too."""

from __future__ import annotations

import pytest

from arbiter.panels.scores.orbit import NEEDS, assess
from tests.panels.fibrillation import WELL, every, person, without

BLEEDS = ("gastrointestinal_bleed", "intracranial_bleed", "haemorrhagic_stroke")


@pytest.mark.parametrize(("age", "points"), [(18, 0), (74, 0), (75, 1), (99, 1)])
def test_age_on_both_sides_of_75(age: int, points: int) -> None:
    assert assess(person(age=age)).total == points


@pytest.mark.parametrize(
    ("sex", "haemoglobin", "points"),
    [("male", "12.9", 2), ("male", "13.0", 0), ("female", "11.9", 2), ("female", "12.0", 0)],
)
def test_haemoglobin_on_both_sides_of_each_sex_s_limit(sex: str, haemoglobin: str, points: int) -> None:
    assert assess(person(sex=sex, haemoglobin=haemoglobin)).total == points


@pytest.mark.parametrize(
    ("sex", "haematocrit", "points"),
    [("male", "39.9", 2), ("male", "40.0", 0), ("female", "35.9", 2), ("female", "36.0", 0)],
)
def test_haematocrit_on_both_sides_of_each_sex_s_limit(sex: str, haematocrit: str, points: int) -> None:
    assert assess(person(sex=sex, haematocrit=haematocrit)).total == points


def test_a_history_of_anaemia_counts_with_a_normal_count_and_all_three_count_once() -> None:
    assert assess(person("anaemia_history")).total == 2
    assert assess(person("anaemia_history", haemoglobin="9.0", haematocrit="28.0")).total == 2


@pytest.mark.parametrize("bleed", BLEEDS)
def test_each_kind_of_bleeding_is_two_points(bleed: str) -> None:
    assert assess(person(bleed)).total == 2


def test_all_kinds_of_bleeding_together_are_two_points() -> None:
    assert assess(person(*BLEEDS)).total == 2


@pytest.mark.parametrize(("egfr", "points"), [(10, 1), (59, 1), (60, 0), (110, 0)])
def test_filtration_on_both_sides_of_60(egfr: int, points: int) -> None:
    assert assess(person(egfr=egfr)).total == points


def test_an_antiplatelet_is_a_point_and_an_anti_inflammatory_is_none() -> None:
    assert assess(person("antiplatelet")).total == 1
    assert assess(person("nsaid")).total == 0


def test_the_greatest_total_is_seven() -> None:
    assert assess(person(*BLEEDS, "anaemia_history", "antiplatelet", age=80, egfr=20)).total == 7


@pytest.mark.parametrize(
    ("conditions", "changed", "total", "option"),
    [
        ((), {}, 0, "not-high"),
        (("anaemia_history",), {}, 2, "not-high"),
        (("anaemia_history", "antiplatelet"), {}, 3, "medium"),
        (("anaemia_history", "gastrointestinal_bleed"), {}, 4, "high"),
        (("anaemia_history", "gastrointestinal_bleed", "antiplatelet"), {"age": 80, "egfr": 40}, 7, "high"),
    ],
)
def test_the_bands_low_medium_and_high(
    conditions: tuple[str, ...], changed: dict[str, int], total: int, option: str
) -> None:
    result = assess(person(*conditions, **changed))
    assert (result.total, result.option) == (total, option)


def test_every_set_of_conditions_adds_up() -> None:
    for conditions in every((*BLEEDS, "anaemia_history", "antiplatelet")):
        held = set(conditions)
        base = 2 * bool(held & set(BLEEDS)) + 2 * ("anaemia_history" in held) + ("antiplatelet" in held)
        for age, years in ((74, 0), (75, 1)):
            for egfr, kidney in ((59, 1), (60, 0)):
                assert assess(person(*conditions, age=age, egfr=egfr)).total == base + years + kidney


@pytest.mark.parametrize("name", NEEDS)
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = assess(without(name))
    assert (result.total, result.option, result.missing, result.components) == (None, None, (name,), ())


def test_an_unknown_sex_is_refused_since_the_limits_depend_on_it() -> None:
    with pytest.raises(TypeError, match="sex"):
        assess({**WELL, "sex": "unknown"})
