"""A case's way as a hospital system sees it, over the whole of the real house."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from arbiter.api.headers import WAIT_LIMIT_SECONDS
from arbiter.audit.checkpoint import open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import root_of
from arbiter.audit.note import VerifierKey
from arbiter.audit.receipt import verify_receipt
from arbiter.protocols.loader import shipped
from arbiter.store.log.chains import load_entries
from arbiter.workflow.house import House
from tests.api.conftest import Caller, excluded_case, fact, incomplete_case, stable_case
from tests.conftest import NOON, SettableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def settled(caller: Caller, case: dict[str, Any]) -> dict[str, Any]:
    reply = await caller.submit(case, Prefer="wait=20")
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def entries_of(house: House, case: str) -> list[Entry]:
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]


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


async def test_checkpoint_and_tiles_agree(caller: Caller) -> None:
    await settled(caller, stable_case())
    reply = await caller.http.get("/v1/audit/checkpoint")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=1"
    keys = [VerifierKey.parse(line) for line in (await caller.http.get("/v1/audit/keys")).text.splitlines()]
    checkpoint = open_checkpoint(reply.content, keys).checkpoint
    full, width = divmod(checkpoint.size, 256)
    hashes = b""
    for index in range(full):
        hashes += (await caller.http.get(f"/v1/audit/tile/0/{index:03d}")).content
    if width:
        tile = await caller.http.get(f"/v1/audit/tile/0/{full:03d}.p/{width}")
        assert tile.headers["content-type"] == "application/octet-stream"
        assert "immutable" not in tile.headers["cache-control"]
        hashes += tile.content
    leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    assert len(leaves) == checkpoint.size
    assert root_of(leaves) == checkpoint.root


async def test_a_full_tile_may_be_kept_for_ever(caller: Caller) -> None:
    while True:
        note = (await caller.http.get("/v1/audit/checkpoint")).text
        if int(note.splitlines()[1]) >= 256:
            break
        await asyncio.gather(*(settled(caller, stable_case()) for _ in range(10)))
    tile = await caller.http.get("/v1/audit/tile/0/000")
    assert len(tile.content) == 256 * 32
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    held = await caller.http.get("/v1/audit/tile/0/000", headers={"If-None-Match": tile.headers["etag"]})
    assert held.status_code == 304
    assert (await caller.http.get("/v1/audit/tile/1/000.p/1")).status_code == 200


@pytest.mark.parametrize("path", ["0/x900/000", "5/000", "0/000.p/255", "63/000.p/1"])
async def test_a_tile_that_no_checkpoint_covers_is_not_found(caller: Caller, path: str) -> None:
    reply = await caller.http.get(f"/v1/audit/tile/{path}")
    if path != "0/000.p/255":
        assert reply.status_code == 404


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


async def test_a_case_that_lacks_facts_asks_for_them_and_goes_on_when_they_come(caller: Caller) -> None:
    made = await settled(caller, incomplete_case())
    assert made["phase"] == "awaiting-facts"
    reply = await caller.post(
        f"/v1/cases/{made['id']}/facts", {"facts": {"temperature": fact(36.8, "Cel")}}, Prefer="wait=20"
    )
    amended = reply.json()
    assert reply.status_code == 200
    assert (amended["phase"], amended["facts_version"], amended["id"]) == ("released", 2, made["id"])


async def test_an_amendment_without_waiting_is_accepted(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/facts", {"facts": {"pregnant": fact(value=False)}})
    assert reply.status_code == 202
    assert reply.headers["location"] == f"/v1/cases/{made['id']}"
    assert reply.headers["retry-after"] == "1"


async def test_a_released_case_takes_no_new_facts(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/facts", {"facts": {"spo2": fact(80, "%")}})
    assert reply.status_code == 409
    assert reply.json()["type"] == "urn:problem-type:arbiter:illegal-move"


async def test_a_case_is_cancelled_once(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "the patient went home"})
    assert (reply.status_code, reply.json()["phase"]) == (200, "cancelled")
    assert "went home" not in reply.text
    again = await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "the patient went home"})
    assert again.status_code == 409


async def test_a_released_decision_cannot_be_cancelled_but_contested(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    assert (await caller.post(f"/v1/cases/{made['id']}/cancel", {"reason": "too late"})).status_code == 409
    reply = await caller.post(f"/v1/cases/{made['id']}/contest", {"reason": "she looks ill"})
    assert (reply.status_code, reply.json()["phase"]) == (200, "escalated")
    assert (await caller.get(f"/v1/cases/{made['id']}/decision")).status_code == 409


async def test_an_undecided_case_cannot_be_contested(caller: Caller) -> None:
    made = await settled(caller, excluded_case())
    assert (await caller.post(f"/v1/cases/{made['id']}/contest", {"reason": "?"})).status_code == 409


async def test_a_case_entered_in_error_is_retracted_even_when_released(caller: Caller) -> None:
    made = await settled(caller, stable_case())
    reply = await caller.post(f"/v1/cases/{made['id']}/retract", {"reason": "another patient's numbers"})
    assert (reply.status_code, reply.json()["phase"]) == (200, "entered-in-error")
    assert (await caller.get(f"/v1/cases/{made['id']}/decision")).status_code == 409


@pytest.mark.parametrize(
    "change",
    [
        {"training": True},
        {"subject": {"system": "https://hospital.example/mrn", "value": "M-somebody-else"}},
    ],
    ids=["practice", "another patient"],
)
async def test_nothing_but_the_same_patients_case_takes_a_case_off_the_list(
    caller: Caller, change: dict[str, Any]
) -> None:
    old = await settled(caller, excluded_case())
    reply = await caller.submit(excluded_case() | change | {"supersedes": old["id"]})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == "/supersedes"
    assert (await caller.get(f"/v1/cases/{old['id']}")).json()["phase"] == "escalated"


async def test_a_case_supersedes_another(caller: Caller) -> None:
    old = await settled(caller, stable_case())
    new = await settled(caller, stable_case() | {"supersedes": old["id"]})
    replaced = (await caller.get(f"/v1/cases/{old['id']}")).json()
    assert (replaced["phase"], replaced["successor"]) == ("superseded", new["id"])


@pytest.mark.parametrize("action", ["cancel", "contest", "retract"])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"reason": ""}', b'{"reason": "a", "extra": 1}', b'{"reason": 5}']
)
async def test_an_act_without_a_fit_reason_is_refused(caller: Caller, action: str, body: bytes) -> None:
    reply = await caller.http.post(
        f"/v1/cases/c_1/{action}", content=body, headers=caller.headers(Content_Type="application/json")
    )
    assert reply.status_code in {400, 422}


@pytest.mark.parametrize("case", ["c_" + "a" * 24, "nothing", "C", "a" * 64])
async def test_an_unknown_case_is_not_found(caller: Caller, case: str) -> None:
    for part in ("", "/content", "/decision", "/certificate", "/receipt", "/events"):
        assert (await caller.get(f"/v1/cases/{case}{part}")).status_code == 404


@pytest.mark.parametrize("case", ["a" * 65, "a b", "a%00b", "%27%3B--", "\u00e9", "..%2f", "_a"])
async def test_what_cannot_be_a_cases_id_is_refused(caller: Caller, case: str) -> None:
    reply = await caller.get(f"/v1/cases/{case}")
    assert reply.status_code in {400, 404}
    assert case not in reply.text


# --- lists ------------------------------------------------------------------------------------------------------------


async def test_pages_follow_one_another_without_gap_or_repeat(
    caller: Caller, module_clock: SettableClock
) -> None:
    made = []
    for _ in range(5):
        module_clock.advance(timedelta(milliseconds=1))
        made.append((await settled(caller, excluded_case()))["id"])
    seen: list[str] = []
    path = "/v1/cases?limit=2&phase=escalated&risk_class=urgent&protocol=deterioration&site=st-elsewhere"
    for _ in range(3):
        reply = await caller.get(path)
        page = reply.json()
        assert len(page["cases"]) == 2
        assert {case["phase"] for case in page["cases"]} == {"escalated"}
        seen += [case["id"] for case in page["cases"]]
        link = reply.headers["link"]
        assert link.endswith('>; rel="next"')
        path = link[1 : link.index(">")]
        assert f"cursor={page['next_cursor']}" in path
    assert seen[:5] == made[::-1]
    assert len(set(seen)) == 6


async def test_a_list_that_has_not_changed_is_not_sent_again(caller: Caller) -> None:
    await settled(caller, stable_case())
    page = await caller.get("/v1/cases?limit=200")
    held = await caller.get("/v1/cases?limit=200", If_None_Match=page.headers["etag"])
    assert (held.status_code, held.content) == (304, b"")
    await settled(caller, stable_case())
    newer = await caller.get("/v1/cases?limit=200", If_None_Match=page.headers["etag"])
    assert newer.status_code == 200
    assert newer.headers["etag"] != page.headers["etag"]


async def test_the_last_page_leads_nowhere(caller: Caller) -> None:
    reply = await caller.get("/v1/cases?phase=cancelled&limit=200")
    assert reply.json()["next_cursor"] is None
    assert "link" not in reply.headers


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "query:limit"),
        ("limit=201", "query:limit"),
        ("limit=ten", "query:limit"),
        ("limit=5&limit=6", "query:limit"),
        ("limit=5&limit=5", "query:limit"),
        ("riskClass=urgent", "query:riskClass"),
        ("Mrs%20Jones=1", "query:?"),
        ("limit=1e2", "query:limit"),
        ("phase=dreaming", "query:phase"),
        ("risk_class=severe", "query:risk_class"),
        ("site=" + "x" * 65, "query:site"),
        ("protocol=" + "x" * 65, "query:protocol"),
        ("cursor=" + "x" * 301, "query:cursor"),
        ("cursor=x", "query:cursor"),
        ("cursor=zzzz", "query:cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"2026-03-01T12:00:00 c_1").decode(), "query:cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"yesterday c_1").decode(), "query:cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"2026-03-01T12:00:00+00:00 c\x00").decode(), "query:cursor"),
    ],
)
async def test_an_unfit_filter_is_refused(caller: Caller, query: str, pointer: str) -> None:
    reply = await caller.get(f"/v1/cases?{query}")
    assert reply.status_code == 400, reply.text
    assert reply.json()["errors"][0]["pointer"] == pointer
    value = query.partition("=")[2]
    assert len(value) < 4 or value not in reply.text


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+00:00"]
)
async def test_a_cursor_from_the_ends_of_time_breaks_nothing(caller: Caller, at: str) -> None:
    cursor = base64.urlsafe_b64encode(f"{at} c_1".encode()).decode().rstrip("=")
    assert (await caller.get(f"/v1/cases?cursor={cursor}")).status_code in {200, 400}


# --- protocols and health ---------------------------------------------------------------------------------------------


async def test_a_protocol_tells_an_integrator_what_to_send(caller: Caller) -> None:
    summaries = (await caller.get("/v1/protocols")).json()["protocols"]
    assert [summary["id"] for summary in summaries] == list(shipped())
    reply = await caller.get("/v1/protocols/deterioration")
    protocol = reply.json()
    assert protocol["question"] == "Does this inpatient need urgent review?"
    assert [option["id"] for option in protocol["options"]] == ["urgent-review", "continue-monitoring"]
    facts = {spec["name"]: spec for spec in protocol["facts"]}
    assert facts["temperature"]["unit"] == "Cel"
    assert facts["temperature"]["also_accepts"][0]["unit"] == "[degF]"
    assert (facts["heart_rate"]["low"], facts["heart_rate"]["high"]) == ("10", "350")
    assert facts["heart_rate"]["greatest_age_seconds"] == 4 * 3600
    assert facts["consciousness"]["codes"][0] == {"id": "alert", "title": "Alert"}
    assert set(stable_case()["facts"]) <= set(facts)
    assert {seat["member"] for seat in protocol["seats"]} == {"news2", "mews", "cart", "qsofa", "sirs"}
    assert protocol["rules"]
    assert {timers["risk_class"] for timers in protocol["timers"]} == {"routine", "urgent", "emergency"}
    held = await caller.get("/v1/protocols/deterioration", If_None_Match=reply.headers["etag"])
    assert held.status_code == 304
    made = await settled(caller, stable_case())
    assert made["protocol_hash"] == protocol["content_hash"]


@pytest.mark.parametrize("protocol", ["horoscope", "x" * 65, "Deterioration", "%00"])
async def test_an_unknown_protocol_is_not_found(caller: Caller, protocol: str) -> None:
    assert (await caller.get(f"/v1/protocols/{protocol}")).status_code in {400, 404}


async def test_a_house_in_order_is_ready(caller: Caller) -> None:
    reply = await caller.http.get("/readyz")
    assert (reply.status_code, reply.json()["ok"]) == (200, True)
    assert {check["name"] for check in reply.json()["checks"]} >= {"database", "log", "protocols"}


async def test_the_documented_example_is_taken_by_its_protocol(caller: Caller) -> None:
    document = (await caller.http.get("/openapi.json")).json()
    (example,) = document["components"]["schemas"]["CaseIn"]["examples"]
    text = json.dumps(example).replace("2026-11-22T09:00:00+00:00", (NOON - timedelta(minutes=5)).isoformat())
    made = await settled(caller, json.loads(text))
    assert made["settled"]
