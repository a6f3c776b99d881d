"""Bundles that must not come in: each gets a 4xx as an OperationOutcome with its place, and leaves nothing behind."""

from __future__ import annotations

import copy
import json
import logging
from dataclasses import dataclass, field

import pytest

from arbiter.workflow.house import House
from tests.api.bundles import (
    AMEND,
    PARAMETERS,
    SUBMIT,
    at,
    index_of,
    observation,
    patient,
    send,
    stable_bundle,
)
from tests.api.cases import rows
from tests.api.conftest import Caller
from tests.api.spoilt_bundles import (
    HEART,
    HR,
    LAST,
    MARK,
    NUMBER,
    Change,
    add,
    alone,
    both,
    check_outcome,
    check_told_nothing,
    marked_bundle,
    nothing,
    on_bundle,
    on_heart,
    on_patient,
    on_quantity,
    on_two_servers,
    twin,
)
from tests.protocols.fhir_bundles import PATIENT_URL

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Malformed:
    name: str
    change: Change
    expression: str
    code: str
    kind: str
    status: int = 422
    parameters: dict[str, str] = field(default_factory=lambda: dict(PARAMETERS))


def with_parameters(**changes: str | None) -> dict[str, str]:
    merged = PARAMETERS | {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in merged.items() if value is not None}


OTHER = {"reference": f"Patient/{MARK}-other"}
PATIENT = "Bundle.entry[0].resource"
EXTENSION = [{"url": "https://hospital.example/not", "valueString": MARK}]
BUNDLES = [
    # the envelope
    Malformed("an array", lambda _: [], "Bundle", "type", "structure"),
    Malformed("null", lambda _: None, "Bundle", "type", "structure"),
    Malformed("text", lambda _: MARK, "Bundle", "type", "structure"),
    Malformed("no resource type", on_bundle(resourceType=...), "Bundle.resourceType", "missing", "required"),
    Malformed("another resource", on_bundle(resourceType="Patient"), "Bundle.resourceType", "unfit", "value"),
    Malformed("no type", on_bundle(type=...), "Bundle.type", "missing", "required"),
    Malformed("entries as an object", on_bundle(entry={}), "Bundle.entry", "type", "structure"),
    *(
        Malformed(f"a Bundle of type {kind}", on_bundle(type=kind), "Bundle.type", "bundle-type", "not-supported")
        for kind in ("batch", "transaction", "history", "message", "document", "batch-response", MARK)
    ),
    Malformed("one page of a search", on_bundle(type="searchset", link=[{"relation": "self", "url": MARK}, {"relation": "next", "url": MARK}]), "Bundle.link[1]", "incomplete", "incomplete"),
    Malformed("implicit rules", on_bundle(implicitRules=f"https://{MARK}"), "Bundle.implicitRules", "implicit-rules", "not-supported"),
    Malformed("an empty Bundle", on_bundle(entry=[]), "Bundle.entry", "patients", "required"),
    Malformed("an entry without a resource", lambda b: b["entry"].append({"fullUrl": MARK}), f"Bundle.entry[{LAST}].resource", "missing", "required"),
    Malformed("a resource without a type", add(id=MARK), f"Bundle.entry[{LAST}].resource.resourceType", "missing", "required"),
    Malformed("a modifier extension on an entry", lambda b: b["entry"][2].update(modifierExtension=EXTENSION), "Bundle.entry[2].modifierExtension", "modifier-extension", "extension"),
    Malformed("an address twice", lambda b: b["entry"][2].update(fullUrl=b["entry"][1]["fullUrl"]), "Bundle.entry[2].fullUrl", "address", "invariant"),
    # the patient
    Malformed("no patient", lambda b: b.update(entry=b["entry"][1:]), "Bundle.entry", "patients", "required"),
    Malformed("two patients", lambda b: b["entry"].append({"resource": copy.deepcopy(patient(b)) | {"id": "other"}}), "Bundle.entry", "patients", "required"),
    Malformed("no identifier", on_patient(identifier=...), f"{PATIENT}.identifier", "no-identifier", "required"),
    Malformed("an old identifier alone", on_patient(identifier=[{"use": "old", "system": "urn:a", "value": MARK}]), f"{PATIENT}.identifier", "no-identifier", "required"),
    Malformed("an identifier without a system", on_patient(identifier=[{"use": "official", "value": MARK}]), f"{PATIENT}.identifier", "no-identifier", "required"),
    Malformed("a numbering the patient has no number in", nothing, f"{PATIENT}.identifier", "no-identifier", "required", parameters=with_parameters(subject_system="urn:other")),
    Malformed("two numbers in one numbering", on_patient(identifier=[{"system": "urn:a", "value": MARK}, {"system": "urn:a", "value": "2"}]), f"{PATIENT}.identifier", "identifiers", "business-rule", parameters=with_parameters(subject_system="urn:a")),
    *(
        Malformed(f"two {use} numbers {where}", on_patient(identifier=[{"use": use, "system": "urn:a", "value": MARK}, {"use": use, "system": system, "value": f"{MARK}-2"}]), f"{PATIENT}.identifier", "identifiers", "business-rule")
        for use in ("official", "usual")
        for where, system in (("in one system", "urn:a"), ("in two systems", "urn:b"))
    ),
    Malformed("a number whose period is over", on_patient(identifier=[{"use": "official", "system": "urn:a", "value": MARK, "period": {"end": "2001-02"}}]), f"{PATIENT}.identifier", "no-identifier", "required"),
    Malformed("a period that ends in words", on_patient(identifier=[{"use": "official", "system": "urn:a", "value": MARK, "period": {"end": MARK}}]), f"{PATIENT}.identifier[0].period.end", "instant", "value"),
    Malformed("an identifier over two lines", on_patient(identifier=[{"use": "usual", "system": "urn:a", "value": f"{MARK}\n2"}]), f"{PATIENT}.identifier[0].value", "text", "value"),
    Malformed("a dead patient", on_patient(deceasedBoolean=True), f"{PATIENT}.deceasedBoolean", "deceased", "business-rule"),
    Malformed("a patient who died then", on_patient(deceasedDateTime="2026-02-28"), f"{PATIENT}.deceasedDateTime", "deceased", "business-rule"),
    Malformed("a record out of use", on_patient(active=False), f"{PATIENT}.active", "inactive", "business-rule"),
    Malformed("a record that was replaced", on_patient(link=[{"other": OTHER, "type": "replaced-by"}]), f"{PATIENT}.link[0].type", "replaced", "business-rule"),
    Malformed("a modifier extension on the patient", on_patient(modifierExtension=EXTENSION), f"{PATIENT}.modifierExtension", "modifier-extension", "extension"),
    Malformed("born in a month", on_patient(birthDate="1950-01"), f"{PATIENT}.birthDate", "birth-date", "value"),
    Malformed("born tomorrow", on_patient(birthDate="2026-03-02"), f"{PATIENT}.birthDate", "birth-date", "value"),
    Malformed("born in words", on_patient(birthDate=MARK), f"{PATIENT}.birthDate", "birth-date", "value"),
    Malformed("born as a number", on_patient(birthDate=NUMBER), f"{PATIENT}.birthDate", "type", "structure"),
    Malformed("born before anybody alive", on_patient(birthDate="1820-01-01"), f"{PATIENT}.birthDate", "range", "value"),
    # somebody else
    Malformed("an observation of another patient", on_heart(subject=OTHER), f"{HR}.subject", "other-subject", "business-rule"),
    Malformed("an observation of another patient by number", on_heart(subject={"identifier": {"system": "urn:a", "value": MARK}}), f"{HR}.subject", "other-subject", "business-rule"),
    Malformed("a reference that its identifier contradicts", on_heart(subject={"reference": PATIENT_URL, "identifier": {"system": "urn:a", "value": MARK}}), f"{HR}.subject", "other-subject", "business-rule"),
    Malformed("a contained patient", on_heart(contained=[{"resourceType": "Patient", "id": "p"}], subject={"reference": "#p"}), f"{HR}.subject", "other-subject", "business-rule"),
    Malformed("a group", on_heart(subject={"reference": f"Group/{MARK}"}), f"{HR}.subject", "other-subject", "business-rule"),
    Malformed("a name for a reference", on_heart(subject={"display": MARK}), f"{HR}.subject", "other-subject", "business-rule"),
    Malformed("an observation of nobody", on_heart(subject=...), f"{HR}.subject", "missing", "required"),
    Malformed("an allergy of another patient", add(resourceType="AllergyIntolerance", patient=OTHER), f"Bundle.entry[{LAST}].resource.patient", "other-subject", "business-rule"),
    Malformed("an account of several", lambda b: b["entry"].append({"resource": {"resourceType": "Account", "subject": [{"reference": b["entry"][0]["fullUrl"]}, OTHER]}}), f"Bundle.entry[{LAST}].resource.subject[1]", "other-subject", "business-rule"),
    Malformed("the same id on another server", on_two_servers, f"{HR}.subject", "other-subject", "business-rule"),
    # values
    Malformed("no unit", on_quantity(code=...), f"{HR}.valueQuantity.code", "unit", "code-invalid"),
    Malformed("a unit for people only", on_quantity(code=..., system=..., unit=MARK), f"{HR}.valueQuantity.code", "unit", "code-invalid"),
    Malformed("a unit of no system", on_quantity(system=...), f"{HR}.valueQuantity.system", "unit", "code-invalid"),
    Malformed("a unit that is not UCUM's", on_quantity(system="https://hospital.example/units"), f"{HR}.valueQuantity.system", "unit", "code-invalid"),
    Malformed("another unit", on_quantity(code="Hz"), f"{HR}.valueQuantity.code", "unit", "code-invalid"),
    Malformed("a unit in words", on_quantity(code=MARK), f"{HR}.valueQuantity.code", "unit", "code-invalid"),
    Malformed("a bound", on_quantity(comparator=">"), f"{HR}.valueQuantity.comparator", "comparator", "not-supported"),
    Malformed("a quantity without a number", on_quantity(value=...), f"{HR}.valueQuantity.value", "missing", "required"),
    Malformed("a number as text", on_quantity(value=str(NUMBER)), f"{HR}.valueQuantity.value", "type", "structure"),
    Malformed("a heart rate too high", on_quantity(value=NUMBER), f"{HR}.valueQuantity.value", "range", "value"),
    Malformed("too many decimals", on_quantity(value=74.25), f"{HR}.valueQuantity.value", "decimals", "value"),
    Malformed("no value", on_heart(valueQuantity=...), f"{HR}.valueQuantity", "missing", "required"),
    Malformed("a value of another type", on_heart(valueQuantity=..., valueString=MARK), f"{HR}.valueQuantity", "missing", "required"),
    Malformed("two values", on_heart(valueBoolean=True), f"{HR}.valueQuantity", "missing", "required"),
    Malformed("a value and a reason for none", on_heart(dataAbsentReason={"text": MARK}), f"{HR}.dataAbsentReason", "invariant", "invariant"),
    Malformed("a code that nobody knows", lambda b: observation(b, "67775-7").update(valueCodeableConcept={"coding": [{"system": "http://loinc.org", "code": MARK}]}), f"Bundle.entry[{index_of(stable_bundle(), '67775-7')}].resource.valueCodeableConcept.coding", "unknown-code", "code-invalid"),
    Malformed("codes that contradict each other", lambda b: observation(b, "67775-7")["valueCodeableConcept"]["coding"].append({"system": "http://snomed.info/sct", "code": "422768004"}), f"Bundle.entry[{index_of(stable_bundle(), '67775-7')}].resource.valueCodeableConcept.coding", "unknown-code", "code-invalid"),
    Malformed("a status that FHIR does not know", on_heart(status=MARK), f"{HR}.status", "status", "not-supported"),
    Malformed("no status", on_heart(status=...), f"{HR}.status", "missing", "required"),
    Malformed("a modifier extension on a value", on_heart(modifierExtension=EXTENSION), f"{HR}.modifierExtension", "modifier-extension", "extension"),
    Malformed("implicit rules on a value", on_heart(implicitRules=MARK), f"{HR}.implicitRules", "implicit-rules", "not-supported"),
    # time
    Malformed("no offset", on_heart(effectiveDateTime="2026-03-01T11:00:00"), f"{HR}.effectiveDateTime", "instant", "value"),
    Malformed("a day alone", on_heart(effectiveDateTime="2026-03-01"), f"{HR}.effectiveDateTime", "instant", "value"),
    Malformed("no such day", on_heart(effectiveDateTime="2026-02-30T11:00:00Z"), f"{HR}.effectiveDateTime", "instant", "value"),
    Malformed("tomorrow", on_heart(effectiveDateTime=at(days=-1)), f"{HR}.effectiveDateTime", "future", "value"),
    Malformed("time in words", on_heart(effectiveDateTime=MARK), f"{HR}.effectiveDateTime", "instant", "value"),
    Malformed("no time", on_heart(effectiveDateTime=...), f"{HR}.effectiveDateTime", "missing", "required"),
    Malformed("two times", on_heart(effectiveInstant=at(minutes=5)), f"{HR}.effectiveDateTime", "missing", "required"),
    Malformed("a time that goes on", on_heart(effectiveDateTime=..., effectivePeriod={"start": at(minutes=5)}), f"{HR}.effectivePeriod.end", "instant", "value"),
    # beside the body
    Malformed("an unknown protocol", nothing, "http.protocol", "unknown-protocol", "not-found", parameters=with_parameters(protocol="horoscope")),
    Malformed("an unknown site", nothing, "http.site", "unknown-site", "not-found", parameters=with_parameters(site="nowhere")),
    Malformed("somebody else's site", nothing, "http.site", "unknown-site", "not-found", parameters=with_parameters(site="far-away")),
    *(
        Malformed(f"no {name}", nothing, f"http.{name}", "missing", "required", 400, {n: v for n, v in PARAMETERS.items() if n != name})
        for name in PARAMETERS
    ),
    Malformed("an unknown risk class", nothing, "http.risk-class", "not-listed", "code-invalid", 400, with_parameters(risk_class=MARK)),
    Malformed("a protocol named by a patient", nothing, "http.protocol", "pattern", "value", 400, with_parameters(protocol=MARK + " ")),
    Malformed("an unknown parameter", nothing, "http.name", "unknown-parameter", "not-supported", 400, with_parameters(name=MARK)),
    Malformed("supersedes nothing known", nothing, "http.supersedes", "not-supersedable", "not-found", parameters=with_parameters(supersedes="c_" + "a" * 24)),
]  # fmt: skip


@pytest.mark.parametrize("malformed", BUNDLES, ids=lambda malformed: malformed.name)
async def test_a_malformed_bundle_leaves_nothing(
    caller: Caller, house: House, malformed: Malformed, caplog: pytest.LogCaptureFixture
) -> None:
    before = await rows(house)
    caplog.set_level(logging.DEBUG)
    bundle = marked_bundle()
    instead = malformed.change(bundle)
    body = bundle if instead is None and malformed.name != "null" else instead
    reply = await send(caller, json.dumps(body).encode(), SUBMIT, malformed.parameters)
    check_outcome(reply, malformed.status, malformed.expression, malformed.code, malformed.kind)
    check_told_nothing(reply, caplog)
    assert await rows(house) == before


async def test_the_marked_bundle_itself_is_taken_without_telling(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = await send(caller, marked_bundle(), Prefer="wait=10")
    assert reply.status_code == 201, reply.text
    check_told_nothing(reply, caplog)


@pytest.mark.parametrize(
    ("change", "left_out"),
    [
        (both(alone(HEART), on_heart(status="entered-in-error")), "status"),
        (both(alone(HEART), on_heart(code={"coding": [{"system": "http://loinc.example", "code": HEART}]})), "not-mapped"),
        (both(alone(HEART), on_heart(code={"text": MARK})), "not-mapped"),
        (both(alone(HEART), on_heart(focus=[{"reference": f"Patient/{MARK}"}])), "focus"),
        (both(alone(HEART), on_heart(valueQuantity=..., dataAbsentReason={"text": MARK})), "absent"),
        (both(alone(HEART), on_heart(effectiveDateTime=at(days=400))), "too-old"),
    ],
    ids=["entered in error", "wrong code system", "words for a code", "of a child unborn", "absent", "old"],
)  # fmt: skip
async def test_a_bundle_of_which_nothing_is_left_leaves_nothing(
    caller: Caller, house: House, change: Change, left_out: str
) -> None:
    before = await rows(house)
    bundle = marked_bundle()
    change(bundle)
    reply = await send(caller, bundle)
    check_outcome(reply, 422, "Bundle.entry", "no-facts", "required")
    assert [one["details"]["coding"][0]["code"] for one in reply.json()["issue"]] == ["no-facts", left_out]
    assert MARK not in reply.text
    assert await rows(house) == before


async def test_twins_that_contradict_each_other_are_named_both(caller: Caller, house: House) -> None:
    before = await rows(house)
    bundle = marked_bundle()
    twin(valueQuantity={"value": 75, "system": "http://unitsofmeasure.org", "code": "/min"})(bundle)
    reply = await send(caller, bundle)
    check_outcome(reply, 422, f"{HR}.valueQuantity.value", "contradiction", "invariant")
    places = [issue["expression"] for issue in reply.json()["issue"]]
    assert places == [[f"{HR}.valueQuantity.value"], [f"Bundle.entry[{LAST}].resource.valueQuantity.value"]]
    assert await rows(house) == before


async def test_every_fault_of_a_bundle_is_told_at_once(caller: Caller) -> None:
    bundle = marked_bundle()
    observation(bundle, HEART)["valueQuantity"]["comparator"] = "<"
    observation(bundle, "9279-1")["effectiveDateTime"] = "2026-03-01"
    observation(bundle, "8310-5")["valueQuantity"]["system"] = "urn:other"
    reply = await send(caller, bundle)
    codes = {issue["details"]["coding"][0]["code"] for issue in reply.json()["issue"]}
    assert codes == {"comparator", "instant", "unit"}


async def test_a_refused_amendment_changes_nothing(caller: Caller, house: House) -> None:
    bundle = marked_bundle()
    del bundle["entry"][index_of(bundle, "8310-5")]
    made = await send(caller, bundle, Prefer="wait=10")
    case = made.headers["location"].rpartition("/")[2]
    before = await rows(house)
    worse = marked_bundle()
    observation(worse, HEART)["valueQuantity"]["value"] = NUMBER
    reply = await send(caller, worse, AMEND, {"case": case})
    check_outcome(reply, 422, f"{HR}.valueQuantity.value", "range", "value")
    assert await rows(house) == before
