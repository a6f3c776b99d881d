"""A context at the REST door: its form is checked before the case is, it belongs to the request's key, and no answer repeats it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from arbiter.documents.context import CONTEXT, Context
from arbiter.model import CaseId
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from tests.api.bundles import AMEND, at, observation, send, stable_bundle
from tests.api.cases import rows, settled
from tests.api.conftest import Caller, new_key, stable_case
from tests.conftest import NOON
from tests.protocols.fhir_bundles import ABOUT, PATIENT_URL

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "says that the neighbour's tablets helped"
EARLIER = {
    "name": "respiratory_rate",
    "value": 18,
    "unit": "/min",
    "observed_at": (NOON - timedelta(hours=6)).isoformat(),
    "source": "ward-monitor",
}
TEXT = {
    "title": "Night round",
    "kind": "ward note",
    "written_at": (NOON - timedelta(hours=3)).isoformat(),
    "author": "ward nurse",
    "text": SECRET,
}


def told(**changes: Any) -> dict[str, Any]:
    return {"history": [EARLIER], "documents": [TEXT]} | changes


async def context_of(house: House, case: str) -> Context:
    async with house.store.read() as transaction:
        return (await load_dossier(house, transaction, CaseId(case))).context()


async def test_it_is_taken_with_a_case_and_joined_by_an_amendments(caller: Caller, house: House) -> None:
    case = stable_case()
    case["facts"]["pregnant"]["value"] = True
    reply = await caller.submit(case | {"context": told()})
    assert reply.status_code in {201, 202}, reply.text
    made = reply.json()["id"]
    amendment = {
        "facts": {"heart_rate": case["facts"]["heart_rate"] | {"value": 90}},
        "context": told(history=[EARLIER | {"value": 17}], documents=[TEXT | {"title": "Day round"}]),
    }
    amended = await caller.post(f"/v1/cases/{made}/facts", amendment)
    assert amended.status_code in {200, 202}, amended.text
    found = await context_of(house, made)
    assert [int(fact.value) for fact in found.history] == [17, 18]
    assert [each.title for each in found.documents] == ["Day round", "Night round"]


@pytest.mark.parametrize(
    ("context", "pointer"),
    [
        (told(history=[EARLIER | {"value": 18.5}]), "/context/history/0/value"),
        (told(history=[EARLIER | {"unit": "Cel"}]), "/context/history/0/unit"),
        (told(history=[{k: v for k, v in EARLIER.items() if k != "name"}]), "/context/history/0/name"),
        (told(history=[EARLIER | {"mood": "calm"}]), "/context/history/0/mood"),
        (told(history=[EARLIER] * 501), "/context/history"),
        (told(history="all of it"), "/context/history"),
        (told(documents=[TEXT | {"text": "x" * 20_001}]), "/context/documents/0/text"),
        (told(documents=[TEXT | {"text": "bell\x07"}]), "/context/documents/0/text"),
        (told(documents=[TEXT | {"text": ["lines"]}]), "/context/documents/0/text"),
        (told(documents=[TEXT | {"title": "two\nlines"}]), "/context/documents/0/title"),
        (told(documents=[TEXT | {"written_at": "yesterday"}]), "/context/documents/0/written_at"),
        (told(documents=[TEXT] * 21), "/context/documents"),
        (told(opinions=["urgent"]), "/context/opinions"),
        ([], "/context"),
    ],
)
async def test_one_of_another_form_is_refused_by_its_place_and_nothing_is_kept(
    caller: Caller, house: House, context: Any, pointer: str
) -> None:
    before = await rows(house)
    reply = await caller.submit(stable_case() | {"context": context})
    assert reply.status_code == 422, reply.text
    assert [each["pointer"] for each in reply.json()["errors"]] == [pointer]
    assert SECRET not in reply.text
    assert await rows(house) == before


async def test_it_belongs_to_the_request_that_a_key_stands_for(caller: Caller) -> None:
    case, key = stable_case(), new_key()
    first = await caller.submit(case | {"context": told()}, key, Prefer="wait=20")
    again = await caller.submit(case | {"context": told()}, key, Prefer="wait=20")
    other = await caller.submit(case | {"context": told(documents=[])}, key, Prefer="wait=20")
    assert (first.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert other.status_code == 422
    assert other.json()["type"].endswith("key-reused")


async def test_it_makes_no_other_case_of_the_same_facts(caller: Caller) -> None:
    case = stable_case()
    first = await settled(caller, case)
    again = await caller.submit(case | {"context": told()}, Prefer="wait=20")
    assert (again.headers["arbiter-duplicate"], again.json()["id"]) == ("true", first["id"])


async def test_no_answer_about_a_case_repeats_it(caller: Caller) -> None:
    made = (await settled(caller, stable_case() | {"context": told()}))["id"]
    for path in ("", "/content", "/decision", "/certificate", "/receipt"):
        reply = await caller.get(f"/v1/cases/{made}{path}")
        assert reply.status_code == 200, path
        assert SECRET not in reply.text
        assert CONTEXT not in reply.json()


# --- Bundles -----------------------------------------------------------------------------------------------------


def entry(number: int, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": f"{PATIENT_URL[:-3]}{number}", "resource": {"subject": dict(ABOUT)} | resource}


def note(**members: Any) -> dict[str, Any]:
    data = base64.b64encode(SECRET.encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "date": at(hours=3),
        "content": [{"attachment": {"contentType": "text/plain", "data": data, "title": "Night round"}}],
    } | members


async def test_a_bundles_older_observations_and_texts_are_its_context(caller: Caller, house: House) -> None:
    bundle = stable_bundle()
    newest = observation(bundle, "9279-1")
    older = newest | {
        "effectiveDateTime": at(hours=6),
        "valueQuantity": newest["valueQuantity"] | {"value": 19},
    }
    wrong = older | {"valueQuantity": newest["valueQuantity"] | {"value": 1_000}}
    entries = (older, wrong, note(), note(status="superseded"))
    bundle["entry"] += [
        entry(901 + n, {k: v for k, v in one.items() if k != "id"}) for n, one in enumerate(entries)
    ]
    reply = await send(caller, bundle)
    assert reply.status_code in {201, 202}, reply.text
    told_out = [one for one in reply.json()["parameter"] if one["name"] == "left-out"]
    assert sorted(part["part"][1]["valueCode"] for part in told_out) == ["document", "range"]
    case = next(one["valueString"] for one in reply.json()["parameter"] if one["name"] == "case")
    found = await context_of(house, case)
    assert [(fact.name, int(fact.value)) for fact in found.history] == [("respiratory_rate", 19)]
    assert [each.text for each in found.documents] == [SECRET]
    assert SECRET not in reply.text


async def test_the_same_bundle_sent_as_an_amendment_adds_nothing_twice(caller: Caller, house: House) -> None:
    bundle = stable_bundle()
    newest = observation(bundle, "9279-1")
    older = newest | {"effectiveDateTime": at(hours=6)}
    bundle["entry"] += [entry(901, older), entry(902, note())]
    # A pregnant patient's case waits for a clinician, so that it can be amended.
    observation(bundle, "82810-3")["valueCodeableConcept"] = {
        "coding": [{"system": "http://snomed.info/sct", "code": "77386006"}]
    }
    made = await send(caller, bundle)
    case = next(one["valueString"] for one in made.json()["parameter"] if one["name"] == "case")
    before = await context_of(house, case)
    amended = await send(caller, bundle, AMEND, {"case": case})
    assert amended.status_code in {200, 202}, amended.text
    assert await context_of(house, case) == before
    assert len(before.history) == len(before.documents) == 1
