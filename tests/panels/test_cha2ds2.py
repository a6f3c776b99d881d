"""CHA2DS2-VASc against the items of Lip 2010, CHA2DS2-VA against those of ESC 2024, both against the guidelines' bands.

The second source for items and bands is the Queensland Health clinical manual's table of CHA2DS2-VA, which gives the same
points and "recommended", "consider", "not recommended" for 2, 1 and 0 (one higher for women in CHA2DS2-VASc).
"""

from __future__ import annotations

import pytest

from arbiter.panels.scores import cha2ds2_va, cha2ds2_vasc
from arbiter.panels.scores.table import Score
from tests.panels.fibrillation import WELL, every, person, without

OFFER, WITHHOLD = "offer-anticoagulation", "no-anticoagulation"
VASC, VA = cha2ds2_vasc.SCORE, cha2ds2_va.SCORE
BOTH = pytest.mark.parametrize("score", [VASC, VA], ids=lambda score: score.name)
ITEMS = {
    "heart_failure": 1, "reduced_ejection_fraction": 1, "hypertension": 1, "diabetes": 1, "ischaemic_stroke": 2,
    "tia_or_embolism": 2, "vascular_disease": 1,
}  # fmt: skip


def total_of(score: Score, *conditions: str, **changed: int | str) -> int | None:
    return score.assess(person(*conditions, **changed), frozenset()).total


def option_of(score: Score, *conditions: str, **changed: int | str) -> str | None:
    return score.assess(person(*conditions, **changed), frozenset()).option


@BOTH
@pytest.mark.parametrize(("condition", "points"), ITEMS.items())
def test_each_item_has_its_points(score: Score, condition: str, points: int) -> None:
    assert total_of(score, condition) == points


@BOTH
@pytest.mark.parametrize(("age", "points"), [(18, 0), (64, 0), (65, 1), (74, 1), (75, 2), (99, 2)])
def test_age_on_both_sides_of_each_edge(score: Score, age: int, points: int) -> None:
    assert total_of(score, age=age) == points


def test_female_sex_is_a_point_in_one_score_and_not_read_by_the_other() -> None:
    assert total_of(VASC, sex="female") == 1
    assert total_of(VA, sex="female") == 0
    assert "sex" not in VA.needs


def test_coronary_disease_without_infarction_counts_in_the_list_of_2024_alone() -> None:
    assert total_of(VA, "other_coronary_disease") == 1
    assert total_of(VASC, "other_coronary_disease") == 0
    assert total_of(VA, "other_coronary_disease", "vascular_disease") == 1


@BOTH
def test_one_item_counts_once_whatever_it_is_made_of(score: Score) -> None:
    assert total_of(score, "heart_failure", "reduced_ejection_fraction") == 1
    assert total_of(score, "ischaemic_stroke", "tia_or_embolism") == 2


def test_the_greatest_totals_are_nine_and_eight() -> None:
    assert total_of(VASC, *ITEMS, age=80, sex="female") == 9
    assert total_of(VA, *ITEMS, age=80, sex="female") == 8


def test_a_worked_example_after_harrison_s_principles() -> None:
    # A man of 68 with hypertension, heart failure and diabetes: 1 + 1 + 1 + 1.
    assert total_of(VASC, "hypertension", "heart_failure", "diabetes", age=68) == 4
    assert option_of(VASC, "hypertension", "heart_failure", "diabetes", age=68) == OFFER


def test_every_set_of_conditions_at_every_age_and_sex_adds_up() -> None:
    for conditions in every((*ITEMS, "other_coronary_disease")):
        held = set(conditions)
        base = (
            bool(held & {"heart_failure", "reduced_ejection_fraction"})
            + ("hypertension" in held)
            + ("diabetes" in held)
            + 2 * bool(held & {"ischaemic_stroke", "tia_or_embolism"})
        )
        for age, years in ((64, 0), (65, 1), (75, 2)):
            va = base + years + bool(held & {"vascular_disease", "other_coronary_disease"})
            vasc = base + years + ("vascular_disease" in held)
            assert total_of(VA, *conditions, age=age) == va
            assert total_of(VASC, *conditions, age=age) == vasc
            assert total_of(VASC, *conditions, age=age, sex="female") == vasc + 1


# --- bands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "sex", "total", "option"),
    [
        ((), "male", 0, WITHHOLD),
        ((), "female", 1, WITHHOLD),
        (("hypertension",), "male", 1, None),
        (("hypertension",), "female", 2, None),
        (("hypertension", "diabetes"), "male", 2, OFFER),
        (("hypertension", "diabetes"), "female", 3, OFFER),
    ],
)
def test_cha2ds2_vasc_has_the_bands_of_esc_2020_for_each_sex(
    conditions: tuple[str, ...], sex: str, total: int, option: str | None
) -> None:
    assert total_of(VASC, *conditions, sex=sex) == total
    assert option_of(VASC, *conditions, sex=sex) == option


@pytest.mark.parametrize("sex", ["male", "female"])
@pytest.mark.parametrize(
    ("conditions", "option"),
    [
        ((), WITHHOLD),
        (("diabetes",), None),
        (("diabetes", "hypertension"), OFFER),
        (("ischaemic_stroke",), OFFER),
    ],
)
def test_cha2ds2_va_has_the_bands_of_esc_2024_whatever_the_sex(
    conditions: tuple[str, ...], sex: str, option: str | None
) -> None:
    assert option_of(VA, *conditions, sex=sex) == option


@BOTH
def test_the_band_left_to_judgement_keeps_its_total_cites_its_facts_and_lacks_nothing(score: Score) -> None:
    result = score.assess(person("hypertension"), frozenset())
    assert (result.total, result.option, result.missing) == (1, None, ())
    assert {part.fact: part.points for part in result.components}["hypertension"] == 1
    assert "leave this band to individual judgement" in result.summary


@BOTH
def test_a_woman_s_point_for_her_sex_never_turns_judgement_into_an_offer(score: Score) -> None:
    for condition in ("heart_failure", "hypertension", "diabetes", "vascular_disease"):
        assert option_of(score, condition, sex="female") is None


# --- missing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "name"),
    [pytest.param(score, name, id=f"{score.name}-{name}") for score in (VASC, VA) for name in score.needs],
)
def test_any_missing_input_makes_it_abstain_and_is_named(score: Score, name: str) -> None:
    result = score.assess(without(name), frozenset())
    assert (result.total, result.option, result.missing, result.components) == (None, None, (name,), ())


@BOTH
def test_a_missing_input_is_not_made_up_even_where_the_rest_is_already_an_offer(score: Score) -> None:
    worst = {name: value for name, value in person(*ITEMS, age=90).items() if name != "diabetes"}
    assert score.assess(worst, frozenset()).option is None


def test_an_unknown_sex_is_refused_and_not_scored_as_male() -> None:
    with pytest.raises(TypeError, match="sex"):
        VASC.assess(person(sex="unknown"), frozenset())


@BOTH
def test_a_history_as_text_is_refused(score: Score) -> None:
    with pytest.raises(TypeError, match="diabetes"):
        score.assess({**WELL, "diabetes": "yes"}, frozenset())
