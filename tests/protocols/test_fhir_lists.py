"""What a list states: only one that says that it is whole makes absent what it does not name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.protocols.fhir_resources import (
    BY_BOTH,
    BY_CONDITION,
    ICD,
    LOINC,
    NOW,
    SCT,
    ago,
    coded,
    codes,
    condition,
    observation,
    problems,
    pulse,
    refusal,
    take,
    value,
)


def test_what_a_whole_list_does_not_name_is_false_as_of_its_date() -> None:
    fact = take(BY_CONDITION, pulse(), condition("E11.9", id="d"), problems("Condition/d")).facts["fasting"]
    assert (fact.value, fact.observed_at, fact.source) == (False, NOW - timedelta(hours=2), "FHIR List")
    assert value(BY_CONDITION, "fasting", problems()) is False


def test_what_a_whole_list_names_is_known_as_of_its_date() -> None:
    fact = take(BY_CONDITION, pulse(), condition(id="c"), problems("Condition/c")).facts["fasting"]
    assert (fact.value, fact.observed_at) == (True, NOW - timedelta(hours=2))


@pytest.mark.parametrize(
    "members",
    [
        {"status": "retired"},
        {"status": "entered-in-error"},
        {"mode": "working"},
        {"mode": "changes"},
        {"date": "2026-03-01"},
        {"date": None},
        {"emptyReason": None},
        {"emptyReason": coded(("http://terminology.hl7.org/CodeSystem/list-empty-reason", "notasked"))},
        {"emptyReason": coded(("http://terminology.hl7.org/CodeSystem/list-empty-reason", "unavailable"))},
        {"emptyReason": coded(("urn:x", "nilknown"))},
        {"code": coded((LOINC, "10160-0"))},
        {"code": coded(("urn:x", "11450-4"))},
        {"entry": [{"item": {"reference": "Condition/elsewhere"}}]},
        {"entry": [{"item": {"display": "hypertension"}}]},
        {"entry": [{"item": {"reference": "Condition/d"}, "deleted": True}]},
        {"entry": [{"item": {"reference": "Patient/p"}}]},
    ],
    ids=str,
)
def test_a_list_that_is_not_whole_excludes_nothing(members: dict[str, Any]) -> None:
    assert value(BY_CONDITION, "fasting", condition("E11.9", id="d"), problems(**members)) is None


@pytest.mark.parametrize(
    "code",
    [
        coded((SCT, "42343007")),
        {"text": "heart failure"},
        coded((ICD, "I11")),
        coded((ICD, "I501")),
        coded((ICD, "I11.0+")),
        coded(("http://hl7.org/fhir/sid/icd-10-cm", "E11.9")),
    ],
    ids=["another system", "words", "a code above", "no dot", "a mark", "another edition"],
)
def test_what_may_be_it_keeps_a_whole_list_from_excluding(code: dict[str, Any]) -> None:
    listed = condition(id="d") | {"code": code}
    taken = take(BY_CONDITION, pulse(), listed, problems("Condition/d"))
    assert "fasting" not in taken.facts
    assert ("/entry/2/resource", "not-excluded") in codes(taken)


@pytest.mark.parametrize(
    "members", [{"verified": "provisional"}, {"clinical": "resolved"}, {"verified": "unconfirmed"}]
)
def test_a_listed_condition_that_says_nothing_keeps_the_question_open(members: dict[str, Any]) -> None:
    assert value(BY_CONDITION, "fasting", condition(id="c", **members), problems("Condition/c")) is None


def test_a_condition_beside_a_list_that_leaves_it_out_still_holds() -> None:
    assert value(BY_CONDITION, "fasting", condition(), problems()) is True


def test_what_is_over_and_not_listed_is_false() -> None:
    assert value(BY_CONDITION, "fasting", condition(clinical="resolved"), problems()) is False


def test_an_answer_that_says_yes_is_not_undone_by_a_newer_list() -> None:
    yes = observation("answer", 60 * 24, valueBoolean=True)
    assert value(BY_BOTH, "fasting", yes, problems()) is True
    assert value(BY_BOTH, "fasting", observation("answer", 60, valueBoolean=False), problems()) is False


def test_two_whole_lists_of_one_instant_refuse_the_bundle() -> None:
    assert [one.code for one in refusal(BY_CONDITION, pulse(), problems(), problems())] == ["contradiction"]


def test_the_newer_of_two_whole_lists_counts() -> None:
    older = problems(date=ago(days=3))
    fact = take(BY_CONDITION, pulse(), older, problems()).facts["fasting"]
    assert fact.observed_at == NOW - timedelta(hours=2)
