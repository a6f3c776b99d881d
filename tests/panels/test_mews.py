"""MEWS against table 1 of Subbe et al., QJM 2001; 94: 521-526, written out here."""

from typing import Any

import pytest

from arbiter.panels.scores import mews
from tests.panels.values import normal, without

TABLE: dict[str, list[tuple[Any, int]]] = {
    "systolic_bp": [
        (50, 3), (69, 3), (71, 2), (80, 2), (81, 1), (100, 1), (101, 0), (199, 0), (200, 2), (260, 2),
    ],
    "heart_rate": [
        (30, 2), (39, 2), (41, 1), (50, 1), (51, 0), (100, 0), (101, 1), (110, 1), (111, 2), (129, 2), (130, 3),
        (190, 3),
    ],
    "respiratory_rate": [(4, 2), (8, 2), (9, 0), (14, 0), (15, 1), (20, 1), (21, 2), (29, 2), (30, 3), (50, 3)],
    "temperature": [("33.0", 2), ("34.9", 2), ("35.0", 0), ("38.4", 0), ("38.5", 2), ("40.0", 2)],
    "consciousness": [("alert", 0), ("voice", 1), ("pain", 2), ("unresponsive", 3)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "value", "points"), [(f, v, p) for f, rows in TABLE.items() for v, p in rows]
)
def test_each_row_of_table_1(fact: str, value: Any, points: int) -> None:
    result = mews.assess(normal(**{fact: value}))
    assert {c.fact: c.points for c in result.components}[fact] == points
    assert result.total == points


@pytest.mark.parametrize(("fact", "value", "points"), [("systolic_bp", 70, 3), ("heart_rate", 40, 2)])
def test_a_value_that_the_table_forgot_takes_the_worse_neighbour(fact: str, value: Any, points: int) -> None:
    assert mews.assess(normal(**{fact: value})).total == points


def test_new_confusion_is_not_scored_as_alert() -> None:
    assert mews.assess(normal(consciousness="confusion")).total == 1


@pytest.mark.parametrize(
    ("changed", "total", "option"),
    [
        ({}, 0, "continue-monitoring"),
        ({"heart_rate": 111, "respiratory_rate": 21}, 4, "continue-monitoring"),
        ({"heart_rate": 111, "respiratory_rate": 30}, 5, "urgent-review"),
        ({"heart_rate": 130, "respiratory_rate": 30, "temperature": "38.5"}, 8, "urgent-review"),
    ],
)
def test_five_is_the_critical_score(changed: dict[str, Any], total: int, option: str) -> None:
    result = mews.assess(normal(**changed))
    assert (result.total, result.option) == (total, option)


def test_a_single_three_is_not_enough_for_mews() -> None:
    assert mews.assess(normal(consciousness="unresponsive")).option == "continue-monitoring"


@pytest.mark.parametrize("name", list(TABLE))
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = mews.assess(without(name))
    assert (result.total, result.option, result.missing) == (None, None, (name,))


def test_oxygen_saturation_is_not_an_input() -> None:
    assert mews.assess(without("spo2", "supplemental_oxygen")).option == "continue-monitoring"
