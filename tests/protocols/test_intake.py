"""Malformed facts: each is refused with its pointer, all at once, and never with its value."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.documents.facts import facts_hash
from arbiter.errors import InvalidCaseError, Problem
from arbiter.model import FactSet, FactStatus
from arbiter.protocols.intake import RawFact, take_facts
from arbiter.protocols.loader import read_shipped
from arbiter.question import Question

TAKEN_AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@cache
def question() -> Question:
    return read_shipped("deterioration").protocol.question


def raw(value: Any = Decimal(72), unit: Any = "/min", **changed: Any) -> RawFact:
    fact = RawFact(value, unit, TAKEN_AT - timedelta(minutes=5), "final", "ward 4 monitor")
    return replace(fact, **changed)


def take(facts: Mapping[str, RawFact]) -> FactSet:
    return take_facts(question(), facts, TAKEN_AT)


def problems_of(facts: Mapping[str, RawFact]) -> tuple[Problem, ...]:
    with pytest.raises(InvalidCaseError) as caught:
        take(facts)
    return caught.value.problems


ago = timedelta(days=1)
MALFORMED: dict[str, tuple[str, RawFact, str, str]] = {
    "unknown fact": ("shoe_size", raw(), "/facts/shoe_size", "unknown-fact"),
    "fact in capitals": ("Heart_Rate", raw(), "/facts/Heart_Rate", "unknown-fact"),
    "no unit": ("heart_rate", raw(unit=None), "/facts/heart_rate/unit", "unit"),
    "empty unit": ("heart_rate", raw(unit=""), "/facts/heart_rate/unit", "unit"),
    "unknown unit": ("heart_rate", raw(unit="bpm"), "/facts/heart_rate/unit", "unit"),
    "unit in other case": ("temperature", raw(Decimal(37), "CEL"), "/facts/temperature/unit", "unit"),
    "celsius by another name": ("temperature", raw(Decimal(37), "C"), "/facts/temperature/unit", "unit"),
    "unit on a code": ("consciousness", raw("alert", "1"), "/facts/consciousness/unit", "unit"),
    "unit on a flag": ("supplemental_oxygen", raw(True, "L/min"), "/facts/supplemental_oxygen/unit", "unit"),
    "text for a number": ("heart_rate", raw("72"), "/facts/heart_rate/value", "type"),
    "flag for a number": ("heart_rate", raw(True), "/facts/heart_rate/value", "type"),
    "float for a number": ("heart_rate", raw(72.0), "/facts/heart_rate/value", "type"),
    "number for a code": ("consciousness", raw(Decimal(1), None), "/facts/consciousness/value", "type"),
    "text for a flag": ("supplemental_oxygen", raw("true", None), "/facts/supplemental_oxygen/value", "type"),
    "number for a flag": ("supplemental_oxygen", raw(Decimal(1), None), "/facts/supplemental_oxygen/value", "type"),
    "nothing for a number": ("heart_rate", raw(None), "/facts/heart_rate/value", "type"),
    "below the range": ("heart_rate", raw(Decimal(9)), "/facts/heart_rate/value", "range"),
    "above the range": ("heart_rate", raw(Decimal(351)), "/facts/heart_rate/value", "range"),
    "negative": ("respiratory_rate", raw(Decimal(-1)), "/facts/respiratory_rate/value", "range"),
    "kelvin sent as celsius": ("temperature", raw(Decimal("310.2"), "Cel"), "/facts/temperature/value", "range"),
    "celsius sent as fahrenheit": ("temperature", raw(Decimal("37.0"), "[degF]"), "/facts/temperature/value", "range"),
    "millimetres sent as kilopascal": ("systolic_bp", raw(Decimal(120), "kPa"), "/facts/systolic_bp/value", "range"),
    "astronomical": ("heart_rate", raw(Decimal("1E+999999")), "/facts/heart_rate/value", "range"),
    "infinitesimal": ("heart_rate", raw(Decimal("1E-999999")), "/facts/heart_rate/value", "decimals"),
    "too many decimals": ("heart_rate", raw(Decimal("72.5")), "/facts/heart_rate/value", "decimals"),
    "too many decimals in another unit": (
        "temperature", raw(Decimal("98.6001"), "[degF]"), "/facts/temperature/value", "decimals",
    ),
    "endless digits": ("heart_rate", raw(Decimal("7" * 5000)), "/facts/heart_rate/value", "decimals"),
    "not a number": ("heart_rate", raw(Decimal("NaN")), "/facts/heart_rate/value", "not-finite"),
    "signalling not a number": ("heart_rate", raw(Decimal("sNaN")), "/facts/heart_rate/value", "not-finite"),
    "infinite": ("heart_rate", raw(Decimal("Infinity")), "/facts/heart_rate/value", "not-finite"),
    "minus infinite": ("heart_rate", raw(Decimal("-Infinity")), "/facts/heart_rate/value", "not-finite"),
    "unknown code": ("consciousness", raw("asleep", None), "/facts/consciousness/value", "unknown-code"),
    "code in capitals": ("consciousness", raw("Alert", None), "/facts/consciousness/value", "unknown-code"),
    "code with a space": ("consciousness", raw("alert ", None), "/facts/consciousness/value", "unknown-code"),
    "instant without offset": (
        "heart_rate", raw(observed_at=datetime(2026, 11, 22, 2, 55)), "/facts/heart_rate/observed_at", "no-offset",  # noqa: DTZ001
    ),
    "in the future": (
        "heart_rate", raw(observed_at=TAKEN_AT + timedelta(seconds=61)), "/facts/heart_rate/observed_at", "future",
    ),
    "in the future by its offset": (
        "heart_rate",
        raw(observed_at=datetime(2026, 11, 22, 2, 55, tzinfo=timezone(timedelta(hours=-1)))),
        "/facts/heart_rate/observed_at",
        "future",
    ),
    "from last year": (
        "heart_rate", raw(observed_at=TAKEN_AT - timedelta(days=367)), "/facts/heart_rate/observed_at", "too-old",
    ),
    "from the year one": (
        "heart_rate", raw(observed_at=datetime(1, 1, 1, tzinfo=UTC)), "/facts/heart_rate/observed_at", "too-old",
    ),
    "standing fact from the year one": (
        "age",
        raw(Decimal(70), "a", observed_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
        "/facts/age/observed_at",
        "too-old",
    ),
    "from the last year there is": (
        "heart_rate",
        raw(observed_at=datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-14)))),
        "/facts/heart_rate/observed_at",
        "future",
    ),
    "status entered in error": ("heart_rate", raw(status="entered-in-error"), "/facts/heart_rate/status", "status"),
    "status in capitals": ("heart_rate", raw(status="Final"), "/facts/heart_rate/status", "status"),
    "no status": ("heart_rate", raw(status=""), "/facts/heart_rate/status", "status"),
    "no source": ("heart_rate", raw(source=""), "/facts/heart_rate/source", "source"),
    "blank source": ("heart_rate", raw(source=" \t"), "/facts/heart_rate/source", "source"),
    "long source": ("heart_rate", raw(source="x" * 201), "/facts/heart_rate/source", "source"),
    "control character in the source": ("heart_rate", raw(source="ward\x1b[2J"), "/facts/heart_rate/source", "source"),
    "new line in the source": ("heart_rate", raw(source="ward\nadmin: yes"), "/facts/heart_rate/source", "source"),
    "text turned round in the source": ("heart_rate", raw(source="ward \u202eDCBA"), "/facts/heart_rate/source", "source"),
    "half a character in the source": ("heart_rate", raw(source="ward \ud83d"), "/facts/heart_rate/source", "source"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(MALFORMED))
def test_a_malformed_fact_is_refused_by_pointer(kind: str) -> None:
    name, fact, pointer, code = MALFORMED[kind]
    problems = problems_of({name: fact})
    assert [(problem.pointer, problem.code) for problem in problems] == [(pointer, code)]


def test_every_problem_is_told_at_once() -> None:
    broken = raw(Decimal(900), observed_at=TAKEN_AT + ago, status="maybe", source="")
    facts = {
        "heart_rate": broken,
        "spo2": raw(Decimal("97.5"), "%"),
        "hat_size": raw(),
        "temperature": raw("warm", "K"),
    }
    assert {problem.pointer for problem in problems_of(facts)} == {
        "/facts/heart_rate/value",
        "/facts/heart_rate/observed_at",
        "/facts/heart_rate/status",
        "/facts/heart_rate/source",
        "/facts/spo2/value",
        "/facts/hat_size",
        "/facts/temperature/value",
        "/facts/temperature/unit",
    }


def test_one_bad_fact_among_good_ones_refuses_the_whole() -> None:
    assert problems_of({"heart_rate": raw(), "age": raw(Decimal(400), "a")})


def test_no_problem_quotes_a_value() -> None:
    secret = "Mrs Example"
    facts = {
        "consciousness": raw(secret, secret),
        "heart_rate": raw(Decimal(424242), secret, status=secret, source=secret * 40),
    }
    text = " ".join(f"{problem.pointer} {problem.code} {problem.detail}" for problem in problems_of(facts))
    assert secret not in text
    assert "424242" not in text


@pytest.mark.parametrize("count", [0, 257])
def test_no_facts_and_too_many_facts_are_refused(count: int) -> None:
    (problem,) = problems_of({f"fact_{number}": raw() for number in range(count)})
    assert problem.pointer == "/facts"


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("a/b", "/facts/a~1b"),
        ("a~b", "/facts/a~0b"),
        ("x" * 500, "/facts/" + "x" * 64),
        ("a\nb", "/facts/a?b"),
        ("", "/facts/"),
    ],
)
def test_a_strange_name_is_escaped_and_cut_in_its_pointer(name: str, pointer: str) -> None:
    (problem,) = problems_of({name: raw()})
    assert problem.pointer == pointer


def test_a_naive_instant_of_intake_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="naive"):
        take_facts(question(), {"heart_rate": raw()}, datetime(2026, 11, 22))  # noqa: DTZ001


# --- conversions, against known pairs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("temperature", "98.6", "[degF]", "37.0"),
        ("temperature", "100.4", "[degF]", "38.0"),
        ("temperature", "104", "[degF]", "40.0"),
        ("temperature", "95.0", "[degF]", "35.0"),
        ("temperature", "77", "[degF]", "25.0"),
        ("temperature", "100.5", "[degF]", "38.1"),
        ("temperature", "37.0", "Cel", "37.0"),
        # 1 kPa = 7.50061576 mm Hg: 101.325 kPa is the standard 760.
        ("systolic_bp", "16", "kPa", "120"),
        ("systolic_bp", "13.33", "kPa", "100"),
        ("diastolic_bp", "10.67", "kPa", "80"),
        ("paco2", "4.27", "kPa", "32.0"),
        ("paco2", "5.333", "kPa", "40.0"),
        ("white_cell_count", "7.25", "10*3/uL", "7.25"),
        # 9.008 mg/dL of lactate are 1 mmol/L (molar mass 90.08 g/mol).
        ("lactate", "18.02", "mg/dL", "2.0"),
        ("lactate", "36.03", "mg/dL", "4.0"),
    ],
)
def test_known_pairs_of_units(name: str, value: str, unit: str, expected: str) -> None:
    (fact,) = take({name: raw(Decimal(value), unit)}).facts
    spec = question().spec(name)
    assert spec is not None
    assert str(fact.value) == expected
    assert fact.unit == spec.unit


@pytest.mark.parametrize(
    ("sent", "taken"), [("37", "37.0"), ("37.00", "37.0"), ("3.7E+1", "37.0"), ("37.50", "37.5")]
)
def test_equal_numbers_have_equal_bytes_whatever_their_zeros(sent: str, taken: str) -> None:
    (fact,) = take({"temperature": raw(Decimal(sent), "Cel")}).facts
    assert str(fact.value) == taken
    plain = take({"temperature": raw(Decimal(taken), "Cel")})
    assert facts_hash(take({"temperature": raw(Decimal(sent), "Cel")})) == facts_hash(plain)


def test_zero_has_no_sign() -> None:
    (fact,) = take({"immature_neutrophils": raw(Decimal("-0.0"), "%")}).facts
    assert str(fact.value) == "0.0"


@pytest.mark.parametrize(("value", "stands"), [("10", True), ("350", True), ("9", False), ("351", False)])
def test_bounds_are_inclusive(value: str, stands: bool) -> None:
    if stands:
        take({"heart_rate": raw(Decimal(value))})
    else:
        assert problems_of({"heart_rate": raw(Decimal(value))})


def test_a_value_that_only_rounding_would_bring_into_range_is_refused() -> None:
    # 46.67 kPa are 350.05 mm Hg, which rounds to 350.
    (problem,) = problems_of({"systolic_bp": raw(Decimal("46.67"), "kPa")})
    assert problem.code == "range"


# --- instants -------------------------------------------------------------------------------------------------------------


def test_an_instant_is_kept_in_utc() -> None:
    local = datetime(2026, 11, 22, 3, 30, tzinfo=timezone(timedelta(hours=1)))
    (fact,) = take({"heart_rate": raw(observed_at=local)}).facts
    assert fact.observed_at == datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
    assert fact.observed_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("seconds", [0, 1, 60])
def test_a_clock_up_to_a_minute_ahead_is_forgiven(seconds: int) -> None:
    take({"heart_rate": raw(observed_at=TAKEN_AT + timedelta(seconds=seconds))})


def test_a_fact_past_its_greatest_age_is_kept_for_the_scores_to_name() -> None:
    (fact,) = take({"heart_rate": raw(observed_at=TAKEN_AT - ago)}).facts
    assert fact.observed_at == TAKEN_AT - ago


def test_a_fact_that_does_not_age_may_be_old() -> None:
    take({"age": raw(Decimal(70), "a", observed_at=TAKEN_AT - timedelta(days=4000))})


def test_status_and_source_are_kept_and_facts_are_sorted() -> None:
    facts = take(
        {"spo2": raw(Decimal(97), "%", status="amended"), "age": raw(Decimal(70), "a", source="registry")}
    )
    assert [fact.name for fact in facts] == ["age", "spo2"]
    assert [fact.status for fact in facts] == [FactStatus.FINAL, FactStatus.AMENDED]
    assert facts.facts[0].source == "registry"
    assert facts.version == 1


@settings(max_examples=200, deadline=None)
@given(
    value=st.one_of(st.decimals(), st.text(max_size=20), st.booleans()),
    unit=st.one_of(st.none(), st.sampled_from(["Cel", "[degF]", "K", ""]), st.text(max_size=5)),
    name=st.sampled_from(["temperature", "age", "consciousness", "supplemental_oxygen", "nothing"]),
    status=st.sampled_from(["final", "registered"]),
    source=st.text(max_size=10),
    observed_at=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14))])),
)
def test_whatever_comes_is_taken_soundly_or_refused_with_reasons(
    value: Any, unit: Any, name: str, status: str, source: str, observed_at: datetime
) -> None:
    fact = RawFact(value, unit, observed_at, status, source)
    try:
        (taken,) = take({name: fact}).facts
    except InvalidCaseError as refusal:
        if not refusal.problems:
            raise
        return
    spec = question().spec(name)
    assert spec is not None
    assert taken.unit == spec.unit
    facts_hash(FactSet(1, (taken,)))
    if isinstance(taken.value, Decimal):
        assert spec.low is not None
        assert spec.high is not None
        assert spec.low <= taken.value <= spec.high
