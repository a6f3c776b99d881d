"""NEWS2 against chart 1, 2 and 4 of the Royal College of Physicians' report of December 2017, written out here."""

from itertools import product
from typing import Any

import pytest

from arbiter.panels.scores import news2
from tests.panels.values import NORMAL, normal, without

# Chart 1, row by row: the last value of one band and the first of the next, so each boundary is met on both sides.
CHART: dict[str, list[tuple[Any, int]]] = {
    "respiratory_rate": [(1, 3), (8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3), (60, 3)],
    "spo2": [(60, 3), (91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0), (100, 0)],
    "systolic_bp": [
        (40, 3), (90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3), (280, 3),
    ],
    "heart_rate": [
        (25, 3), (40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3),
        (220, 3),
    ],
    "consciousness": [("alert", 0), ("confusion", 3), ("voice", 3), ("pain", 3), ("unresponsive", 3)],
    "temperature": [
        ("33.0", 3), ("35.0", 3), ("35.1", 1), ("36.0", 1), ("36.1", 0), ("38.0", 0), ("38.1", 1), ("39.0", 1),
        ("39.1", 2), ("41.0", 2),
    ],
    "supplemental_oxygen": [(False, 0), (True, 2)],
}  # fmt: skip

SCALE_2_ON_AIR = [
    (70, 3),
    (83, 3),
    (84, 2),
    (85, 2),
    (86, 1),
    (87, 1),
    (88, 0),
    (92, 0),
    (93, 0),
    (97, 0),
    (100, 0),
]
SCALE_2_ON_OXYGEN = [
    (83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 1), (94, 1), (95, 2), (96, 2), (97, 3),
    (100, 3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "value", "points"), [(f, v, p) for f, rows in CHART.items() for v, p in rows]
)
def test_each_row_of_chart_1(fact: str, value: Any, points: int) -> None:
    result = news2.assess(normal(**{fact: value}))
    assert {c.fact: c.points for c in result.components}[fact] == points
    assert result.total == points


@pytest.mark.parametrize(("spo2", "points"), SCALE_2_ON_AIR)
def test_scale_2_on_air(spo2: int, points: int) -> None:
    assert news2.assess(normal(spo2=spo2, spo2_scale="scale-2")).total == points


@pytest.mark.parametrize(("spo2", "points"), SCALE_2_ON_OXYGEN)
def test_scale_2_on_oxygen_adds_its_own_two_points(spo2: int, points: int) -> None:
    result = news2.assess(normal(spo2=spo2, spo2_scale="scale-2", supplemental_oxygen=True))
    assert result.total == points + 2


def test_scale_1_is_used_unless_the_fact_says_scale_2() -> None:
    assert news2.assess(normal(spo2=88)).total == 3
    assert news2.assess(normal(spo2=88, spo2_scale="scale-1")).total == 3
    assert news2.assess(normal(spo2=88, spo2_scale="scale-2")).total == 0


def test_a_scale_on_record_that_became_too_old_is_not_replaced_by_scale_1() -> None:
    result = news2.assess(normal(spo2=88), frozenset({"spo2_scale"}))
    assert result.option is None
    assert result.missing == ("spo2_scale",)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(TypeError, match="spo2_scale"):
        news2.assess(normal(spo2_scale="scale-3"))


@pytest.mark.parametrize(
    ("changed", "total", "option"),
    [
        ({}, 0, "continue-monitoring"),
        ({"heart_rate": 111, "temperature": "38.1", "spo2": 95}, 4, "continue-monitoring"),
        ({"heart_rate": 111, "temperature": "38.1", "spo2": 93}, 5, "urgent-review"),
        (
            {"heart_rate": 111, "respiratory_rate": 21, "systolic_bp": 100, "temperature": "38.1"},
            7,
            "urgent-review",
        ),
    ],
)
def test_thresholds_of_chart_2(changed: dict[str, Any], total: int, option: str) -> None:
    result = news2.assess(normal(**changed))
    assert (result.total, result.option) == (total, option)


@pytest.mark.parametrize(
    "changed",
    [
        {"respiratory_rate": 8},
        {"respiratory_rate": 25},
        {"spo2": 91},
        {"systolic_bp": 90},
        {"systolic_bp": 220},
        {"heart_rate": 40},
        {"heart_rate": 131},
        {"consciousness": "confusion"},
        {"temperature": "35.0"},
        {"spo2": 83, "spo2_scale": "scale-2"},
    ],
)
def test_three_in_a_single_parameter_is_urgent_at_a_total_of_three(changed: dict[str, Any]) -> None:
    result = news2.assess(normal(**changed))
    assert (result.total, result.option) == (3, "urgent-review")
    assert "single parameter" in result.summary


def test_three_made_of_several_parameters_is_not_urgent() -> None:
    result = news2.assess(normal(respiratory_rate=21, heart_rate=91))
    assert (result.total, result.option) == (3, "continue-monitoring")


def test_the_greatest_total_is_twenty() -> None:
    worst = normal(
        respiratory_rate=25, spo2=80, supplemental_oxygen=True, systolic_bp=80, heart_rate=140,
        consciousness="unresponsive", temperature="34.0",
    )  # fmt: skip
    assert news2.assess(worst).total == 20


@pytest.mark.parametrize(
    "name",
    [
        "respiratory_rate", "spo2", "supplemental_oxygen", "systolic_bp", "heart_rate", "consciousness",
        "temperature",
    ],
)  # fmt: skip
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = news2.assess(without(name))
    assert (result.total, result.option, result.missing, result.components) == (None, None, (name,), ())


def test_a_missing_input_is_not_made_up_even_where_the_rest_is_already_urgent() -> None:
    worst = {**without("temperature"), "consciousness": "unresponsive"}
    assert news2.assess(worst).option is None


def test_two_missing_inputs_are_both_named() -> None:
    assert news2.assess(without("spo2", "heart_rate")).missing == ("spo2", "heart_rate")


def test_an_unknown_level_of_consciousness_is_refused() -> None:
    with pytest.raises(TypeError, match="consciousness"):
        news2.assess(normal(consciousness="sleepy"))


def test_oxygen_as_text_is_refused() -> None:
    with pytest.raises(TypeError, match="supplemental_oxygen"):
        news2.assess({**NORMAL, "supplemental_oxygen": "no"})


def test_every_combination_of_two_rows_adds_up() -> None:
    pairs = product(CHART["respiratory_rate"], CHART["temperature"])
    for (rate, rate_points), (temperature, temperature_points) in pairs:
        result = news2.assess(normal(respiratory_rate=rate, temperature=temperature))
        assert result.total == rate_points + temperature_points
