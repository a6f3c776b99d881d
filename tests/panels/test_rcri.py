"""RCRI against the abstract and the methods of Lee et al., Circulation 1999; 100: 1043-1049, written out here."""

from itertools import combinations
from typing import Any

import pytest

from arbiter.panels.scores import rcri
from tests.panels.surgical_values import healthy, healthy_without

# The six factors, each with a value that has it.
FACTORS: dict[str, Any] = {
    "operation_site": "intraperitoneal",
    "ischaemic_heart_disease": True,
    "heart_failure": True,
    "cerebrovascular_disease": True,
    "insulin_treatment": True,
    "creatinine": 178,
}


@pytest.mark.parametrize(
    ("fact", "value", "points"),
    [
        ("operation_site", "intraperitoneal", 1),
        ("operation_site", "intrathoracic", 1),
        ("operation_site", "suprainguinal-vascular", 1),
        ("operation_site", "other", 0),
        ("ischaemic_heart_disease", True, 1),
        ("heart_failure", True, 1),
        ("cerebrovascular_disease", True, 1),
        ("insulin_treatment", True, 1),
        ("creatinine", 177, 0),
        ("creatinine", 178, 1),
        ("creatinine", 800, 1),
    ],
)
def test_each_factor_counts_one(fact: str, value: Any, points: int) -> None:
    result = rcri.assess(healthy(**{fact: value}))
    assert result.total == points
    assert {part.fact: part.points for part in result.components}[fact] == points


@pytest.mark.parametrize("count", range(7))
def test_any_choice_of_factors_adds_up_and_falls_in_its_class(count: int) -> None:
    name, derived, validated = [
        ("I", "0.5", "0.4"),
        ("II", "1.3", "0.9"),
        ("III", "4", "7"),
        ("IV", "9", "11"),
    ][min(count, 3)]
    for chosen in combinations(FACTORS, count):
        result = rcri.assess(healthy(**{fact: FACTORS[fact] for fact in chosen}))
        assert result.total == count
        assert result.summary == (
            f"RCRI {count}, class {name}: major cardiac complications in {derived}% and {validated}% (Lee 1999)"
        )


@pytest.mark.parametrize(("count", "option"), [(0, "low"), (1, "low"), (2, "elevated"), (3, "elevated")])
def test_the_cut_is_that_of_the_guideline_of_2014(count: int, option: str) -> None:
    chosen = dict(list(FACTORS.items())[:count])
    assert rcri.assess(healthy(**chosen)).option == option


@pytest.mark.parametrize("name", list(FACTORS))
def test_any_missing_factor_makes_it_abstain_and_is_named(name: str) -> None:
    result = rcri.assess(healthy_without(name))
    assert (result.total, result.option, result.missing, result.components) == (None, None, (name,), ())


def test_a_missing_factor_is_not_made_up_even_where_the_rest_is_already_elevated() -> None:
    worst = {**healthy(heart_failure=True, insulin_treatment=True, cerebrovascular_disease=True)}
    del worst["creatinine"]
    assert rcri.assess(worst).option is None


def test_an_unknown_site_is_refused() -> None:
    with pytest.raises(TypeError, match="operation_site"):
        rcri.assess(healthy(operation_site="elsewhere"))
