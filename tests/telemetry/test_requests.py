"""Spans and durations of requests, at the REST door and the pages: templates, methods, statuses; never what a caller wrote."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from arbiter.api.app import create_app
from arbiter.api.security import PUBLIC
from arbiter.telemetry.metrics import HTTP_SECONDS
from arbiter.telemetry.requests import Application, Receive, observed
from arbiter.workflow.house import House
from tests.telemetry.recording import recording

SECRET = "Jones-7714403"


@pytest.fixture
def rest() -> FastAPI:
    made = create_app(cast(House, None))

    async def fail() -> None:
        raise RuntimeError(f"cannot use {SECRET}")

    made.get("/fail", dependencies=[PUBLIC])(fail)
    return made


async def _case(request: Request) -> PlainTextResponse:
    if request.path_params["case"] == "raise":
        raise RuntimeError(SECRET)
    return PlainTextResponse(request.path_params["case"])


PAGES = Starlette(routes=[Mount("/static", PlainTextResponse("x")), Route("/cases/{case}", _case)])


async def send(application: Any, *requests: tuple[str, str], **headers: str) -> None:
    transport = httpx.ASGITransport(app=observed(cast(Application, application)), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
        for method, path in requests:
            await http.request(method, path, params={"name": SECRET}, headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/healthz", "GET /healthz", 200),
        ("HEAD", "/openapi.json", "HEAD /openapi.json", 200),
        ("GET", f"/v1/cases/{SECRET}", "GET /v1/cases/{case}", 401),
        ("HEAD", f"/v1/cases/{SECRET}", "HEAD /v1/cases/{case}", 401),
        ("PUT", f"/v1/cases/{SECRET}", "PUT /v1/cases/{case}", 405),
        ("GET", f"/v1/{SECRET}", "GET", 404),
        ("JONES", "/healthz", "_OTHER /healthz", 405),
        ("GET", "/fail", "GET /fail", 500),
        ("GET", f"/v1/audit/tile/{SECRET}", "GET /v1/audit/tile/{path:path}", 404),
    ],
)
async def test_a_request_at_the_rest_door(
    rest: FastAPI, method: str, path: str, name: str, status: int
) -> None:
    with recording() as recorded:
        await send(rest, (method, path))
        (span,) = [span for span in recorded.spans() if span.kind is SpanKind.SERVER]
        metric = recorded.metrics()[HTTP_SECONDS.name]
        assert "Jones" not in recorded.text()
    assert span.name == name
    said = dict(span.attributes or {})
    assert said["http.response.status_code"] == status
    assert said["url.scheme"] == "http"
    assert (span.status.status_code is StatusCode.ERROR) == (status >= 500)
    (point,) = metric.data.data_points
    assert dict(point.attributes or {}) == said


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [
        (f"/cases/{SECRET}", "GET /cases/{case}", 200),
        ("/cases/raise", "GET /cases/{case}", 500),
        (f"/static/{SECRET}", "GET /static", 200),
        (f"/{SECRET}", "GET", 404),
    ],
)
async def test_a_request_at_the_pages(path: str, name: str, status: int) -> None:
    with recording() as recorded:
        await send(PAGES, ("GET", path))
        (span,) = recorded.spans()
        assert "Jones" not in recorded.text()
    assert (span.name, (span.attributes or {})["http.response.status_code"]) == (name, status)


async def test_a_caller_is_linked_and_never_followed() -> None:
    traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with recording() as recorded:
        await send(
            PAGES, ("GET", "/cases/x"), traceparent=traceparent, tracestate="x=jones", baggage="p=Jones"
        )
        (span,) = recorded.spans()
        assert "ones" not in recorded.text()
    assert span.parent is None
    assert [f"{link.context.trace_id:032x}" for link in span.links] == ["ab" * 16]


async def test_two_callers_in_one_request_are_nobody() -> None:
    value = f"00-{'ab' * 16}-{'cd' * 8}-01"
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": "/cases/x", "scheme": "http", "query_string": b"",
        "headers": [(b"traceparent", value.encode())] * 2,
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def keep(message: Any) -> None:
        sent.append(message)

    with recording() as recorded:
        await observed(cast(Application, PAGES))(scope, receive, keep)
        assert [span.links for span in recorded.spans()] == [()]
    assert sent[0]["status"] == 200


async def test_a_request_nobody_answered_is_told_as_failed() -> None:
    async def silent(*_: Any) -> None:
        return

    with recording() as recorded:
        scope = {"type": "http", "method": "GET", "scheme": "http", "headers": []}
        await observed(silent)(scope, cast(Receive, silent), silent)
        (span,) = recorded.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "http.response.status_code" not in (span.attributes or {})
