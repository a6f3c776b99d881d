"""Writes a labelled case as a FHIR R4 Bundle: a protocol's mapping read backwards.

`python -m tests.protocols.fhir_bundles` writes the example Bundles in `tests/protocols/bundles/` anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.model import FactValue
from arbiter.protocols.bundle import Bundle, LabelledCase
from arbiter.protocols.fhir.lists import MEDICATION_LIST, NIL_KNOWN
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
DRUGS = {"A10A": "A10AB01", "B01AA": "B01AA03", "B01AB": "B01AB05", "B01AC": "B01AC06", "M01A": "M01AE01"}
"""Groups of ATC that the mappings name, and a drug in each: insulin, warfarin, enoxaparin, aspirin, ibuprofen."""

ABOUT = {"reference": PATIENT_URL}
MRN = "https://hospital.example/fhir/NamingSystem/mrn"


def bundle_of(protocol: Bundle, case: LabelledCase, taken_at: datetime = TAKEN_AT) -> dict[str, Any]:
    """Return the Bundle that a hospital would send for a labelled case that arrives at `taken_at`."""
    assert protocol.fhir is not None
    facts = case.raw_facts(taken_at)
    chosen_for = {
        fact.name: _fitting(fact.sources, facts[fact.name].value)
        for fact in protocol.fhir.facts
        if fact.name in facts
    }
    writer = _Writer(case.id, taken_at)
    for name, fact in facts.items():
        writer.write(chosen_for[name], fact)
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
        self._listed_at: set[datetime] = set()

    def write(self, source: Source, fact: RawFact) -> None:
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
        resources = self._resources
        urls = [f"{PATIENT_URL[:-3]}{index:03d}" for index in range(2, len(resources) + 2)]
        if self._listed_at:
            # One list tells one instant: the examples' orders all have the same.
            (listed_at,) = self._listed_at
            orders = [
                url
                for url, resource in zip(urls, resources, strict=True)
                if resource["resourceType"] == "MedicationRequest"
            ]
            resources = [*resources, _medication_list(orders, listed_at)]
            urls.append(f"{PATIENT_URL[:-3]}{len(urls) + 2:03d}")
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "timestamp": instant(self._taken_at),
            "entry": [
                {"fullUrl": PATIENT_URL, "resource": self._patient},
                *(
                    {"fullUrl": url, "resource": resource}
                    for url, resource in zip(urls, resources, strict=True)
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
        verified = "confirmed" if fact.value == source.means else "refuted"
        stated: dict[str, Any] = {
            "resourceType": "Condition",
            "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
            "verificationStatus": {"coding": [{"system": VERIFICATION, "code": verified}]},
            "code": concept(source.codings[0]),
            "subject": ABOUT,
            "recordedDate": instant(fact.observed_at),
        }
        if fact.value != source.means:
            del stated["clinicalStatus"]
        self._resources.append(stated)

    def _order(self, source: MedicationSource, fact: RawFact) -> None:
        if fact.value != source.means:
            self._listed_at.add(fact.observed_at)
            return
        self._resources.append(
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": concept(_drug(source.codings[0])),
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


def _drug(wanted: Wanted) -> Wanted:
    """A drug of a group: orders are for warfarin, not for the vitamin K antagonists."""
    return replace(wanted, code=DRUGS[wanted.code]) if wanted.descendants else wanted


def _medication_list(orders: Sequence[str], at: datetime) -> dict[str, Any]:
    said: dict[str, Any] = {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "code": concept(MEDICATION_LIST),
        "subject": ABOUT,
        "date": instant(at),
    }
    if orders:
        return said | {"entry": [{"item": {"reference": url}} for url in orders]}
    return said | {"emptyReason": concept(NIL_KNOWN)}


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


def _fitting(sources: Sequence[Source], value: FactValue) -> Source:
    """The first source that can say the value; a list can say that there is no order if it can tell orders apart."""
    for source in sources:
        match source:
            case ConditionSource():
                if isinstance(value, bool) or source.means == value:
                    return source
            case MedicationSource():
                if source.means == value or (source.absent == value and source.exhaustive):
                    return source
            case _:
                return source
    raise AssertionError(value)


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
