"""FHIR Bundles at the REST door: a stable patient's, and how a hospital system sends them."""

from __future__ import annotations

import copy
import itertools
import json
from datetime import timedelta
from typing import Any

import httpx

from tests.api.conftest import Caller, new_key
from tests.conftest import NOON
from tests.protocols.fhir_bundles import ABOUT, PATIENT_URL, bundle_of, mapped

SUBMIT = "/fhir/Bundle/$submit-case"
AMEND = "/fhir/Bundle/$amend-case"
MEDIA_TYPE = "application/fhir+json"
PARAMETERS = {"protocol": "deterioration", "site": "st-elsewhere", "risk-class": "urgent"}

_PROTOCOL = mapped()["deterioration"]
_STABLE = bundle_of(
    _PROTOCOL, next(case for case in _PROTOCOL.examples if case.id == "stable-after-hip"), NOON
)


_stays = itertools.count(1)


def stable_bundle() -> dict[str, Any]:
    """A patient whom every score calls stable, in a stay of its own: the same case twice would be one."""
    bundle = copy.deepcopy(_STABLE)
    stay = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "identifier": [{"system": "https://hospital.example/visits", "value": f"V-{next(_stays)}"}],
        "subject": dict(ABOUT),
    }
    bundle["entry"].append({"fullUrl": f"{PATIENT_URL[:-3]}900", "resource": stay})
    return bundle


def patient(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["entry"][0]["resource"]
    assert found["resourceType"] == "Patient"
    return found


def index_of(bundle: dict[str, Any], code: str) -> int:
    """The index of the entry whose resource has that code."""
    for index, entry in enumerate(bundle["entry"]):
        codings = entry["resource"].get("code", {}).get("coding", ())
        if any(coding["code"] == code for coding in codings):
            return index
    raise AssertionError(code)


def observation(bundle: dict[str, Any], code: str) -> dict[str, Any]:
    found: dict[str, Any] = bundle["entry"][index_of(bundle, code)]["resource"]
    return found


def without(bundle: dict[str, Any], code: str) -> dict[str, Any]:
    del bundle["entry"][index_of(bundle, code)]
    return bundle


def at(**ago: float) -> str:
    return (NOON - timedelta(**ago)).isoformat()


async def send(
    caller: Caller,
    body: Any,
    path: str = SUBMIT,
    parameters: dict[str, Any] | None = None,
    **headers: str | None,
) -> httpx.Response:
    """Send a Bundle, or bytes; headers given as None are not sent."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent: dict[str, str | None] = {
        **caller.headers(Content_Type=MEDIA_TYPE, Idempotency_Key=new_key()),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    given = {name: value for name, value in sent.items() if value is not None}
    query = PARAMETERS if parameters is None else parameters
    return await caller.http.post(path, content=content, params=query, headers=given)
