"""What surrounds every route: headers, HEAD, unknown paths and methods, incidents, the access log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Response

from arbiter.api.app import create_app
from arbiter.api.security import PUBLIC
from arbiter.workflow.house import House

SECRET = "Mrs Jones"


@pytest.fixture
def app() -> FastAPI:
    made = create_app(cast(House, None))

    async def fail() -> None:
        raise RuntimeError(f"cannot use {SECRET}")

    async def own_headers() -> Response:
        return Response(
            "x", headers={"Cache-Control": "max-age=5", "Content-Security-Policy": "default-src 'self'"}
        )

    made.get("/fail", dependencies=[PUBLIC])(fail)
    made.get("/own", dependencies=[PUBLIC])(own_headers)
    return made


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as opened:
        yield opened


async def test_safe_headers_stand_on_every_reply(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/nowhere", "/v1/cases", "/fail"):
        headers = (await http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers
        assert "strict-transport-security" not in headers
        assert len(headers["x-request-id"]) == 16


async def test_a_reply_keeps_the_headers_it_brings(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/own")).headers
    assert headers.get_list("cache-control") == ["max-age=5"]
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]


async def test_transport_security_is_asked_for_over_https(app: FastAPI) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://arbiter.test"
    ) as http:
        assert (await http.get("/healthz")).headers["strict-transport-security"] == "max-age=31536000"


async def test_every_request_has_an_id_of_its_own_that_no_caller_chooses(http: httpx.AsyncClient) -> None:
    ids = {
        (await http.get("/healthz", headers={"X-Request-Id": SECRET})).headers["x-request-id"]
        for _ in range(5)
    }
    assert len(ids) == 5
    assert SECRET not in ids


async def test_another_origin_is_told_nothing(http: httpx.AsyncClient) -> None:
    reply = await http.options(
        "/v1/cases", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_head_is_get_without_its_body(http: httpx.AsyncClient) -> None:
    get, head = await http.get("/openapi.json"), await http.head("/openapi.json")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["etag"] == get.headers["etag"]
    assert (await http.head("/nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/cases", "GET, HEAD, POST"),
        ("PUT", "/v1/cases/c1", "GET, HEAD"),
        ("GET", "/v1/cases/c1/cancel", "POST"),
        ("HEAD", "/v1/cases/c1/cancel", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("BREW", "/healthz", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_are_there(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    reply = await http.request(method, path)
    assert reply.status_code == 405
    assert reply.headers["allow"] == allowed
    assert reply.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert reply.json()["type"] == "urn:problem-type:arbiter:method-not-allowed"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/cases/",
        "/healthz/",
        "/v1/cases/c1/unknown",
        "/docs",
        "/redoc",
        "/v2/cases",
        "//healthz",
        "/V1/cases",
    ],
)
async def test_an_unknown_path_is_not_found_and_never_redirected(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get("http://arbiter.test" + path)
    assert reply.status_code == 404
    assert reply.json() == {
        "type": "urn:problem-type:arbiter:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no such thing, or none that this client may know of",
    }


async def test_an_unforeseen_failure_answers_with_an_incident_alone(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = await http.get("/fail")
    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.json()) == {"type", "title", "status", "detail", "incident"}
    assert SECRET not in reply.text + caplog.text
    assert reply.json()["incident"] in caplog.text


async def test_the_access_log_holds_no_query_and_no_odd_path(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "arbiter.access")
    await http.get("/healthz", params={"name": SECRET})
    await http.get(f"/v1/cases/{SECRET}")
    await http.get("/v1/Jones/7714403")
    lines = [record.getMessage() for record in caplog.records if record.name == "arbiter.access"]
    assert lines[0].startswith("GET /healthz 200 ")
    assert lines[1].startswith("GET /v1/cases/? 4")
    assert lines[2].startswith("GET ? 404")
    assert "7714403" not in caplog.text
    assert "Jones" not in caplog.text
    assert "name" not in caplog.text


async def test_the_access_log_names_the_request(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "arbiter.access")
    reply = await http.get("/healthz")
    assert reply.headers["x-request-id"] in caplog.text


async def test_a_websocket_finds_no_door(app: FastAPI) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": "/v1/cases", "headers": [], "query_string": b""}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/",
        "0/0",
        "0/00",
        "00/000",
        "64/000",
        "-1/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p",
        "0/000.p/",
        "0/x000/001",
        "0/001/x000",
        "0/x001",
        "0/1000",
        "0/000/",
        "entries",
        "0/000?x",
        "0/%30%30%30x",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
        "%2e%2e/checkpoint",
    ],
)
async def test_a_tile_spelt_otherwise_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(f"/v1/audit/tile/{path.replace('?', '%3F')}")
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
