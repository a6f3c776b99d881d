"""STOP-Bang against the items and bands of Chung et al. 2008 and 2012, written out here."""

from itertools import combinations
from typing import Any

import pytest

from arbiter.panels.scores import stop_bang
from tests.panels.surgical_values import healthy, healthy_without

ITEMS: dict[str, Any] = {
    "loud_snoring": True,
    "daytime_tiredness": True,
    "observed_apnoea": True,
    "hypertension": True,
    "body_mass_index": "35.1",
    "age": 51,
    "neck_circumference": "40.1",
    "sex": "male",
}


@pytest.mark.parametrize(
    ("fact", "value", "points"),
    [
        *((fact, value, 1) for fact, value in ITEMS.items()),
        ("body_mass_index", "35.0", 0),
        ("age", 50, 0),
        ("neck_circumference", "40.0", 0),
        ("sex", "female", 0),
    ],
)
def test_each_item_counts_one_above_its_edge(fact: str, value: Any, points: int) -> None:
    assert stop_bang.assess(healthy(**{fact: value})).total == points


@pytest.mark.parametrize("count", range(9))
def test_any_choice_of_items_adds_up_and_falls_in_its_band(count: int) -> None:
    band = "low" if count <= 2 else "intermediate" if count <= 4 else "high"
    for chosen in combinations(ITEMS, count):
        result = stop_bang.assess(healthy(**{fact: ITEMS[fact] for fact in chosen}))
        assert (result.total, result.option) == (count, band)


@pytest.mark.parametrize("name", list(ITEMS))
def test_any_missing_item_makes_it_abstain_and_is_named(name: str) -> None:
    result = stop_bang.assess(healthy_without(name))
    assert (result.total, result.option, result.missing) == (None, None, (name,))


def test_a_missing_item_is_not_made_up_even_where_the_rest_is_already_high() -> None:
    worst = healthy(**ITEMS)
    del worst["neck_circumference"]
    assert stop_bang.assess(worst).option is None


def test_no_word_of_the_questionnaire_is_shipped() -> None:
    said = " ".join(part.finding for part in stop_bang.assess(healthy(**ITEMS)).components).lower()
    for phrase in ("do you", "loud enough", "closed doors", "often feel", "has anyone", "during your sleep"):
        assert phrase not in said


def test_a_sex_that_the_score_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="sex"):
        stop_bang.assess(healthy(sex="unknown"))
