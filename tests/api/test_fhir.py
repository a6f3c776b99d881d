"""Cases by FHIR over REST, on a real house: taken in, repeated, amended, and told as FHIR tells."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest

from arbiter.errors import InvalidCaseError, Problem
from arbiter.identity.roles import Role
from arbiter.serving import build_app
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
    without,
)
from tests.api.conftest import Caller, stable_case, token_of
from tests.conftest import SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


def parameters_of(reply: Any) -> dict[str, Any]:
    body = reply.json()
    assert body["resourceType"] == "Parameters"
    assert reply.headers["content-type"] == MEDIA_TYPE
    return {
        one["name"]: next(value for key, value in one.items() if key.startswith("value"))
        for one in body["parameter"]
        if "part" not in one
    }


def left_out(reply: Any) -> list[tuple[str, str]]:
    return [
        (one["part"][0]["valueString"], one["part"][1]["valueCode"])
        for one in reply.json()["parameter"]
        if one["name"] == "left-out"
    ]


async def test_a_bundle_becomes_a_case_that_is_decided(caller: Caller) -> None:
    reply = await send(caller, stable_bundle(), Prefer="wait=10")
    assert reply.status_code == 201, reply.text
    told = parameters_of(reply)
    assert (told["phase"], told["settled"], told["decided-by"]) == ("released", True, "panel")
    assert reply.headers["location"] == f"/v1/cases/{told['case']}" == told["location"]
    assert left_out(reply) == []
    content = (await caller.get(f"/v1/cases/{told['case']}/content")).json()
    assert content["subject"]["value"] == "made-up-stable-after-hip"
    assert content["facts"]["temperature"]["value"] == 36.8
    assert content["facts"]["temperature"]["source"] == "FHIR Observation"
    assert content["facts"]["age"]["value"] == 78
    decision = (await caller.get(f"/v1/cases/{told['case']}/decision")).json()
    assert decision["option"] == "continue-monitoring"


async def test_without_waiting_the_reply_says_where_to_ask(caller: Caller) -> None:
    reply = await send(caller, without(stable_bundle(), "8310-5"))
    assert reply.status_code == 202
    assert reply.headers["retry-after"] == "1"
    view = await caller.get(reply.headers["location"], Prefer="wait=10")
    assert view.json()["phase"] == "awaiting-facts"


async def test_what_is_left_out_is_told_with_its_place(caller: Caller) -> None:
    bundle = stable_bundle()
    observation(bundle, "8867-4")["status"] = "entered-in-error"
    observation(bundle, "9279-1")["code"]["coding"][0]["system"] = "http://loinc.example"
    reply = await send(caller, bundle, Prefer="wait=10")
    assert reply.status_code == 201
    heart, breath = index_of(bundle, "8867-4"), index_of(bundle, "9279-1")
    assert left_out(reply) == [
        (f"Bundle.entry[{heart}].resource.status", "status"),
        (f"Bundle.entry[{breath}].resource", "not-mapped"),
    ]
    assert parameters_of(reply)["phase"] == "awaiting-facts"


async def test_the_stay_that_goes_on_is_the_cases_encounter(caller: Caller) -> None:
    bundle = stable_bundle()
    stay = bundle["entry"][-1]["resource"]
    stay["identifier"][0]["value"] = "V-now"
    bundle["entry"].append({"resource": stay | {"status": "finished", "identifier": [{"value": "V-then"}]}})
    told = parameters_of(await send(caller, bundle))
    content = (await caller.get(f"/v1/cases/{told['case']}/content")).json()
    assert content["encounter"] == "V-now"


async def test_of_several_stays_that_go_on_none_is_taken(caller: Caller) -> None:
    bundle = stable_bundle()
    patient(bundle)["identifier"][0]["value"] = "in-two-places"
    stay = bundle["entry"][-1]["resource"]
    bundle["entry"].append({"resource": stay | {"identifier": [{"value": "V-elsewhere"}]}})
    reply = await send(caller, bundle)
    assert left_out(reply) == [("Bundle.entry", "encounters")]
    content = (await caller.get(f"/v1/cases/{parameters_of(reply)['case']}/content")).json()
    assert content["encounter"] is None


async def test_the_request_may_choose_the_numbering(caller: Caller) -> None:
    bundle = stable_bundle()
    patient(bundle)["identifier"].append({"system": "https://nation.example/id", "value": "N-1"})
    told = parameters_of(
        await send(caller, bundle, parameters=PARAMETERS | {"subject-system": "https://nation.example/id"})
    )
    content = (await caller.get(f"/v1/cases/{told['case']}/content")).json()
    assert content["subject"] == {"system": "https://nation.example/id", "value": "N-1"}


# --- idempotency ------------------------------------------------------------------------------------------------------


async def test_the_same_request_again_is_the_same_case(caller: Caller) -> None:
    bundle = stable_bundle()
    first = await send(caller, bundle, Idempotency_Key="fhir-twice")
    again = await send(caller, bundle, Idempotency_Key="fhir-twice")
    assert parameters_of(first)["case"] == parameters_of(again)["case"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("change", ["spacing", "risk class", "native door"])
async def test_a_key_stands_for_one_exact_request(caller: Caller, change: str) -> None:
    key = f"fhir-reused-{change.replace(' ', '-')}"
    body: Any = stable_bundle()
    assert (await send(caller, body, Idempotency_Key=key)).status_code < 300
    if change == "native door":
        assert (await caller.submit(stable_case(), key)).status_code == 422
        return
    parameters = PARAMETERS
    if change == "spacing":
        body = json.dumps(body, indent=1).encode()
    else:
        parameters = PARAMETERS | {"risk-class": "routine"}
    reply = await send(caller, body, parameters=parameters, Idempotency_Key=key)
    assert reply.status_code == 422
    assert reply.json()["issue"][0]["details"]["coding"][0]["code"] == "key-reused"


async def test_the_same_bundle_under_another_key_is_the_case_that_there_is(
    caller: Caller, module_clock: SettableClock
) -> None:
    bundle = stable_bundle()
    patient(bundle)["identifier"][0]["value"] = "asked-twice"
    first = await send(caller, bundle, Prefer="wait=10")
    module_clock.advance(timedelta(seconds=20))
    again = await send(caller, bundle, Prefer="wait=10")
    assert (first.status_code, again.status_code) == (201, 200)
    assert parameters_of(again)["case"] == parameters_of(first)["case"]
    assert again.headers["arbiter-duplicate"] == "true"


async def test_a_case_for_training_is_one(caller: Caller) -> None:
    bundle = stable_bundle()
    patient(bundle)["identifier"][0]["value"] = "for-training"
    told = parameters_of(await send(caller, bundle, parameters=PARAMETERS | {"training": "true"}))
    assert told["training"] is True
    assert (await caller.get(f"/v1/cases/{told['case']}")).json()["training"] is True
    assert (await send(caller, bundle, parameters=PARAMETERS | {"training": "yes"})).status_code == 400


# --- amending ---------------------------------------------------------------------------------------------------------


async def test_a_missing_fact_comes_by_a_second_bundle(caller: Caller) -> None:
    made = parameters_of(await send(caller, without(stable_bundle(), "8310-5"), Prefer="wait=10"))
    assert made["phase"] == "awaiting-facts"
    whole = stable_bundle()
    whole["entry"] = [whole["entry"][0], whole["entry"][index_of(whole, "8310-5")]]
    reply = await send(caller, whole, AMEND, {"case": made["case"]}, Prefer="wait=10")
    assert reply.status_code == 200, reply.text
    told = parameters_of(reply)
    assert (told["phase"], told["facts-version"]) == ("released", 2)


async def test_facts_of_another_patient_never_reach_the_case(caller: Caller) -> None:
    made = parameters_of(await send(caller, without(stable_bundle(), "8310-5"), Prefer="wait=10"))
    other = stable_bundle()
    patient(other)["identifier"][0]["value"] = "zq7-somebody-else"
    reply = await send(caller, other, AMEND, {"case": made["case"]})
    assert reply.status_code == 422
    (issue,) = reply.json()["issue"]
    assert issue["expression"] == ["Bundle.entry[0].resource.identifier"]
    assert "zq7" not in reply.text
    view = (await caller.get(f"/v1/cases/{made['case']}")).json()
    assert view["facts_version"] == 1


async def test_a_case_of_another_site_cannot_be_amended(caller: Caller, stranger: Caller) -> None:
    made = parameters_of(await send(caller, without(stable_bundle(), "8310-5"), Prefer="wait=10"))
    reply = await send(stranger, stable_bundle(), AMEND, {"case": made["case"]})
    assert reply.status_code == 404
    assert reply.json()["issue"][0]["code"] == "not-found"


async def test_a_decided_case_takes_no_more_facts(caller: Caller) -> None:
    made = parameters_of(await send(caller, stable_bundle(), Prefer="wait=10"))
    reply = await send(caller, stable_bundle(), AMEND, {"case": made["case"]})
    assert reply.status_code == 409
    assert reply.json()["issue"][0]["code"] == "conflict"


# --- as FHIR tells ----------------------------------------------------------------------------------------------------


async def test_an_outcome_may_be_preferred_to_parameters(caller: Caller) -> None:
    bundle = stable_bundle()
    observation(bundle, "8867-4")["status"] = "cancelled"
    reply = await send(caller, bundle, Prefer="wait=10, return=OperationOutcome")
    assert reply.status_code == 201
    assert reply.headers["preference-applied"] == "wait=10, return=OperationOutcome"
    body = reply.json()
    assert body["resourceType"] == "OperationOutcome"
    assert [issue["severity"] for issue in body["issue"]] == ["information", "information"]
    assert "is awaiting-facts" in body["issue"][0]["diagnostics"]


async def test_the_capability_statement_names_the_operations_to_anyone(caller: Caller) -> None:
    reply = await caller.http.get("/fhir/metadata")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == MEDIA_TYPE
    body = reply.json()
    assert (body["resourceType"], body["fhirVersion"], body["kind"]) == (
        "CapabilityStatement",
        "4.0.1",
        "instance",
    )
    (resource,) = body["rest"][0]["resource"]
    assert [f"/fhir/{resource['type']}/${one['name']}" for one in resource["operation"]] == [SUBMIT, AMEND]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/fhir/Patient/zq7-Mrs-Jones", 404, "not-found"),
        ("GET", SUBMIT, 405, "not-supported"),
        ("DELETE", "/fhir/metadata", 405, "not-supported"),
        ("POST", "/fhir/Bundle", 404, "not-found"),
    ],
)
async def test_what_is_not_there_is_told_as_an_outcome(
    caller: Caller, method: str, path: str, status: int, code: str
) -> None:
    reply = await caller.http.request(method, path, headers=caller.headers())
    assert reply.status_code == status
    assert reply.headers["content-type"] == MEDIA_TYPE
    assert reply.json()["issue"][0]["code"] == code
    assert "zq7" not in reply.text


async def test_who_may_not_is_told_as_an_outcome(caller: Caller, house: House) -> None:
    nobody = await send(caller, stable_bundle(), Authorization="Bearer arb_unknown")
    assert (nobody.status_code, nobody.json()["issue"][0]["code"]) == (401, "login")
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    auditor = Caller(caller.http, await token_of(house, roles=(Role.AUDITOR,)))
    denied = await send(auditor, stable_bundle())
    assert (denied.status_code, denied.json()["issue"][0]["code"]) == (403, "forbidden")


async def test_a_scope_without_submitting_may_not_submit(caller: Caller, house: House) -> None:
    reader = Caller(caller.http, await token_of(house, scopes=("cases:read",)))
    assert (await send(reader, stable_bundle())).status_code == 403
    assert (await send(reader, stable_bundle(), AMEND, {"case": "c_" + "a" * 24})).status_code == 403


async def test_a_failure_is_an_outcome_without_a_trace(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("zq7-Mrs-Jones")

    monkeypatch.setattr("arbiter.workflow.fhir_intake.take_bundle", fail)
    reply = await send(caller, stable_bundle())
    assert reply.status_code == 500
    assert reply.headers["content-type"] == MEDIA_TYPE
    (issue,) = reply.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("fatal", "exception")
    assert "incident" in issue["diagnostics"]
    assert "zq7" not in reply.text + caplog.text


async def test_a_newer_value_wins_wherever_it_stands(caller: Caller) -> None:
    bundle = stable_bundle()
    index = index_of(bundle, "8867-4")
    newer = json.loads(json.dumps(bundle["entry"][index]["resource"]))
    newer["effectiveDateTime"] = at(minutes=3)
    newer["valueQuantity"]["value"] = 75
    bundle["entry"].insert(1, {"resource": newer})
    told = parameters_of(await send(caller, bundle))
    content = (await caller.get(f"/v1/cases/{told['case']}/content")).json()
    assert content["facts"]["heart_rate"]["value"] == 75


async def test_a_repeat_that_fits_no_more_is_still_the_same_case(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = stable_bundle()
    first = await send(caller, bundle, Idempotency_Key="fhir-long-ago")

    def unfit(*_: object, **__: object) -> None:
        raise InvalidCaseError("no", (Problem("/entry/0", "range", "expected something else now"),))

    monkeypatch.setattr("arbiter.workflow.fhir_intake.take_bundle", unfit)
    again = await send(caller, bundle, Idempotency_Key="fhir-long-ago")
    assert parameters_of(again)["case"] == parameters_of(first)["case"]
    assert again.headers["idempotency-replayed"] == "true"
    assert (await send(caller, stable_bundle(), Idempotency_Key="fhir-only-now")).status_code == 422
    other = await send(caller, without(bundle, "8867-4"), Idempotency_Key="fhir-long-ago")
    assert other.json()["issue"][0]["details"]["coding"][0]["code"] == "key-reused"


async def test_the_server_hands_fhir_addresses_to_this_door(house: House) -> None:
    transport = httpx.ASGITransport(app=build_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
        assert (await http.get("/fhir/metadata")).json()["resourceType"] == "CapabilityStatement"
        assert (await http.get("/fhir/Patient/1")).json()["resourceType"] == "OperationOutcome"


async def test_addresses_that_may_name_patients_are_not_logged(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "arbiter.access")
    await caller.get("/fhir/Patient/0000001")
    await caller.get("/fhir/metadata")
    told = [record.getMessage().split(" ")[1] for record in caplog.records if record.name == "arbiter.access"]
    assert told == ["?", "/fhir/metadata"]
