"""Writes a labelled case as a FHIR R4 Bundle: a protocol's mapping read backwards.

`python -m tests.protocols.fhir_bundles` writes the example Bundles in `tests/protocols/bundles/` anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.model import FactValue
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.fhir.mapping import (
    Concept,
    ConditionSource,
    MedicationSource,
    ObservationSource,
    PatientPart,
    PatientSource,
    Source,
    ValuePlace,
    Wanted,
)
from arbiter.protocols.fhir.resources import UCUM
from arbiter.protocols.fhir.statements import CLINICAL, VERIFICATION
from arbiter.protocols.intake import RawFact
from arbiter.protocols.loader import read_shipped, shipped

TAKEN_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FOLDER = Path(__file__).parent / "bundles"
EXAMPLES_WRITTEN = 8
PATIENT_URL = "urn:uuid:0a8eca3b-34b0-4a3f-9e0e-000000000001"
ABOUT = {"reference": PATIENT_URL}
MRN = "https://hospital.example/fhir/NamingSystem/mrn"


def bundle_of(protocol: Bundle, case: LabelledCase, taken_at: datetime = TAKEN_AT) -> dict[str, Any]:
    """Return the Bundle that a hospital would send for a labelled case that arrives at `taken_at`."""
    assert protocol.fhir is not None
    writer = _Writer(case.id, taken_at)
    sources = dict(protocol.fhir.facts)
    for name, fact in case.raw_facts(taken_at).items():
        writer.write(sources[name], fact)
    return writer.bundle()


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def coding(wanted: Wanted) -> dict[str, Any]:
    return {"system": wanted.system, "code": wanted.code}


def concept(wanted: Wanted) -> dict[str, Any]:
    return {"coding": [coding(wanted)]}


def born(age: int, taken_at: datetime) -> str:
    """The latest birth date of somebody of that age, on whichever day it is asked."""
    return date(taken_at.year - age, 1, 1).isoformat()


def number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


class _Writer:
    def __init__(self, case_id: str, taken_at: datetime) -> None:
        self._taken_at = taken_at
        self._patient: dict[str, Any] = {
            "resourceType": "Patient",
            "identifier": [{"use": "official", "system": MRN, "value": f"made-up-{case_id}"}],
        }
        self._panels: dict[tuple[str, str], dict[str, Any]] = {}
        self._resources: list[dict[str, Any]] = []
        self._absent: dict[type, list[datetime]] = {}

    def write(self, sources: Sequence[Source], fact: RawFact) -> None:
        source = sources[0]
        match source:
            case ObservationSource():
                self._observation(source, fact)
            case ConditionSource():
                self._condition(source, fact)
            case MedicationSource():
                self._order(source, fact)
            case PatientSource():
                self._about_patient(source, fact.value)

    def bundle(self) -> dict[str, Any]:
        lists = [
            _list(code, max(times))
            for kind, code in ((ConditionSource, "11450-4"), (MedicationSource, "10160-0"))
            if (times := self._absent.get(kind))
        ]
        resources = [*self._resources, *lists]
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "timestamp": instant(self._taken_at),
            "entry": [
                {"fullUrl": PATIENT_URL, "resource": self._patient},
                *(
                    {"fullUrl": f"{PATIENT_URL[:-3]}{index:03d}", "resource": resource}
                    for index, resource in enumerate(resources, start=2)
                ),
            ],
        }

    def _observation(self, source: ObservationSource, fact: RawFact) -> None:
        at = instant(fact.observed_at)
        value = _value(source, fact)
        if not source.components:
            self._resources.append(self._observed(source, at) | value)
            return
        key = (source.codings[0].code, at)
        panel = self._panels.get(key)
        if panel is None:
            panel = self._panels[key] = self._observed(source, at) | {"component": []}
            self._resources.append(panel)
        panel["component"].append({"code": concept(source.components[0])} | value)

    def _observed(self, source: ObservationSource, at: str) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": concept(source.codings[0]),
            "subject": ABOUT,
            "effectiveDateTime": at,
        }

    def _condition(self, source: ConditionSource, fact: RawFact) -> None:
        verified = "confirmed" if fact.value else "refuted"
        stated: dict[str, Any] = {
            "resourceType": "Condition",
            "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
            "verificationStatus": {"coding": [{"system": VERIFICATION, "code": verified}]},
            "code": concept(source.codings[0]),
            "subject": ABOUT,
            "recordedDate": instant(fact.observed_at),
        }
        if not fact.value:
            del stated["clinicalStatus"]
        self._resources.append(stated)

    def _order(self, source: MedicationSource, fact: RawFact) -> None:
        if not fact.value:
            self._absent.setdefault(MedicationSource, []).append(fact.observed_at)
            return
        self._resources.append(
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": concept(source.codings[0]),
                "subject": ABOUT,
                "authoredOn": instant(fact.observed_at),
            }
        )

    def _about_patient(self, source: PatientSource, value: FactValue) -> None:
        if source.part is PatientPart.AGE:
            assert isinstance(value, Decimal)
            self._patient["birthDate"] = born(int(value), self._taken_at)
            return
        self._patient["gender"] = next(gender for gender, means in source.genders if means == value)


def _list(code: str, at: datetime) -> dict[str, Any]:
    return {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": ABOUT,
        "date": instant(at),
        "emptyReason": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}
            ]
        },
    }


def _value(source: ObservationSource, fact: RawFact) -> dict[str, Any]:
    match source.value:
        case ValuePlace.BOOLEAN:
            return {"valueBoolean": fact.value}
        case ValuePlace.CONCEPT:
            return {"valueCodeableConcept": concept(_meaning(source.concepts, fact.value).coding)}
        case ValuePlace.QUANTITY:
            if source.above is not None:
                value, unit = source.above.number + (2 if fact.value else 0), source.above.unit
            else:
                assert isinstance(fact.value, Decimal)
                assert fact.unit is not None
                value, unit = fact.value, fact.unit
            return {"valueQuantity": {"value": number(value), "unit": unit, "system": UCUM, "code": unit}}


def _meaning(concepts: Sequence[Concept], value: FactValue) -> Concept:
    return next(one for one in concepts if one.means == value)


def mapped() -> Mapping[str, Bundle]:
    """The shipped protocols that take Bundles."""
    bundles = {name: read_shipped(name) for name in shipped()}
    return {name: bundle for name, bundle in bundles.items() if bundle.fhir is not None}


def chosen(protocol: Bundle) -> Sequence[LabelledCase]:
    """The cases that are also files: of each expected outcome the first ones, in turn."""
    by_outcome: dict[str | None, list[LabelledCase]] = {}
    for case in protocol.examples:
        by_outcome.setdefault(case.expect, []).append(case)
    ranks = {case.id: rank for cases in by_outcome.values() for rank, case in enumerate(cases)}
    return sorted(protocol.examples, key=lambda case: ranks[case.id])[:EXAMPLES_WRITTEN]


def text_of(bundle: Mapping[str, Any]) -> str:
    return json.dumps(bundle, indent=1, ensure_ascii=False) + "\n"


def write_examples() -> None:
    for name, protocol in mapped().items():
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        for case in chosen(protocol):
            (folder / f"{case.id}.json").write_text(text_of(bundle_of(protocol, case)), encoding="utf-8")


if __name__ == "__main__":
    write_examples()
