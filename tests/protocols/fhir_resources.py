"""Small mappings, the resources they are tried on, and what is taken of a Bundle of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arbiter.errors import InvalidCaseError, Problem
from arbiter.model import FactValue
from arbiter.protocols.fhir.taking import TakenBundle, take_bundle
from arbiter.protocols.loader import load_bundle
from tests.protocols.small import files

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ICD = "http://hl7.org/fhir/sid/icd-10"
SCT = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
LOINC = "http://loinc.org"

# `fasting` stands for any flag, `mood` for any code: what they mean is of no matter here.
FHIR = """\
fhir: 4.0.1
systems:
  loinc: http://loinc.org
  icd10: http://hl7.org/fhir/sid/icd-10
  sct: http://snomed.info/sct
  atc: http://www.whocc.no/atc
facts:
  pulse:
    - observation: {codings: [loinc|8867-4], value: quantity}
    - observation: {codings: [loinc|panel], components: [loinc|part], value: quantity}
"""
BY_CONDITION = (
    FHIR
    + """\
  fasting:
    - condition: {codings: [icd10|I50*, icd10|I11.0, sct|84114007], exhaustive: [icd10]}
"""
)
BY_HISTORY = BY_CONDITION.replace("exhaustive: [icd10]", "history: true")
BY_ORDER = (
    FHIR
    + """\
  fasting:
    - medication_request: {codings: [atc|B01AA*], exhaustive: [atc]}
"""
)
BY_BOTH = BY_CONDITION + "    - observation: {codings: [loinc|answer], value: boolean}\n"
BY_LIMIT = (
    FHIR
    + """\
  fasting:
    - observation: {codings: [loinc|3151-8], value: quantity, above: {number: 0, unit: L/min}}
"""
)
CODED = (
    FHIR
    + """\
  mood:
    - medication_request: {codings: [atc|B01AA*], means: calm, exhaustive: [atc]}
    - medication_request: {codings: [atc|B01AB*], means: upset, exhaustive: [atc]}
"""
)
CODED_ABSENT = CODED.replace("means: upset", "means: upset, absent: calm").replace(
    "means: calm, ex", "means: upset, absent: calm, ex"
)
BY_CONCEPT = (
    FHIR
    + """\
  mood:
    - observation:
        codings: [loinc|mood]
        value: concept
        concepts:
          - {codings: [loinc|a], means: calm}
          - {codings: [loinc|b, loinc|c], means: upset}
        unknown: [loinc|u]
"""
)


def ago(**by: float) -> str:
    return (NOW - timedelta(**by)).isoformat()


def coded(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in pairs]}


def pulse(value: Any = 70, minutes: float = 5, **members: Any) -> dict[str, Any]:
    quantity = {"value": value, "system": "http://unitsofmeasure.org", "code": "/min"}
    return observation("8867-4", minutes, valueQuantity=quantity) | members


def observation(code: str, minutes: float = 5, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": coded((LOINC, code)),
        "effectiveDateTime": ago(minutes=minutes),
    } | members


def condition(
    code: str = "I50.1", clinical: str | None = "active", verified: str | None = "confirmed", **members: Any
) -> dict[str, Any]:
    base = "http://terminology.hl7.org/CodeSystem/condition-"
    made: dict[str, Any] = {
        "resourceType": "Condition",
        "code": coded((ICD, code)),
        "recordedDate": ago(days=9),
    }
    if clinical is not None:
        made["clinicalStatus"] = coded((f"{base}clinical", clinical))
    if verified is not None:
        made["verificationStatus"] = coded((f"{base}ver-status", verified))
    return made | members


def order(code: str = "B01AA03", **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded((ATC, code)),
        "authoredOn": ago(days=3),
    } | members


def whole(code: str, /, *names: str, **members: Any) -> dict[str, Any]:
    """A list that says that it is whole: `names` are ids of resources in the Bundle."""
    made: dict[str, Any] = {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "code": coded((LOINC, code)),
        "date": ago(hours=2),
    }
    if names:
        made["entry"] = [{"item": {"reference": name}} for name in names]
    else:
        made["emptyReason"] = coded(("http://terminology.hl7.org/CodeSystem/list-empty-reason", "nilknown"))
    return made | members


def problems(*names: str, **members: Any) -> dict[str, Any]:
    return whole("11450-4", *names, **members)


def medications(*names: str, **members: Any) -> dict[str, Any]:
    return whole("10160-0", *names, **members)


def bundle(*resources: Mapping[str, Any], **patient: Any) -> dict[str, Any]:
    about = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"use": "official", "system": "urn:mrn", "value": "1"}],
    } | patient
    others = [
        {"subject": {"reference": "Patient/p"}} | dict(resource)
        if resource["resourceType"] not in {"Medication", "Patient"}
        else dict(resource)
        for resource in resources
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in (about, *others)],
    }


def take(fhir: str, *resources: Mapping[str, Any], **options: Any) -> TakenBundle:
    mapping = load_bundle(files() | {"fhir.yaml": fhir.encode()}).fhir
    assert mapping is not None
    return take_bundle(bundle(*resources), mapping, NOW, **options)


def value(fhir: str, name: str, *resources: Mapping[str, Any]) -> FactValue | None:
    """The value taken for a fact; a pulse is added, so that something always is taken."""
    fact = take(fhir, pulse(), *resources).facts.get(name)
    return None if fact is None else fact.value


def refusal(fhir: str, *resources: Mapping[str, Any], **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(InvalidCaseError) as caught:
        take(fhir, *resources, **options)
    return caught.value.problems


def codes(taken: TakenBundle) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in taken.left_out]
