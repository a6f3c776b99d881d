from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from arbiter.api.complaints import kind_of, problems_of
from arbiter.api.problems import InvalidRequestError
from arbiter.api.schemas.incoming import CaseIn, FactsIn, ReasonIn, read
from arbiter.api.strict_json import Json, parse
from arbiter.errors import Problem

SECRET = "Mrs Jones"
FACT: dict[str, Any] = {
    "value": 22,
    "unit": "/min",
    "observed_at": "2026-11-22T09:00:00+01:00",
    "source": "ward-monitor",
}
CASE: dict[str, Any] = {
    "protocol": "deterioration",
    "site": "st-elsewhere",
    "subject": {"system": "urn:mrn", "value": "4711"},
    "risk_class": "urgent",
    "facts": {"respiratory_rate": FACT},
}


def through_json(value: Any) -> Json:
    return parse(json.dumps(value).encode())


def with_change(path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(CASE)
    *parents, last = path.strip("/").split("/")
    place = changed
    for step in parents:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return changed


def problems_with(value: Any, model: type[Any] = CaseIn) -> tuple[Problem, ...]:
    with pytest.raises(InvalidRequestError) as caught:
        read(model, through_json(value))
    assert caught.value.__cause__ is None
    return caught.value.problems


def test_a_case_is_read_with_exact_values() -> None:
    case = read(CaseIn, through_json(with_change("/facts/respiratory_rate/value", 22.5)))
    fact = case.facts["respiratory_rate"]
    assert fact.value == Decimal("22.5")
    assert isinstance(fact.value, Decimal)
    assert fact.observed_at == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    assert fact.status == "final"
    assert (case.encounter, case.supersedes) == (None, None)


@pytest.mark.parametrize("value", [True, False, "alert", 0, -1.5])
def test_a_facts_value_keeps_its_kind(value: Any) -> None:
    case = read(CaseIn, through_json(with_change("/facts/respiratory_rate/value", value)))
    kept = case.facts["respiratory_rate"].value
    assert kept == value
    assert isinstance(kept, bool) is isinstance(value, bool)


REFUSED: list[tuple[str, Any, str, str]] = [
    ("/protocol", ..., "/protocol", "missing"),
    ("/site", ..., "/site", "missing"),
    ("/subject", ..., "/subject", "missing"),
    ("/facts", ..., "/facts", "missing"),
    ("/risk_class", ..., "/risk_class", "missing"),
    ("/protocol", 5, "/protocol", "type"),
    ("/protocol", None, "/protocol", "type"),
    ("/protocol", "Deterioration", "/protocol", "pattern"),
    ("/protocol", "d" * 65, "/protocol", "pattern"),
    ("/protocol", "../etc/passwd", "/protocol", "pattern"),
    ("/site", "St Elsewhere", "/site", "pattern"),
    ("/site", ["st-elsewhere"], "/site", "type"),
    ("/subject", SECRET, "/subject", "type"),
    ("/subject/value", 4711, "/subject/value", "type"),
    ("/subject/value", "", "/subject/value", "length"),
    ("/subject/value", "x" * 201, "/subject/value", "length"),
    ("/subject/value", "47\u000011", "/subject/value", "control-character"),
    ("/subject/value", "47\n11", "/subject/value", "control-character"),
    ("/subject/value", "47\u202e11", "/subject/value", "control-character"),
    ("/subject/value", "4711\u200b", "/subject/value", "control-character"),
    ("/subject/value", " 4711", "/subject/value", "untrimmed"),
    ("/subject/value", "4711 ", "/subject/value", "untrimmed"),
    ("/subject/name", SECRET, "/subject/name", "unknown-member"),
    ("/subject/" + SECRET, SECRET, "/subject/?", "unknown-member"),
    ("/patient", SECRET, "/patient", "unknown-member"),
    ("/encounter", 12, "/encounter", "type"),
    ("/encounter", "", "/encounter", "length"),
    ("/risk_class", "severe", "/risk_class", "not-listed"),
    ("/risk_class", "URGENT", "/risk_class", "not-listed"),
    ("/risk_class", True, "/risk_class", "not-listed"),
    ("/supersedes", "a b", "/supersedes", "pattern"),
    ("/facts", [], "/facts", "type"),
    ("/facts", {}, "/facts", "too-short"),
    ("/facts", {f"fact_{n}": FACT for n in range(101)}, "/facts", "too-long"),
    ("/facts/Heart Rate", FACT, "/facts/?", "pattern"),
    ("/facts/" + "x" * 65, FACT, "/facts/?", "pattern"),
    ("/facts/respiratory_rate", 22, "/facts/respiratory_rate", "type"),
    ("/facts/respiratory_rate", None, "/facts/respiratory_rate", "type"),
    ("/facts/respiratory_rate/value", ..., "/facts/respiratory_rate/value", "missing"),
    ("/facts/respiratory_rate/value", None, "/facts/respiratory_rate/value", "type"),
    ("/facts/respiratory_rate/value", [22], "/facts/respiratory_rate/value", "type"),
    ("/facts/respiratory_rate/value", {"quantity": 22}, "/facts/respiratory_rate/value", "type"),
    ("/facts/respiratory_rate/value", "", "/facts/respiratory_rate/value", "length"),
    ("/facts/respiratory_rate/value", "x" * 201, "/facts/respiratory_rate/value", "length"),
    ("/facts/respiratory_rate/unit", 1, "/facts/respiratory_rate/unit", "type"),
    ("/facts/respiratory_rate/unit", "/m\tin", "/facts/respiratory_rate/unit", "control-character"),
    ("/facts/respiratory_rate/status", "entered-in-error", "/facts/respiratory_rate/status", "not-listed"),
    ("/facts/respiratory_rate/status", None, "/facts/respiratory_rate/status", "not-listed"),
    ("/facts/respiratory_rate/source", ..., "/facts/respiratory_rate/source", "missing"),
    ("/facts/respiratory_rate/source", "", "/facts/respiratory_rate/source", "length"),
    ("/facts/respiratory_rate/observed_at", ..., "/facts/respiratory_rate/observed_at", "missing"),
    ("/facts/respiratory_rate/observed_at", 1763802000, "/facts/respiratory_rate/observed_at", "type"),
    ("/facts/respiratory_rate/observedAt", "x", "/facts/respiratory_rate/observedAt", "unknown-member"),
    ("/facts/respiratory_rate/__class__", "x", "/facts/respiratory_rate/?", "unknown-member"),
]


@pytest.mark.parametrize(("path", "value", "pointer", "code"), REFUSED)
def test_a_malformed_case_is_refused_where_it_is_wrong(
    path: str, value: Any, pointer: str, code: str
) -> None:
    (problem,) = problems_with(with_change(path, value))
    assert (problem.pointer, problem.code) == (pointer, code)
    assert problem.detail.startswith("expected ")
    assert SECRET not in problem.detail
    assert SECRET not in problem.pointer


@pytest.mark.parametrize(
    "instant",
    [
        "",
        "yesterday",
        "2026-11-22",
        "2026-11-22T09:00:00",
        "2026-11-22 09:00:00+00:00",
        "2026-11-22T09:00+00:00",
        "2026-11-22T09:00:00+0000",
        "2026-11-22T09:00:00.1234567+00:00",
        "2026-02-30T09:00:00+00:00",
        "2026-11-22T24:00:00+00:00",
        "2026-11-22T09:00:60Z",
        "2026-11-22T09:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "20261122T090000Z",
        "2026-W47-7T09:00:00Z",
        "\u0662026-11-22T09:00:00Z",
        "2026-11-22T09:00:00Z\n",
    ],
)
def test_an_instant_without_offset_or_date_is_refused(instant: str) -> None:
    (problem,) = problems_with(with_change("/facts/respiratory_rate/observed_at", instant))
    assert (problem.pointer, problem.code) == ("/facts/respiratory_rate/observed_at", "instant")


@pytest.mark.parametrize("value", ["text", 5, None, [], True])
def test_a_body_that_is_no_object_is_refused(value: Any) -> None:
    (problem,) = problems_with(value)
    assert (problem.pointer, problem.code) == ("", "type")
    assert problem.detail == f"expected an object, came {kind_of(value)}"


def test_all_problems_come_at_once() -> None:
    case = with_change("/facts/respiratory_rate/source", ...)
    case["patient"] = SECRET
    case["site"] = 5
    assert {(p.pointer, p.code) for p in problems_with(case)} == {
        ("/facts/respiratory_rate/source", "missing"),
        ("/patient", "unknown-member"),
        ("/site", "type"),
    }


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 2001, "a\u0000b", "a\u001bb", 5, None])
def test_an_unfit_reason_is_refused(reason: Any) -> None:
    (problem,) = problems_with({"reason": reason}, ReasonIn)
    assert problem.pointer == "/reason"


def test_a_reason_may_have_several_lines_and_any_language() -> None:
    text = "Пациент переведён.\n\tZweite Zeile naïve café"
    assert read(ReasonIn, through_json({"reason": text})).reason == text


def test_an_amendment_without_facts_is_refused() -> None:
    (problem,) = problems_with({"facts": {}}, FactsIn)
    assert (problem.pointer, problem.code) == ("/facts", "too-short")


def test_the_documented_examples_are_read() -> None:
    for model in (CaseIn, FactsIn, ReasonIn):
        extra = model.model_config["json_schema_extra"]
        assert isinstance(extra, dict)
        examples = extra["examples"]
        assert isinstance(examples, list)
        for example in examples:
            read(model, through_json(example))


def test_no_error_of_pydantic_is_told_in_its_own_words() -> None:
    class Leaky(BaseModel):
        field: int

        @field_validator("field", mode="before")
        @classmethod
        def leak(cls, value: object) -> object:
            raise ValueError(f"cannot take {value}")

    with pytest.raises(ValidationError) as caught:
        Leaky.model_validate({"field": SECRET})
    assert problems_of(caught.value) == (Problem("/field", "unfit", "expected another value"),)
