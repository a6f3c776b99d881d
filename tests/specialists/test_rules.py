"""The rules that the models imitate: what counts, where a band begins, and when there is nothing to say."""

from __future__ import annotations

import pytest

from arbiter.specialists.rules import (
    CIRCULATION,
    CONTINUE,
    GENERALIST,
    INFECTION,
    RESPIRATORY,
    RULES,
    SPECIALISTS,
    URGENT,
    Judgement,
    Rule,
)


@pytest.mark.parametrize(
    ("rule", "fact", "value", "points"),
    [
        (RESPIRATORY, "respiratory_rate", "24", 2),
        (RESPIRATORY, "respiratory_rate", "25", 3),
        (RESPIRATORY, "spo2", "91", 3),
        (RESPIRATORY, "spo2", "92", 2),
        (RESPIRATORY, "supplemental_oxygen", "true", 1),
        (RESPIRATORY, "supplemental_oxygen", "false", 0),
        (CIRCULATION, "lactate", "1.99", 0),
        (CIRCULATION, "lactate", "2", 1),
        (INFECTION, "temperature", "37.9", 0),
        (INFECTION, "temperature", "38", 1),
        (INFECTION, "temperature", "35.9", 2),
        (INFECTION, "spo2", "60", 0),
        (RESPIRATORY, "age", "99", 0),
    ],
)
def test_points_begin_with_a_whole_number(rule: Rule, fact: str, value: str, points: int) -> None:
    assert rule.points(fact, value) == points


def test_what_gave_points_is_cited_in_the_rules_order() -> None:
    facts = {"spo2": "90", "respiratory_rate": "26", "supplemental_oxygen": "false", "age": "90"}
    assert RESPIRATORY.judge(facts) == Judgement(URGENT, ("respiratory_rate", "spo2"))


def test_with_no_points_the_first_two_that_are_held_are_cited() -> None:
    facts = {"paco2": "40", "spo2": "98", "supplemental_oxygen": "false"}
    assert RESPIRATORY.judge(facts) == Judgement(CONTINUE, ("spo2", "supplemental_oxygen"))


@pytest.mark.parametrize("rule", SPECIALISTS)
def test_with_fewer_than_two_of_its_own_facts_a_specialist_abstains(rule: Rule) -> None:
    assert rule.judge({}) == Judgement(None, ())
    assert rule.judge({rule.order[0]: "300", "age": "50", "pregnant": "false"}) == Judgement(None, ())


def test_a_patient_on_whom_the_three_disagree() -> None:
    facts = {
        "respiratory_rate": "25",
        "spo2": "90",
        "systolic_bp": "130",
        "heart_rate": "80",
        "temperature": "37",
    }
    said = {rule.name: rule.judge(facts).option for rule in SPECIALISTS}
    assert said == {"respiratory": URGENT, "circulation": CONTINUE, "infection": CONTINUE}


def test_the_generalist_looks_at_all_that_any_looks_at_and_takes_the_greater_points() -> None:
    assert set(GENERALIST.order) == {name for rule in SPECIALISTS for name in rule.order}
    for value in range(400):
        for fact in GENERALIST.numbers:
            assert GENERALIST.points(fact, str(value)) == max(
                rule.points(fact, str(value)) for rule in SPECIALISTS if fact in rule.numbers
            )


def test_every_rule_stands_under_its_name() -> None:
    assert {name: rule.name for name, rule in RULES.items()} == {name: name for name in RULES}
