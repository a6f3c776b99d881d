"""Cases that must not come in: each gets a 4xx with its place and a precise message, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from arbiter.api.strict_json import BODY_LIMIT_BYTES
from arbiter.workflow.house import House
from tests.api.cases import rows
from tests.api.conftest import Caller, fact, stable_case
from tests.conftest import NOON

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "zq7-Mrs-Jones"
NUMBER = "8675309"


@dataclass(frozen=True)
class Malformed:
    name: str
    change: Callable[[dict[str, Any]], Any]
    pointer: str
    code: str
    says: str
    status: int = 422


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *parents, last = path.split("/")

    def change(case: dict[str, Any]) -> None:
        place = case
        for step in parents:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value

    return change


def later(**by: float) -> str:
    return (NOON + timedelta(**by)).isoformat()


HR = "facts/heart_rate"
CASES = [
    # units
    Malformed("unknown unit", put(f"{HR}/unit", "Hz"), f"/{HR}/unit", "unit", "expected one of /min"),
    Malformed("no unit", put(f"{HR}/unit", ...), f"/{HR}/unit", "unit", "expected a unit, one of /min; none came"),
    Malformed("unit of another fact", put(f"{HR}/unit", "mm[Hg]"), f"/{HR}/unit", "unit", "another unit came"),
    Malformed("unit in words", put(f"{HR}/unit", SECRET), f"/{HR}/unit", "unit", "another unit came"),
    Malformed("unit on a flag", put("facts/pregnant/unit", "1"), "/facts/pregnant/unit", "unit", "expected no unit"),
    Malformed("unit as a number", put(f"{HR}/unit", 1), f"/{HR}/unit", "type", "expected text, came a number"),
    # ranges
    Malformed("heart rate too high", put(f"{HR}/value", 8675309), f"/{HR}/value", "range", "expected 10 to 350 /min"),
    Malformed("heart rate negative", put(f"{HR}/value", -74), f"/{HR}/value", "range", "expected 10 to 350 /min"),
    Malformed("just above the range", put(f"{HR}/value", 351), f"/{HR}/value", "range", "expected 10 to 350 /min"),
    Malformed("absurd age", put("facts/age/value", 8675309), "/facts/age/value", "range", "expected 0 to 130 a"),
    Malformed(
        "temperature out of range after conversion",
        put("facts/temperature", fact(36.8, "[degF]")),
        "/facts/temperature/value", "range", "expected 20 to 46 Cel",
    ),
    Malformed("too many decimals", put(f"{HR}/value", 74.25), f"/{HR}/value", "decimals", "at most 0 decimals"),
    # types
    Malformed("flag for a number", put(f"{HR}/value", True), f"/{HR}/value", "type", "expected a number"),
    Malformed("text for a number", put(f"{HR}/value", NUMBER), f"/{HR}/value", "type", "expected a number"),
    Malformed("number for a flag", put("facts/pregnant/value", 0), "/facts/pregnant/value", "type", "true or false"),
    Malformed("text for a flag", put("facts/pregnant/value", "no"), "/facts/pregnant/value", "type", "true or false"),
    Malformed("number for a code", put("facts/consciousness/value", 1), "/facts/consciousness/value", "type", "a code"),
    Malformed(
        "unknown code", put("facts/consciousness/value", SECRET),
        "/facts/consciousness/value", "unknown-code", "expected one of alert, confusion",
    ),
    Malformed("code in another case", put("facts/consciousness/value", "Alert"), "/facts/consciousness/value", "unknown-code", "alert"),
    Malformed("null for a value", put(f"{HR}/value", None), f"/{HR}/value", "type", "came null"),
    Malformed("list for a value", put(f"{HR}/value", [8675309]), f"/{HR}/value", "type", "came an array"),
    Malformed("fact as a bare number", put(HR, 8675309), f"/{HR}", "type", "expected an object, came a number"),
    Malformed("facts as a list", put("facts", [fact(74, "/min")]), "/facts", "type", "expected an object, came an array"),
    Malformed("no facts", put("facts", {}), "/facts", "too-short", "expected at least 1"),
    Malformed("subject as text", put("subject", SECRET), "/subject", "type", "expected an object, came text"),
    Malformed("subject as a number", put("subject/value", 8675309), "/subject/value", "type", "expected text"),
    # names
    Malformed("unknown fact", put("facts/shoe_size", fact(8675309, "cm")), "/facts/shoe_size", "unknown-fact", "expected a fact of the question"),
    Malformed("fact named by a patient", put(f"facts/{SECRET} rate", fact(74, "/min")), "/facts/?", "pattern", "expected an identifier"),
    Malformed("unknown protocol", put("protocol", "horoscope"), "/protocol", "unknown-protocol", "no protocol"),
    Malformed("unknown site", put("site", "nowhere"), "/site", "unknown-site", "does not act for"),
    Malformed("site of somebody else", put("site", "far-away"), "/site", "unknown-site", "does not act for"),
    Malformed("unknown member", put("name", SECRET), "/name", "unknown-member", "expected no member of this name"),
    Malformed("unknown member of a fact", put(f"{HR}/comment", SECRET), f"/{HR}/comment", "unknown-member", "no member"),
    Malformed("unknown risk class", put("risk_class", SECRET), "/risk_class", "not-listed", "'routine', 'urgent' or 'emergency'"),
    Malformed("unknown status", put(f"{HR}/status", SECRET), f"/{HR}/status", "not-listed", "'final'"),
    Malformed("supersedes nothing known", put("supersedes", "c_" + "a" * 24), "/supersedes", "not-supersedable", ""),
    # missing
    *(
        Malformed(f"no {member}", put(member, ...), f"/{member}", "missing", "expected a value here")
        for member in ("protocol", "site", "subject", "risk_class", "facts", f"{HR}/value", f"{HR}/observed_at", f"{HR}/source")
    ),
    # text
    Malformed("empty source", put(f"{HR}/source", ""), f"/{HR}/source", "length", "expected 1 to 200 characters"),
    Malformed("control character", put("subject/value", f"{SECRET}\u0007"), "/subject/value", "control-character", "printable"),
    Malformed("bidirectional override", put("encounter", f"{SECRET}\u202e"), "/encounter", "control-character", "printable"),
    Malformed("endless text", put("subject/value", SECRET * 100), "/subject/value", "length", "expected 1 to 200"),
    # time
    Malformed("observed tomorrow", put(f"{HR}/observed_at", later(days=1)), f"/{HR}/observed_at", "future", "after intake"),
    Malformed("observed in two minutes", put(f"{HR}/observed_at", later(minutes=2)), f"/{HR}/observed_at", "future", "60 s"),
    Malformed("observed years ago", put(f"{HR}/observed_at", "1899-01-01T00:00:00Z"), f"/{HR}/observed_at", "too-old", "366 days"),
    Malformed("no offset", put(f"{HR}/observed_at", "2026-03-01T11:00:00"), f"/{HR}/observed_at", "instant", "with its offset"),
    Malformed("no such day", put(f"{HR}/observed_at", "2026-02-30T11:00:00Z"), f"/{HR}/observed_at", "instant", "calendar"),
    Malformed("time as a number", put(f"{HR}/observed_at", 8675309), f"/{HR}/observed_at", "type", "expected an instant as text"),
]  # fmt: skip


def check_problem(reply: Any, status: int, pointer: str, code: str, says: str) -> None:
    body = reply.json()
    assert (reply.status_code, body["status"]) == (status, status), body
    assert reply.headers["content-type"] == "application/problem+json"
    assert [(item["pointer"], item["code"]) for item in body["errors"]] == [(pointer, code)], body
    assert says in body["errors"][0]["detail"]
    assert SECRET not in reply.text
    assert NUMBER not in reply.text


@pytest.mark.parametrize("malformed", CASES, ids=lambda malformed: malformed.name)
async def test_a_malformed_case_leaves_nothing(caller: Caller, house: House, malformed: Malformed) -> None:
    before = await rows(house)
    case = stable_case()
    malformed.change(case)
    reply = await caller.submit(case)
    check_problem(reply, malformed.status, malformed.pointer, malformed.code, malformed.says)
    assert await rows(house) == before


def spelt(old: str, new: str) -> bytes:
    """The good case with a piece of its bytes replaced."""
    body = json.dumps(stable_case())
    assert body.count(old) >= 1
    return body.replace(old, new, 1).encode()


VALUE = '"value": 74'
SPELLINGS: list[tuple[str, bytes, int, str, str, str]] = [
    ("nothing", b"", 400, "", "syntax", "line 1 column 1"),
    ("half a body", json.dumps(stable_case()).encode()[:-20], 400, "", "syntax", "line 1"),
    ("no JSON", b"facts: {heart_rate: 74}", 400, "", "syntax", "line 1 column 1"),
    ("a list", b"[]", 422, "", "type", "expected an object, came an array"),
    ("null", b"null", 422, "", "type", "expected an object, came null"),
    ("NaN", spelt(VALUE, '"value": NaN'), 400, f"/{HR}/value", "number-not-finite", "NaN"),
    ("infinity", spelt(VALUE, '"value": -Infinity'), 400, f"/{HR}/value", "number-not-finite", "infinities"),
    ("huge number", spelt(VALUE, f'"value": {NUMBER * 10}'), 400, f"/{HR}/value", "number-too-long", "32 characters"),
    ("huge exponent", spelt(VALUE, '"value": 1e400'), 400, f"/{HR}/value", "number-out-of-range", "exponent"),
    ("value twice", spelt(VALUE, '"value": 8675309, "value": 74'), 400, f"/{HR}/value", "duplicate-member", "at most once"),
    ("fact twice", spelt('"heart_rate": {', '"heart_rate": {}, "heart_rate": {'), 400, f"/{HR}", "duplicate-member", "at most once"),
    ("protocol twice", spelt('"protocol"', '"protocol": "zq7-Mrs-Jones", "protocol"'), 400, "/protocol", "duplicate-member", "once"),
    ("lone surrogate", spelt("M-4711", "zq7-Mrs-Jones\\ud800"), 400, "/subject/value", "lone-surrogate", "Unicode"),
    ("latin-1", spelt("M-4711", "zq7-Mrs-Jones").replace(b"zq7-Mrs-Jones", b"zq7-Mrs-Jones\xe9"), 400, "", "encoding", "expected UTF-8"),
    ("UTF-16", json.dumps(stable_case()).encode("utf-16"), 400, "", "encoding", "expected UTF-8"),
    ("byte order mark", b"\xef\xbb\xbf" + json.dumps(stable_case()).encode(), 400, "", "byte-order-mark", "without"),
    ("deep nesting", spelt(VALUE, f'"value": {"[" * 200}{"]" * 200}'), 400, f"/{HR}/value" + "/0" * 9, "too-deep", "12 levels"),
    ("very deep nesting", b"[" * 100_000, 400, "", "too-deep", "12 levels"),
    ("too large", b'{"protocol": "' + b"x" * BODY_LIMIT_BYTES + b'"}', 413, "", "body-too-large", "262144 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "pointer", "code", "says"),
    [row[1:] for row in SPELLINGS],
    ids=[row[0] for row in SPELLINGS],
)
async def test_a_body_spelt_wrongly_leaves_nothing(
    caller: Caller, house: House, body: bytes, status: int, pointer: str, code: str, says: str
) -> None:
    before = await rows(house)
    reply = await caller.submit_bytes(body)
    check_problem(reply, status, pointer, code, says)
    assert await rows(house) == before


HEADERS: list[tuple[str, dict[str, str | None], int, str, str]] = [
    ("no key", {"Idempotency-Key": None}, 400, "header:Idempotency-Key", "missing"),
    ("empty key", {"Idempotency-Key": ""}, 400, "header:Idempotency-Key", "pattern"),
    ("long key", {"Idempotency-Key": "x" * 129}, 400, "header:Idempotency-Key", "pattern"),
    ("odd key", {"Idempotency-Key": SECRET + " 1"}, 400, "header:Idempotency-Key", "pattern"),
    ("no content type", {"Content-Type": None}, 415, "header:Content-Type", "media-type"),
    (
        "a form",
        {"Content-Type": "application/x-www-form-urlencoded"},
        415,
        "header:Content-Type",
        "media-type",
    ),
    ("text", {"Content-Type": "text/plain"}, 415, "header:Content-Type", "media-type"),
    (
        "another charset",
        {"Content-Type": "application/json; charset=utf-16"},
        415,
        "header:Content-Type",
        "media-type",
    ),
    ("compressed", {"Content-Encoding": "gzip"}, 415, "header:Content-Encoding", "media-type"),
]


@pytest.mark.parametrize(
    ("changes", "status", "pointer", "code"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS]
)
async def test_a_case_with_unfit_headers_leaves_nothing(
    caller: Caller, house: House, changes: dict[str, str | None], status: int, pointer: str, code: str
) -> None:
    before = await rows(house)
    headers = caller.headers() | {"Content-Type": "application/json", "Idempotency-Key": "once"}
    for name, value in changes.items():
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    reply = await caller.http.post("/v1/cases", content=json.dumps(stable_case()).encode(), headers=headers)
    check_problem(reply, status, pointer, code, "expected")
    assert await rows(house) == before


async def test_every_fault_of_a_case_is_told_at_once(caller: Caller) -> None:
    case = stable_case()
    case["facts"]["heart_rate"]["value"] = 8675309
    case["facts"]["spo2"]["unit"] = "kPa"
    case["facts"]["temperature"]["observed_at"] = later(hours=1)
    body = (await caller.submit(case)).json()
    assert [(item["pointer"], item["code"]) for item in body["errors"]] == [
        ("/facts/heart_rate/value", "range"),
        ("/facts/spo2/unit", "unit"),
        ("/facts/temperature/observed_at", "future"),
    ]


async def test_a_refused_amendment_changes_nothing(caller: Caller, house: House) -> None:
    case = stable_case()
    del case["facts"]["temperature"]
    made = (await caller.submit(case, Prefer="wait=10")).json()
    before = await rows(house)
    for facts, pointer in (
        ({"temperature": fact(368, "Cel")}, "/facts/temperature/value"),
        ({"shoe_size": fact(8675309)}, "/facts/shoe_size"),
        ({}, "/facts"),
    ):
        reply = await caller.post(f"/v1/cases/{made['id']}/facts", {"facts": facts})
        assert reply.status_code == 422
        assert reply.json()["errors"][0]["pointer"] == pointer
    assert await rows(house) == before
