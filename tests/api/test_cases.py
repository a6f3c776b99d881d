"""A case's way from its submission to its decision as a hospital system sees it, over the whole of the real house."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from arbiter.api.headers import WAIT_LIMIT_SECONDS
from arbiter.audit.note import VerifierKey
from arbiter.audit.receipt import verify_receipt
from arbiter.workflow.house import House
from tests.api.cases import entries_of, settled
from tests.api.conftest import Caller, excluded_case, fact, stable_case
from tests.conftest import NOON

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_clear_case_is_decided_while_the_caller_waits(caller: Caller) -> None:
    reply = await caller.submit(stable_case(), Prefer="wait=20")
    made = reply.json()
    assert reply.status_code == 201
    assert reply.headers["preference-applied"] == "wait=20"
    assert reply.headers["location"] == f"/v1/cases/{made['id']}"
    assert "retry-after" not in reply.headers
    assert (made["phase"], made["settled"], made["decided_by"]) == ("released", True, "panel")
    assert made["created_at"] == NOON.isoformat().replace("+00:00", "Z")
    assert "M-4711" not in reply.text


async def test_who_does_not_wait_is_told_where_to_ask(caller: Caller) -> None:
    reply = await caller.submit(stable_case())
    made = reply.json()
    assert reply.status_code in {201, 202}
    assert reply.headers["location"] == f"/v1/cases/{made['id']}"
    assert "preference-applied" not in reply.headers
    if reply.status_code == 202:
        assert reply.headers["retry-after"] == "1"
        assert made["settled"] is False
    later = await caller.get(reply.headers["location"], Prefer="wait=20")
    assert later.json()["phase"] == "released"
    assert later.headers["preference-applied"] == "wait=20"


async def test_a_wait_of_nothing_does_not_wait(caller: Caller) -> None:
    reply = await caller.submit(stable_case(), Prefer="wait=0")
    assert reply.headers["preference-applied"] == "wait=0"
    assert reply.status_code in {201, 202}


async def test_a_longer_wait_than_allowed_says_what_was_applied(caller: Caller) -> None:
    reply = await caller.submit(stable_case(), Prefer="wait=4000")
    assert reply.headers["preference-applied"] == f"wait={WAIT_LIMIT_SECONDS}"


async def test_an_excluded_case_goes_to_a_clinician(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    assert (made["phase"], made["settled"], made["decided_by"]) == ("escalated", True, None)
    reply = await caller.get(f"/v1/cases/{made['id']}/decision")
    assert reply.status_code == 409
    assert reply.json()["type"] == "urn:problem-type:arbiter:conflict"


async def test_the_decision_is_that_of_the_sealed_certificate(caller: Caller, house: House) -> None:
    made = await settled(caller, stable_case())
    decision = (await caller.get(f"/v1/cases/{made['id']}/decision")).json()
    assert (decision["option"], decision["decided_by"]) == ("continue-monitoring", "panel")
    assert decision["title"] == "Continue monitoring as planned"
    assert decision["plain"]
    certificate = await caller.get(f"/v1/cases/{made['id']}/certificate")
    assert certificate.headers["content-type"] == "application/json"
    digest = hashlib.sha256(certificate.content)
    assert decision["certificate_sha256"] == digest.hexdigest()
    assert certificate.headers["etag"] == f'"{digest.hexdigest()}"'
    assert certificate.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert certificate.headers["cache-control"] == "no-store"
    again = await caller.get(f"/v1/cases/{made['id']}/certificate", If_None_Match=certificate.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


async def test_a_receipt_from_the_door_verifies_with_the_keys_from_the_door(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    certificate = (await caller.get(f"/v1/cases/{made['id']}/certificate")).content
    receipt = (await caller.get(f"/v1/cases/{made['id']}/receipt")).content
    keys = [VerifierKey.parse(line) for line in (await caller.http.get("/v1/audit/keys")).text.splitlines()]
    verified = verify_receipt(receipt, keys)
    assert verified.content("certificate") == certificate
    assert verified.entry.case == made["id"]


async def test_an_escalation_has_a_certificate_and_a_receipt_too(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    for _ in range(50):
        reply = await caller.get(f"/v1/cases/{made['id']}/certificate")
        if reply.status_code == 200:
            break
        assert reply.status_code == 409
        await asyncio.sleep(0.1)
    receipt = (await caller.get(f"/v1/cases/{made['id']}/receipt")).content
    keys = [VerifierKey.parse(line) for line in (await caller.http.get("/v1/audit/keys")).text.splitlines()]
    assert verify_receipt(receipt, keys).content("certificate") == reply.content


async def test_reading_content_shows_the_facts_in_the_questions_units_and_is_logged(
    caller: Caller, house: House
) -> None:
    case = stable_case()
    case["facts"]["temperature"] = fact(98.24, "[degF]")
    made = await settled(caller, case)
    before = await entries_of(house, made["id"])
    content = (await caller.get(f"/v1/cases/{made['id']}/content")).json()
    assert content["subject"] == {"system": "https://hospital.example/mrn", "value": "M-4711"}
    assert content["encounter"] == case["encounter"]
    assert content["facts_version"] == 1
    assert content["facts"]["temperature"] == {
        "value": 36.8,
        "unit": "Cel",
        "observed_at": "2026-03-01T11:35:00Z",
        "status": "final",
        "source": "ward-monitor",
    }
    assert content["facts"]["heart_rate"]["value"] == 74
    assert content["facts"]["pregnant"]["value"] is False
    assert content["facts"]["consciousness"]["value"] == "alert"
    after = await entries_of(house, made["id"])
    assert [entry.type for entry in after[len(before) :]] == ["content.read"]
    assert after[-1].actor == made["requester"]


@pytest.mark.parametrize("part", ["decision", "certificate", "receipt"])
async def test_reading_a_decision_is_logged(caller: Caller, house: House, part: str) -> None:
    made = await settled(caller, stable_case())
    await caller.get(f"/v1/cases/{made['id']}/{part}")
    assert [entry.type for entry in await entries_of(house, made["id"])][-1] == "content.read"


async def test_polling_a_case_is_not_logged_and_tells_whether_it_moved(caller: Caller, house: House) -> None:
    made = await settled(caller, stable_case())
    before = len(await entries_of(house, made["id"]))
    first = await caller.get(f"/v1/cases/{made['id']}")
    assert (
        await caller.get(f"/v1/cases/{made['id']}", If_None_Match=first.headers["etag"])
    ).status_code == 304
    assert len(await entries_of(house, made["id"])) == before
    await caller.get(f"/v1/cases/{made['id']}/content")
    moved = await caller.get(f"/v1/cases/{made['id']}", If_None_Match=first.headers["etag"])
    assert moved.status_code == 200
    head = await caller.http.head(f"/v1/cases/{made['id']}", headers=caller.headers())
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", moved.headers["etag"])


@pytest.mark.parametrize("case", ["c_" + "a" * 24, "nothing", "C", "a" * 64])
async def test_an_unknown_case_is_not_found(caller: Caller, case: str) -> None:
    for part in ("", "/content", "/decision", "/certificate", "/receipt", "/events"):
        assert (await caller.get(f"/v1/cases/{case}{part}")).status_code == 404


@pytest.mark.parametrize("case", ["a" * 65, "a b", "a%00b", "%27%3B--", "\u00e9", "..%2f", "_a"])
async def test_what_cannot_be_a_cases_id_is_refused(caller: Caller, case: str) -> None:
    reply = await caller.get(f"/v1/cases/{case}")
    assert reply.status_code in {400, 404}
    assert case not in reply.text
