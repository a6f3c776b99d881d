"""All that a house refuses, with canaries in it: spoilt cases, and every route with identifiers where none belong."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import httpx

from arbiter.api.app import create_app
from arbiter.api.security import route_rules
from arbiter.workflow.house import House
from tests.system.canaries import NUMBERS, WORDS
from tests.system.canary_patient import Visitor, patient


async def spoil(client: Visitor) -> None:
    """Cases that are refused for each kind of reason."""
    refused = WORDS["refused"]
    good = patient()
    spoilt: list[Any] = [
        {**good, "risk_class": refused},
        {**good, "site": refused},
        {**good, "protocol": refused},
        {**good, refused: refused},
        {**good, "subject": refused},
        {**good, "supersedes": refused},
        {**good, "facts": {refused: good["facts"]["age"]}},
        *(_with(good, "consciousness", part, refused) for part in ("value", "unit", "observed_at", "status")),
        _with(good, "heart_rate", "value", float(NUMBERS["refused number"])),
        _with(good, "heart_rate", "value", refused),
        _with(good, "heart_rate", refused, refused),
        [refused],
        refused,
    ]
    for number, body in enumerate(spoilt):
        reply = await client.call(
            "POST", "/v1/cases", json=body, headers={"Idempotency-Key": f"spoilt-{number}"}
        )
        assert reply.status_code == 422, reply.text
    reused = await client.call(
        "POST",
        "/v1/cases",
        json={**good, "risk_class": "routine"},
        headers={"Idempotency-Key": f"{WORDS['key']}-1"},
    )
    assert reused.status_code == 422
    text = json.dumps(good)
    for content, kind in (
        (text[:-20], "application/json"),
        (text.replace('"site"', f'"site": "{WORDS["body"]}", "site"', 1), "application/json"),
        (text.encode("utf-16"), "application/json"),
        (text + WORDS["body"], "application/json"),
        (text, f"text/{WORDS['header']}"),
        (b"\xff\xfe" + WORDS["body"].encode(), "application/json"),
        (text + " " * 2_000_000, "application/json"),
    ):
        headers = {"Content-Type": kind, "Idempotency-Key": "spoilt"}
        assert (await client.call("POST", "/v1/cases", content=content, headers=headers)).status_code >= 400
    for header, value in (("Idempotency-Key", "ü" + WORDS["key"]), ("Prefer", f"wait={WORDS['header']}")):
        sent = httpx.Headers({"Idempotency-Key": "spoilt"}, encoding="utf-8")
        sent[header] = value
        await client.call("POST", "/v1/cases", json=good, headers=sent)


def _with(body: dict[str, Any], fact: str, part: str, value: Any) -> dict[str, Any]:
    return {**body, "facts": {**body["facts"], fact: {**body["facts"][fact], part: value}}}


FORMS = ("opinion", "reveal", "sign", "renew", "hand-back")
PAGES = (
    "/login",
    "/logout",
    "/worklist",
    "/worklist/list",
    "/worklist/print",
    "/worklist/{case}/claim",
    "/worklist/{case}/acknowledge",
    "/glass",
    "/duty",
    "/duty/rota",
    "/duty/handover",
    "/duty/handover/print",
    "/duty/take-over",
    "/duty/{case}",
    "/duty/{case}/acknowledge",
    "/duty/{case}/claim",
    "/mine",
    "/teaching",
    "/teaching/{case}",
    "/audit",
    "/audit/find",
    "/audit/entries",
    "/audit/receipt",
    "/audit/exports",
    "/audit/exports/{export}/file",
    "/audit/exports/{export}/delete",
    "/audit/cases/{case}",
    "/cases/{case}",
    "/cases/{case}/done",
)


async def wander(client: Visitor, reviewer: Visitor) -> None:
    """Every route with identifiers where none belong: in its path, its query, its body, and without a token."""
    routes = [(method, path) for method, path, _ in route_rules(create_app(cast(House, None)))]
    pages = [*PAGES, *(f"/cases/{{case}}/{form}" for form in FORMS)]
    routes += [(method, path) for path in pages for method in ("GET", "POST")]
    assert len(routes) > 35
    for method, template in routes:
        path = re.sub(r"\{[^}]*\}", WORDS["path"], template)
        visitor = client if template.startswith(("/v1", "/fhir")) else reviewer
        await visitor.call(method, path, params={"name": WORDS["query"], "cursor": WORDS["query"]})
        await visitor.call(method, path, params={WORDS["refused"]: WORDS["query"], WORDS["query"]: ""})
        if method == "POST":
            await visitor.call(method, path, json={"reason": {"text": WORDS["body"]}, WORDS["refused"]: 1})
            await visitor.call(method, path, data={WORDS["refused"]: WORDS["body"], "next": WORDS["path"]})
        await visitor.call(method, path, headers={"Authorization": f"Bearer {WORDS['header']}"})
    for path in (
        f"/v1/{WORDS['path']}",
        f"/{WORDS['path']}",
        f"/v1/patients/{WORDS['path']}/",
        f"/static/{WORDS['path']}",
    ):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            await client.call(method, path, params={WORDS["query"]: WORDS["query"]})
