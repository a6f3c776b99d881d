"""CART against the table of Churpek et al., Crit Care Med 2012; 40: 2102-2108, written out here."""

from typing import Any

import pytest

from arbiter.panels.scores import cart
from tests.panels.values import normal, without

TABLE: dict[str, list[tuple[Any, int]]] = {
    "respiratory_rate": [(8, 0), (20, 0), (21, 8), (23, 8), (24, 12), (25, 12), (26, 15), (29, 15), (30, 22), (45, 22)],
    "heart_rate": [(30, 0), (109, 0), (110, 4), (139, 4), (140, 13), (200, 13)],
    "diastolic_bp": [(20, 13), (34, 13), (35, 6), (39, 6), (40, 4), (49, 4), (50, 0), (110, 0)],
    "age": [(16, 0), (54, 0), (55, 4), (69, 4), (70, 9), (101, 9)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "value", "points"), [(f, v, p) for f, rows in TABLE.items() for v, p in rows]
)
def test_each_row_of_the_table(fact: str, value: Any, points: int) -> None:
    result = cart.assess(normal(**{fact: value}))
    assert {c.fact: c.points for c in result.components}[fact] == points
    assert result.total == points


@pytest.mark.parametrize(
    ("changed", "total", "option"),
    [
        ({"respiratory_rate": 24, "heart_rate": 110, "age": 55}, 20, "continue-monitoring"),
        ({"respiratory_rate": 21, "heart_rate": 110, "age": 70}, 21, "urgent-review"),
        ({"respiratory_rate": 21, "heart_rate": 140}, 21, "urgent-review"),
        ({"respiratory_rate": 30}, 22, "urgent-review"),
    ],
)
def test_above_twenty_is_the_highly_specific_cut_off(
    changed: dict[str, Any], total: int, option: str
) -> None:
    result = cart.assess(normal(**changed))
    assert (result.total, result.option) == (total, option)


def test_the_greatest_total_is_fifty_seven() -> None:
    assert cart.assess(normal(respiratory_rate=30, heart_rate=140, diastolic_bp=34, age=70)).total == 57


@pytest.mark.parametrize("name", list(TABLE))
def test_any_missing_input_makes_it_abstain_and_is_named(name: str) -> None:
    result = cart.assess(without(name))
    assert (result.total, result.option, result.missing) == (None, None, (name,))


def test_a_fraction_between_two_bands_takes_the_worse_one() -> None:
    assert cart.assess(normal(respiratory_rate="23.5")).total == 12
    assert cart.assess(normal(diastolic_bp="39.5")).total == 6
