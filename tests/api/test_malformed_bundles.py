"""Bundles that must not come in: each gets a 4xx as an OperationOutcome with its place, and leaves nothing behind.

Every Bundle has a marker planted in what is personal or clinical about it; it must be in no reply and no log.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from arbiter.api.fhir.operations import BODY_LIMIT_BYTES
from arbiter.workflow.house import House
from tests.api.bundles import (
    AMEND,
    MEDIA_TYPE,
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
from tests.protocols.fhir_bundles import PATIENT_URL

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARK = "zq7-Mrs-Jones"
NUMBER = 8675309
HEART = "8867-4"

Change = Callable[[dict[str, Any]], Any]
"""Spoils a Bundle in place, or returns what to send instead."""


def marked_bundle() -> dict[str, Any]:
    """A Bundle that would be taken, with the marker wherever a Bundle is personal."""
    bundle = stable_bundle()
    patient(bundle).update(
        {
            "id": MARK,
            "name": [{"family": MARK}],
            "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{MARK}</div>'},
        }
    )
    patient(bundle)["identifier"][0]["value"] = MARK
    for entry in bundle["entry"][1:]:
        entry["resource"]["id"] = f"{MARK}-{entry['fullUrl'][-3:]}"
        entry["resource"]["note"] = [{"text": MARK}]
        entry["resource"]["performer"] = [{"display": MARK}]
    return bundle


@dataclass(frozen=True)
class Malformed:
    name: str
    change: Change
    expression: str
    code: str
    kind: str
    status: int = 422
    parameters: dict[str, str] = field(default_factory=lambda: dict(PARAMETERS))


def on_heart(**members: Any) -> Change:
    """Change members of the heart rate's Observation; `...` takes one away."""

    def change(bundle: dict[str, Any]) -> None:
        _put(observation(bundle, HEART), members)

    return change


def on_quantity(**members: Any) -> Change:
    return lambda bundle: _put(observation(bundle, HEART)["valueQuantity"], members)


def on_patient(**members: Any) -> Change:
    return lambda bundle: _put(patient(bundle), members)


def on_bundle(**members: Any) -> Change:
    return lambda bundle: _put(bundle, members)


def _put(place: dict[str, Any], members: dict[str, Any]) -> None:
    for name, value in members.items():
        if value is ...:
            del place[name]
        else:
            place[name] = value


def add(**resource: Any) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entry"].append({"resource": resource})

    return change


def alone(*codes: str) -> Change:
    """Nothing but the patient, without a birth date, and the Observations named."""

    def change(bundle: dict[str, Any]) -> None:
        kept = [bundle["entry"][index_of(bundle, code)] for code in codes]
        del patient(bundle)["birthDate"]
        bundle["entry"] = [bundle["entry"][0], *kept]

    return change


def both(first: Change, second: Change) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        first(bundle)
        second(bundle)

    return change


def twin(**members: Any) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        made = copy.deepcopy(observation(bundle, HEART))
        _put(made, members)
        bundle["entry"].append({"resource": made})

    return change


def with_parameters(**changes: str | None) -> dict[str, str]:
    merged = PARAMETERS | {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in merged.items() if value is not None}


def on_two_servers(bundle: dict[str, Any]) -> None:
    """The patient of one server, and an Observation of another server's patient of the same id."""
    bundle["entry"][0]["fullUrl"] = "https://a.example/Patient/p"
    patient(bundle)["id"] = "p"
    for entry in bundle["entry"][1:]:
        entry["resource"]["subject"] = {"reference": "https://a.example/Patient/p"}
    heart = bundle["entry"][index_of(bundle, HEART)]
    heart["fullUrl"] = "https://b.example/Observation/o"
    heart["resource"].update({"id": "o", "subject": {"reference": "Patient/p"}})


def nothing(_: dict[str, Any]) -> None:
    """Leave the Bundle as it is."""


OTHER = {"reference": f"Patient/{MARK}-other"}
LAST = len(stable_bundle()["entry"])
"""The index of an entry that is added to the stable patient's."""
HEART_AT = index_of(stable_bundle(), HEART)
HR = f"Bundle.entry[{HEART_AT}].resource"
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


def check_outcome(reply: httpx.Response, status: int, expression: str, code: str, kind: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == MEDIA_TYPE
    body = reply.json()
    assert body["resourceType"] == "OperationOutcome"
    issue = body["issue"][0]
    assert (issue["severity"], issue["code"]) == ("error", kind), body
    assert issue["details"]["coding"][0]["code"] == code, body
    assert issue["expression"] == [expression], body
    assert issue["diagnostics"]


def check_told_nothing(reply: httpx.Response, caplog: pytest.LogCaptureFixture) -> None:
    for record in caplog.records:
        if record.name.startswith("httpx"):
            continue  # the test's own client, which logs the address that it asks
        assert MARK not in record.getMessage() + str(record.exc_info), record
        assert str(NUMBER) not in record.getMessage()
    assert MARK not in reply.text
    assert str(NUMBER) not in reply.text


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


def spelt(old: str, new: str) -> bytes:
    text = json.dumps(marked_bundle())
    assert text.count(old) == 1, text.count(old)
    return text.replace(old, new).encode()


RATE = '"value": 74,'
SPELLINGS = [
    ("empty", b"", 400, "Bundle", "syntax"),
    ("no JSON", b"<Bundle/>", 400, "Bundle", "syntax"),
    ("NaN", spelt(RATE, '"value": NaN,'), 400, f"{HR}.valueQuantity.value", "number-not-finite"),
    ("a huge number", spelt(RATE, f'"value": {NUMBER}{"0" * 40},'), 400, f"{HR}.valueQuantity.value", "number-too-long"),
    ("a value twice", spelt(RATE, f'"value": {NUMBER}, "value": 74,'), 400, f"{HR}.valueQuantity.value", "duplicate-member"),
    ("a type twice", spelt('"type": "collection"', f'"type": "{MARK}", "type": "collection"'), 400, "Bundle.type", "duplicate-member"),
    ("a lone surrogate", spelt('"type": "collection"', '"type": "\\ud800"'), 400, "Bundle.type", "lone-surrogate"),
    ("Latin 1", json.dumps(marked_bundle()).encode().replace(MARK.encode(), b"\xe9", 1), 400, "Bundle", "encoding"),
    ("nested too deeply", spelt(RATE, f'"value": {"[" * 60}{"]" * 60},'), 400, f"{HR}.valueQuantity.value" + "[0]" * 19, "too-deep"),
    ("nested without end", b"[" * 100_000, 400, "Bundle", "too-deep"),
    ("too large", b'{"resourceType": "' + b"x" * BODY_LIMIT_BYTES + b'"}', 413, "Bundle", "body-too-large"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "expression", "code"),
    [row[1:] for row in SPELLINGS],
    ids=[row[0] for row in SPELLINGS],
)
async def test_a_bundle_spelt_wrongly_leaves_nothing(
    caller: Caller, house: House, body: bytes, status: int, expression: str, code: str
) -> None:
    before = await rows(house)
    reply = await send(caller, body)
    kind = "too-long" if status == 413 else "value" if code == "number-too-long" else "structure"
    check_outcome(reply, status, expression, code, kind)
    assert MARK not in reply.text
    assert str(NUMBER) not in reply.text
    assert await rows(house) == before


@pytest.mark.parametrize(
    ("headers", "status", "expression"),
    [
        ({"Idempotency_Key": None}, 400, "http.Idempotency-Key"),
        ({"Idempotency_Key": f"{MARK} 1"}, 400, "http.Idempotency-Key"),
        ({"Content_Type": None}, 415, "http.Content-Type"),
        ({"Content_Type": "application/json"}, 415, "http.Content-Type"),
        ({"Content_Type": "application/fhir+xml"}, 415, "http.Content-Type"),
        ({"Content_Type": f"{MEDIA_TYPE}; charset=latin-1"}, 415, "http.Content-Type"),
        ({"Content_Type": f"{MEDIA_TYPE}; fhirVersion=3.0"}, 415, "http.Content-Type"),
        ({"Content_Encoding": "gzip"}, 415, "http.Content-Encoding"),
    ],
)
async def test_a_bundle_with_unfit_headers_leaves_nothing(
    caller: Caller, house: House, headers: dict[str, str | None], status: int, expression: str
) -> None:
    before = await rows(house)
    reply = await send(caller, marked_bundle(), SUBMIT, PARAMETERS, **headers)
    assert reply.status_code == status
    (issue,) = reply.json()["issue"]
    assert issue["expression"] == [expression]
    assert MARK not in reply.text
    assert reply.headers.get("accept") == (MEDIA_TYPE if status == 415 else None)
    assert await rows(house) == before


@pytest.mark.parametrize("parameters", [f"; {name}" for name in ("charset=utf-8", "fhirVersion=4.0")])
async def test_the_parameters_that_fhir_names_are_taken(caller: Caller, parameters: str) -> None:
    # Waited for, so that nothing is still being written while another test counts rows.
    reply = await send(caller, stable_bundle(), Prefer="wait=10", Content_Type=f"{MEDIA_TYPE}{parameters}")
    assert reply.status_code == 201


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
