"""A patient all of whose words and numbers are canaries, and a visitor that carries more of them in the headers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.system.canaries import NUMBERS, UNITS, WORDS
from tests.system.service import case_body, facts_body
from tests.system.sinks import Run


def patient(**more: Any) -> dict[str, Any]:
    """A case all of whose words and numbers are canaries."""
    body = case_body(encounter=WORDS["encounter"])
    body["subject"] = {"system": WORDS["system"], "value": WORDS["subject"]}
    body["facts"] |= facts_body()
    for name, fact in body["facts"].items():
        fact["source"] = WORDS["source"]
        fact["observed_at"] = re.sub(r"\d\d\.\d+(?=[+Z])", NUMBERS["instant"], fact["observed_at"])
        if name in NUMBERS:
            fact["value"] = float(NUMBERS[name])
            fact["unit"] = UNITS.get(name, fact["unit"])
    return body | more


def incomplete() -> dict[str, Any]:
    body = patient()
    del body["facts"]["temperature"]
    return body


def bundle_of_canaries() -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    subject = {"reference": f"Patient/{WORDS['path']}"}
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "resource": {
                    "resourceType": "Patient",
                    "id": WORDS["path"],
                    "identifier": [{"use": "official", "system": WORDS["system"], "value": WORDS["subject"]}],
                    "name": [{"family": WORDS["query"]}],
                    "birthDate": "1950-01-01",
                }
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "id": WORDS["body"],
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "6690-2"}]},
                    "subject": subject,
                    "effectiveDateTime": at,
                    "performer": [{"display": WORDS["query"]}],
                    "note": [{"text": WORDS["note"]}],
                    "valueQuantity": {
                        "value": float(NUMBERS["white_cell_count"]),
                        "system": "http://unitsofmeasure.org",
                        "code": "10*9/L",
                    },
                }
            },
        ],
    }


HEADERS = {
    "User-Agent": WORDS["header"],
    "Referer": f"http://{WORDS['header']}/",
    "X-Request-Id": WORDS["header"],
    "Baggage": f"patient={WORDS['header']}",
    "Tracestate": f"vendor={WORDS['header']}",
    "Traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
}


class Visitor:
    """Calls and keeps every reply."""

    def __init__(self, run: Run, door: httpx.AsyncClient) -> None:
        self._run, self._door = run, door
        self._token = ""

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = httpx.Headers(HEADERS)
        headers.update(more.pop("headers", {}))
        reply = await self._door.request(method, path, headers=headers, **more)
        self._run.replies.append(reply)
        if found := re.search(r'name="csrf_token" value="([^"]*)"', reply.text):
            self._token = found[1]
        return reply

    async def hand_in(self, number: int, body: dict[str, Any]) -> str:
        reply = await self.call(
            "POST",
            "/v1/cases",
            json=body,
            headers={"Idempotency-Key": f"{WORDS['key']}-{number}", "Prefer": "wait=20"},
        )
        assert reply.status_code in {201, 202}, reply.text
        return str(reply.json()["id"])

    async def form(self, path: str, **fields: str) -> httpx.Response:
        return await self.call("POST", path, data={"csrf_token": self._token} | fields)
