"""Bundles refused for their bytes or headers, before a resource in them is read: each leaves nothing behind."""

from __future__ import annotations

import json

import pytest

from arbiter.api.fhir.operations import BODY_LIMIT_BYTES
from arbiter.workflow.house import House
from tests.api.bundles import MEDIA_TYPE, PARAMETERS, SUBMIT, send, stable_bundle
from tests.api.cases import rows
from tests.api.conftest import Caller
from tests.api.spoilt_bundles import HR, MARK, NUMBER, check_outcome, marked_bundle

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
