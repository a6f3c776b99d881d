"""SIRS against the criteria of the ACCP/SCCM consensus conference, Chest 1992; 101: 1644-1655, written out here."""

from itertools import product
from typing import Any

import pytest

from arbiter.panels.scores import sirs
from tests.panels.values import normal, without

CRITERIA: dict[str, list[tuple[Any, int]]] = {
    "temperature": [("35.9", 1), ("36.0", 0), ("38.0", 0), ("38.1", 1)],
    "heart_rate": [(50, 0), (90, 0), (91, 1)],
    "respiratory_rate": [(12, 0), (20, 0), (21, 1)],
    "paco2": [("31.9", 1), ("32.0", 0), ("45", 0)],
    "white_cell_count": [("3.9", 1), ("4.0", 0), ("12.0", 0), ("12.1", 1)],
    "immature_neutrophils": [("0", 0), ("10.0", 0), ("10.1", 1)],
}


@pytest.mark.parametrize(
    ("fact", "value", "points"), [(f, v, p) for f, rows in CRITERIA.items() for v, p in rows]
)
def test_each_criterion_on_both_sides_of_its_edge(fact: str, value: Any, points: int) -> None:
    result = sirs.assess(normal(**{fact: value}))
    assert {c.fact: c.points for c in result.components}[fact] == points
    assert result.total == points


@pytest.mark.parametrize(
    ("changed", "total", "option"),
    [
        ({}, 0, "not-high"),
        ({"heart_rate": 91}, 1, "not-high"),
        ({"heart_rate": 91, "temperature": "38.1"}, 2, "high"),
        (
            {"heart_rate": 91, "temperature": "38.1", "respiratory_rate": 21, "white_cell_count": 13},
            4,
            "high",
        ),
    ],
)
def test_two_criteria_are_high(changed: dict[str, Any], total: int, option: str) -> None:
    result = sirs.assess(normal(**changed))
    assert (result.total, result.option) == (total, option)


def test_two_parts_of_one_criterion_count_once() -> None:
    assert sirs.assess(normal(respiratory_rate=21, paco2=30)).total == 1
    assert sirs.assess(normal(white_cell_count=13, immature_neutrophils=11)).total == 1


def test_it_answers_without_blood_tests_when_two_criteria_are_met_already() -> None:
    septic = normal(temperature="39.0", heart_rate=120)
    for name in ("paco2", "white_cell_count", "immature_neutrophils"):
        del septic[name]
    result = sirs.assess(septic)
    assert (result.total, result.option, result.missing) == (2, "high", ())
    assert "not measured" in result.summary


def test_it_answers_when_one_open_criterion_cannot_reach_two() -> None:
    result = sirs.assess(without("paco2"))
    assert (result.total, result.option) == (0, "not-high")


def test_it_abstains_when_one_open_criterion_could_reach_two() -> None:
    facts = normal(heart_rate=91)
    del facts["paco2"]
    result = sirs.assess(facts)
    assert (result.option, result.missing) == (None, ("paco2",))


def test_it_abstains_when_two_open_criteria_could_reach_two() -> None:
    result = sirs.assess(without("paco2", "immature_neutrophils"))
    assert (result.option, result.missing) == (None, ("paco2", "immature_neutrophils"))


def test_a_white_cell_count_alone_settles_its_criterion_only_when_it_is_abnormal() -> None:
    high = normal(heart_rate=91, white_cell_count=13)
    del high["immature_neutrophils"]
    assert sirs.assess(high).option == "high"
    usual = normal(heart_rate=91)
    del usual["immature_neutrophils"]
    assert sirs.assess(usual).missing == ("immature_neutrophils",)


def test_nothing_measured_names_every_input() -> None:
    result = sirs.assess({})
    assert (result.option, set(result.missing)) == (None, set(CRITERIA))


def test_an_answer_with_missing_inputs_is_the_answer_whatever_they_turn_out_to_be() -> None:
    """Fill every unmeasured input with every edge value: the answer that SIRS gave without them stands."""
    for present in product((True, False), repeat=len(CRITERIA)):
        absent = [name for name, there in zip(CRITERIA, present, strict=True) if not there]
        for base in ({}, {"heart_rate": 91}, {"heart_rate": 91, "temperature": "38.1"}):
            known = {name: value for name, value in normal(**base).items() if name not in absent}
            given = sirs.assess(known).option
            later = set()
            for filled in product(*(CRITERIA[name] for name in absent)):
                values = {name: value for name, (value, _) in zip(absent, filled, strict=True)}
                later.add(
                    sirs.assess({**known, **{k: normal(**{k: v})[k] for k, v in values.items()}}).option
                )
            assert (given is None) == (len(later) == 2), (absent, base)
            assert given is None or later == {given}
