"""ARISCAT against the risk index of Canet et al., Anesthesiology 2010; 113: 1338-1350, written out here.

Points and edges were compared with the table as reproduced in Trials 2019 (10.1186/s13063-019-3399-z, table 1) and with
two calculators published by others.
"""

from itertools import product
from typing import Any

import pytest

from arbiter.panels.scores import ariscat
from tests.panels.surgical_values import healthy, healthy_without

INDEX: dict[str, list[tuple[Any, int]]] = {
    "age": [(18, 0), (50, 0), (51, 3), (80, 3), (81, 16), (101, 16)],
    "spo2_on_air": [(100, 0), (96, 0), (95, 8), (91, 8), (90, 24), (70, 24)],
    "respiratory_infection": [(False, 0), (True, 17)],
    "haemoglobin": [("15.0", 0), ("10.1", 0), ("10.0", 11), ("6.5", 11)],
    "incision": [("peripheral", 0), ("upper-abdominal", 15), ("intrathoracic", 24)],
    "planned_duration": [(30, 0), (119, 0), (120, 16), (180, 16), (181, 23), (600, 23)],
    "urgency": [("elective", 0), ("expedited", 0), ("urgent", 8), ("immediate", 8)],
}
# Coefficients of the logistic model behind the index; a point is a tenth of one, rounded.
COEFFICIENTS = {
    ("age", 51): 0.331, ("age", 81): 1.619, ("spo2_on_air", 95): 0.802, ("spo2_on_air", 90): 2.375,
    ("respiratory_infection", True): 1.698, ("haemoglobin", "10.0"): 1.105, ("incision", "upper-abdominal"): 1.480,
    ("incision", "intrathoracic"): 2.431, ("planned_duration", 120): 1.593, ("planned_duration", 181): 2.268,
    ("urgency", "urgent"): 0.768,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "value", "points"),
    [(fact, value, points) for fact, rows in INDEX.items() for value, points in rows],
)
def test_each_row_of_the_index(fact: str, value: Any, points: int) -> None:
    result = ariscat.assess(healthy(**{fact: value}))
    assert result.total == points
    assert {part.fact: part.points for part in result.components}[fact] == points


@pytest.mark.parametrize(("fact", "value"), list(COEFFICIENTS))
def test_points_are_the_models_coefficients_times_ten(fact: str, value: Any) -> None:
    assert ariscat.assess(healthy(**{fact: value})).total == round(COEFFICIENTS[fact, value] * 10)


def test_a_saturation_between_two_bands_takes_the_worse() -> None:
    assert ariscat.assess(healthy(spo2_on_air="95.5")).total == 8
    assert ariscat.assess(healthy(spo2_on_air="90.5")).total == 24


@pytest.mark.parametrize(
    ("changed", "total", "option", "rate"),
    [
        ({}, 0, "low", "1.6%"),
        ({"respiratory_infection": True, "urgency": "urgent"}, 25, "low", "1.6%"),
        ({"incision": "upper-abdominal", "haemoglobin": 10}, 26, "intermediate", "13.3%"),
        ({"planned_duration": 181, "incision": "upper-abdominal", "age": 51}, 41, "intermediate", "13.3%"),
        (
            {"incision": "upper-abdominal", "planned_duration": 150, "age": 60, "spo2_on_air": 94},
            42,
            "intermediate",
            "13.3%",
        ),
        (
            {
                "spo2_on_air": 95,
                "incision": "upper-abdominal",
                "haemoglobin": 9,
                "urgency": "urgent",
                "age": 60,
            },
            45,
            "high",
            "42.1%",
        ),
        ({"spo2_on_air": 95, "age": 82, "incision": "intrathoracic"}, 48, "high", "42.1%"),
    ],
)
def test_bands_of_the_paper(changed: dict[str, Any], total: int, option: str, rate: str) -> None:
    result = ariscat.assess(healthy(**changed))
    assert (result.total, result.option) == (total, option)
    assert rate in result.summary


def test_both_edges_of_the_intermediate_band_are_met_by_some_patient() -> None:
    seen = {}
    for choice in product(*INDEX.values()):
        changed = {fact: value for fact, (value, _) in zip(INDEX, choice, strict=True)}
        total = sum(points for _, points in choice)
        if total in {25, 26, 44, 45} and total not in seen:
            seen[total] = ariscat.assess(healthy(**changed)).option
    assert seen == {25: "low", 26: "intermediate", 44: "intermediate", 45: "high"}


def test_the_greatest_total_is_the_sum_of_the_worst_rows() -> None:
    worst = {fact: max(rows, key=lambda row: row[1])[0] for fact, rows in INDEX.items()}
    assert ariscat.assess(healthy(**worst)).total == 16 + 24 + 17 + 11 + 24 + 23 + 8


@pytest.mark.parametrize("name", list(INDEX))
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = ariscat.assess(healthy_without(name))
    assert (result.total, result.option, result.missing) == (None, None, (name,))


def test_an_unknown_incision_is_refused() -> None:
    with pytest.raises(TypeError, match="incision"):
        ariscat.assess(healthy(incision="lower-abdominal"))
