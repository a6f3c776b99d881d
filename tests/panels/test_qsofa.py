"""qSOFA against box 4 of Singer et al., JAMA 2016; 315: 801-810, written out here."""

from typing import Any

import pytest

from arbiter.panels.scores import qsofa
from tests.panels.values import normal, without

BOX: dict[str, list[tuple[Any, int]]] = {
    "respiratory_rate": [(8, 0), (21, 0), (22, 1), (40, 1)],
    "systolic_bp": [(60, 1), (100, 1), (101, 0), (180, 0)],
    "consciousness": [("alert", 0), ("confusion", 1), ("voice", 1), ("pain", 1), ("unresponsive", 1)],
}


@pytest.mark.parametrize(("fact", "value", "points"), [(f, v, p) for f, rows in BOX.items() for v, p in rows])
def test_each_criterion_on_both_sides_of_its_edge(fact: str, value: Any, points: int) -> None:
    result = qsofa.assess(normal(**{fact: value}))
    assert {c.fact: c.points for c in result.components}[fact] == points
    assert result.total == points


@pytest.mark.parametrize(
    ("changed", "total", "option"),
    [
        ({}, 0, "not-high"),
        ({"respiratory_rate": 22}, 1, "not-high"),
        ({"respiratory_rate": 22, "systolic_bp": 100}, 2, "high"),
        ({"respiratory_rate": 22, "systolic_bp": 100, "consciousness": "confusion"}, 3, "high"),
    ],
)
def test_two_criteria_are_high(changed: dict[str, Any], total: int, option: str) -> None:
    result = qsofa.assess(normal(**changed))
    assert (result.total, result.option) == (total, option)


@pytest.mark.parametrize("name", list(BOX))
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = qsofa.assess(without(name))
    assert (result.total, result.option, result.missing) == (None, None, (name,))


def test_it_abstains_even_where_two_criteria_are_already_met() -> None:
    septic = {**normal(respiratory_rate=30, systolic_bp=80)}
    del septic["consciousness"]
    assert qsofa.assess(septic).option is None


def test_a_fraction_below_the_edge_does_not_meet_it() -> None:
    assert qsofa.assess(normal(respiratory_rate="21.9", systolic_bp="100.1")).total == 0
