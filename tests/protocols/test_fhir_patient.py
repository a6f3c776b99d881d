"""Whom a Bundle is about: age, number and references are understood, and nothing sent is repeated in a refusal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from arbiter.protocols.fhir.taking import take_bundle
from arbiter.protocols.loader import load_bundle
from tests.protocols.fhir_resources import FHIR, NOW, bundle, pulse, refusal, take
from tests.protocols.small import files


@pytest.mark.parametrize(
    ("born", "years"),
    [
        ("1950-03-01", 76),
        ("1950-03-02", 75),
        ("2026-03-01", 0),
        ("2008-02-29", 18),
        ("1896-03-01", 130),
    ],
)
def test_an_age_is_counted_in_completed_years(born: str, years: int) -> None:
    age = FHIR.replace("  pulse:\n", "  age:\n    - patient: {take: age}\n  pulse:\n")
    protocol = (
        files()["protocol.yaml"]
        .decode()
        .replace(
            "    - name: mood\n",
            "    - name: age\n      title: Age\n      kind: number\n      unit: a\n      low: 0\n      high: 130\n"
            "      decimals: 0\n    - name: mood\n",
        )
    )
    mapping = load_bundle(files(protocol=protocol) | {"fhir.yaml": age.encode()}).fhir
    assert mapping is not None
    taken = take_bundle(bundle(pulse(), birthDate=born), mapping, NOW)
    assert (taken.facts["age"].value, taken.facts["age"].unit) == (years, "a")
    assert taken.facts["age"].observed_at == datetime(2026, 3, 1, tzinfo=UTC)


def test_whom_a_bundle_is_about_may_be_demanded() -> None:
    assert take(FHIR, pulse(), about=("urn:mrn", "1")).subject == ("urn:mrn", "1")
    for other in (("urn:mrn", "2"), ("urn:other", "1")):
        told = refusal(FHIR, pulse(), about=other)
        assert [(one.pointer, one.code) for one in told] == [
            ("/entry/0/resource/identifier", "other-subject")
        ]


def test_an_official_number_comes_before_a_usual_one() -> None:
    numbers = [
        {"use": "secondary", "system": "urn:a", "value": "1"},
        {"use": "usual", "system": "urn:b", "value": "2"},
        {"use": "official", "system": "urn:c", "value": "3"},
    ]
    mapping = load_bundle(files() | {"fhir.yaml": FHIR.encode()}).fhir
    assert mapping is not None
    document = bundle(pulse(), identifier=numbers)
    assert take_bundle(document, mapping, NOW).subject == ("urn:c", "3")
    assert take_bundle(document, mapping, NOW, systems=("urn:z", "urn:a")).subject == ("urn:a", "1")
    document["entry"][0]["resource"]["identifier"] = numbers[:2]
    assert take_bundle(document, mapping, NOW).subject == ("urn:b", "2")


@pytest.mark.parametrize(
    ("reference", "ok"),
    [
        ("Patient/p", True),
        ("Patient/p/_history/3", True),
        ("Patient/q", False),
        ("p", False),
        ("Practitioner/p", False),
        ("https://a.example/Patient/p", False),
        ("urn:uuid:6d4b0f2c-3d2b-4f0b-9f43-000000000000", False),
        ("#p", False),
        ("", False),
    ],
)
def test_a_reference_is_resolved_and_not_compared(reference: str, ok: bool) -> None:
    made = pulse(subject={"reference": reference})
    if ok:
        assert take(FHIR, made).facts["pulse"].value == 70
    else:
        told = refusal(FHIR, made)
        assert [(one.pointer, one.code) for one in told] == [("/entry/1/resource/subject", "other-subject")]


def test_a_patient_may_be_named_by_number() -> None:
    named = {"identifier": {"system": "urn:mrn", "value": "1"}}
    assert take(FHIR, pulse(subject=named)).facts["pulse"].value == 70


def test_no_place_or_word_repeats_what_was_sent() -> None:
    odd = pulse("zq7-Mrs-Jones")
    odd["zq7-Mrs-Jones"] = {"a": 1}
    told = refusal(FHIR, odd, pulse(status="zq7-Mrs-Jones"))
    assert len(told) == 1
    assert "zq7" not in repr(told)
