"""Labelled cases from JSON: the door's own form and strictness, every fault by line and column."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arbiter.api.schemas.incoming import CaseIn
from arbiter.labels.form import HeadIn, LabelledIn
from arbiter.labels.reading import Format
from tests.labels.hospital import as_body, as_bundle, imported, json_lines, patients, refused

FIRST, SECOND = patients(12)[:2]
BODY = as_body(FIRST)


def with_fact(name: str, **changes: Any) -> dict[str, Any]:
    return BODY | {"facts": BODY["facts"] | {name: BODY["facts"][name] | changes}}


def column_of(text: str, part: str) -> int:
    return text.index(part) + 1


def test_every_member_of_the_doors_body_is_taken() -> None:
    assert set(CaseIn.model_fields) <= set(LabelledIn.model_fields)
    assert set(LabelledIn.model_fields) - set(CaseIn.model_fields) == set(HeadIn.model_fields) - {
        "risk_class"
    }
    whole = BODY | {"encounter": "E-1", "supersedes": "c_4jnoc5hb37oz5irylzg747rv", "training": False}
    whole["context"] = {"history": [], "documents": []}
    assert imported(Format.JSON, json_lines([whole])) == imported(Format.JSON, json_lines([BODY]))


def test_an_array_and_one_after_another_over_any_lines_are_the_same() -> None:
    bodies = [BODY, as_body(SECOND)]
    by_lines = imported(Format.JSON, json_lines(bodies))
    for content in (
        json.dumps(bodies),
        json.dumps(bodies, indent=2),
        "\n".join(json.dumps(one, indent=1) for one in bodies),
    ):
        assert imported(Format.JSON, content) == by_lines


def test_a_case_may_come_without_its_patients_number() -> None:
    bare = {name: value for name, value in BODY.items() if name not in {"site", "subject", "protocol"}}
    assert imported(Format.JSON, json_lines([bare])) == imported(Format.JSON, json_lines([BODY]))


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"unit": "bpm"}, '"bpm"', "/facts/heart_rate/unit: expected one of /min; another unit came"),
        ({"unit": None}, "null", "/facts/heart_rate/unit: expected a unit, one of /min; none came"),
        ({"unit": 7}, "7", "/facts/heart_rate/unit: expected text, came a number"),
        ({"value": 4711}, "4711", "/facts/heart_rate/value: expected 10 to 350 /min"),
        ({"value": "72"}, '"72"', "/facts/heart_rate/value: expected a number"),
        ({"value": True}, "true", "/facts/heart_rate/value: expected a number"),
        ({"value": [72]}, "[72]", "expected a number, a code or true or false, came an array"),
        ({"value": 10**40}, "1" + "0" * 40, "a number has at most 32 characters"),
        ({"value": float("nan")}, "NaN", "NaN and infinities are not numbers"),
        ({"source": "  "}, '"  "', "/facts/heart_rate/source: expected no blank at either end"),
        ({"status": "registered"}, '"registered"', "expected 'final', 'preliminary', 'amended' or 'corrected'"),
        ({"observed_at": "2026-03-01T13:00:00Z"}, '"2026-03-01T13:00:00Z"', "expected an instant at most 60 s after intake"),
        ({"colour": "red"}, '"red"', "/facts/heart_rate/colour: expected no member of this name"),
        ({"Mrs Example 4711": "red"}, "{", "/facts/heart_rate/?: expected no member of this name"),
    ],
)  # fmt: skip
def test_a_fact_that_is_unfit_is_told_by_line_and_column(
    changes: dict[str, Any], place: str, said: str
) -> None:
    line = json.dumps(with_fact("heart_rate", **changes))
    (told,) = refused(Format.JSON, json_lines([as_body(SECOND)]) + line + "\n")
    at, _, detail = told.partition(" ")
    assert said in detail
    assert "Example" not in detail
    within = line.index('"heart_rate"')
    assert at == f"ward.jsonl:2:{line.index(place, within) + 1}"


def test_a_unit_that_is_missing_is_told_at_its_fact() -> None:
    fact = {name: value for name, value in BODY["facts"]["heart_rate"].items() if name != "unit"}
    line = json.dumps(BODY | {"facts": {"heart_rate": fact}})
    (told,) = refused(Format.JSON, line)
    assert told == (
        f"ward.jsonl:1:{line.index('{', line.index('heart_rate')) + 1} "
        "/facts/heart_rate/unit: expected a unit, one of /min; none came"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "anticoagulation"}, "/protocol: expected a case of deterioration"),
        ({"training": True}, "/training: expected a case of a patient, one for practice came"),
        ({"facts": {}}, "/facts: expected at least 1"),
        ({"facts": {"pulse": BODY["facts"]["heart_rate"]}}, "expected a fact of the question, another name came"),
        ({"facts": {f"f{at}": BODY["facts"]["heart_rate"] for at in range(101)}}, "/facts: expected at most 100"),
        ({"label": "urgent-review"}, "/label: expected an object, came text"),
        ({"label": None}, "/label: expected an object, came null"),
        ({"label": BODY["label"] | {"seen": True}}, "/label/seen: expected no member of this name"),
        ({"label": {**BODY["label"], "date": 20260302}}, "/label/date: expected text, came a number"),
        ({"decided_by": "panel"}, "/decided_by: expected no member of this name"),
        ({"id": 7}, "/id: expected text, came a number"),
        ({"taken_at": 1772366400}, "/taken_at: expected an instant as text, came a number"),
        ({"subject": {"system": "urn:mrn"}}, "/subject/value: expected a value here, none came"),
    ],
)  # fmt: skip
def test_a_case_that_is_unfit_is_refused_with_what_was_expected(changes: dict[str, Any], said: str) -> None:
    told = refused(Format.JSON, json_lines([BODY | changes]))
    assert any(said in problem for problem in told)


@pytest.mark.parametrize("member", ["id", "taken_at", "label", "facts", "risk_class"])
def test_a_member_that_is_needed_and_lacking_is_told(member: str) -> None:
    (told,) = refused(
        Format.JSON, json_lines([{name: value for name, value in BODY.items() if name != member}])
    )
    assert told.startswith(f"ward.jsonl:1:1 /{member}: expected a value here, none came")


@pytest.mark.parametrize("part", ["option", "kind", "source", "date"])
def test_a_label_that_does_not_say_all_of_itself_is_refused(part: str) -> None:
    label = {name: value for name, value in BODY["label"].items() if name != part}
    (told,) = refused(Format.JSON, json_lines([BODY | {"label": label}]))
    assert f"/label/{part}: expected a value here, none came" in told


def test_the_order_of_members_and_facts_changes_nothing() -> None:
    turned = dict(reversed(BODY.items())) | {"facts": dict(reversed(BODY["facts"].items()))}
    assert imported(Format.JSON, json_lines([turned])) == imported(Format.JSON, json_lines([BODY]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": "a", "id": "b"}', "ward.jsonl:1:8 /id: a member is given at most once in an object"),
        ('"a"', "ward.jsonl:1:1 expected an object"),
        ("[[]]", "ward.jsonl:1:2 expected an object"),
        ("null", "ward.jsonl:1:1 expected an object"),
        ('{"id": "\\ud800"}', "text must be Unicode: a surrogate came without its pair"),
        ('{"a": ' + "[" * 13 + "]" * 13 + "}", "expected at most 12 levels of nesting"),
        ('{"id": "' + "x" * 262_144 + '"}', "ward.jsonl:1:1 expected at most 262144 bytes for a case"),
        ("id,label\n", "ward.jsonl:1:1 expected JSON: expecting value"),
        ("{} {", "ward.jsonl:1:5 expected JSON: expecting property name enclosed in double quotes"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_strict_json_is_refused_as_at_the_door(content: str, said: str) -> None:
    assert any(said in problem for problem in refused(Format.JSON, content))


def test_a_line_that_is_no_json_hides_no_fault_of_the_others() -> None:
    told = refused(Format.JSON, json_lines([BODY]) + "{]\n" + json_lines([BODY | {"id": "B"}]))
    assert [problem.split(":")[1] for problem in told] == ["2", "3"]


def test_a_bundle_among_cases_is_refused_with_the_option_that_reads_it() -> None:
    (told,) = refused(Format.JSON, json_lines([as_bundle(FIRST)]))
    assert told.endswith("/resourceType: expected a case, a FHIR resource came: --format fhir reads Bundles")
