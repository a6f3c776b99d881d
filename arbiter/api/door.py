"""The outermost layer of every request: an id, safe headers, HEAD, the access log, and a last answer to any failure.

Plain ASGI, because it stands in every request's way.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from arbiter.api.fhir.outcomes import in_dialect
from arbiter.api.problems import incident_response
from arbiter.api.security import route_rules
from arbiter.telemetry import Safe
from arbiter.telemetry.catalogue import CASE_ID
from arbiter.telemetry.requests import route_of

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

access = logging.getLogger("arbiter.access")
log = logging.getLogger("arbiter.api")

SAFE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""Set unless the route set its own: pages have a content policy, tiles a cache lifetime."""

_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=31536000")


class Door:
    """Wraps the routes. Built when the first request or the start-up comes, when all routes are known."""

    def __init__(self, app: ASGIApp, owner: FastAPI) -> None:
        # INVARIANT: nothing is served while any route lacks its rule.
        route_rules(owner)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = _Reply(
            send, secrets.token_hex(8), head=scope["method"] == "HEAD", secure=scope["scheme"] == "https"
        )
        # Routes know GET; a copy, because the server reads the method of its own scope to frame the reply.
        inner = {**scope, "method": "GET", "arbiter.head": True} if reply.head else scope
        started = time.perf_counter()
        try:
            await self._app(inner, receive, reply.send)
        except ClientDisconnect:
            log.debug("request %s: the client hung up", reply.request_id)
        except Exception as error:  # noqa: BLE001 - the last answer: whatever failed, no trace leaves the house
            response = in_dialect(scope["path"], incident_response(error))
            if reply.status is None:
                await response(inner, receive, reply.send)
        finally:
            # The copy of a HEAD request learnt its route, not the scope that those around us hold.
            scope.update({name: inner[name] for name in ("route", "path_params") if name in inner})
            _log_access(scope, reply, time.perf_counter() - started)


class _Reply:
    """Passes the reply on with the house's headers, and without a body for HEAD."""

    def __init__(self, send: Send, request_id: str, *, head: bool, secure: bool) -> None:
        self._send = send
        self._secure = secure
        self.request_id = request_id
        self.head = head
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        elif message["type"] == "http.response.body" and self.head:
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self, given: Any) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        names = {name.lower() for name, _ in headers}
        headers += [pair for pair in SAFE_HEADERS if pair[0] not in names]
        if self._secure:
            headers.append(_TRANSPORT_SECURITY)
        headers.append((b"x-request-id", self.request_id.encode()))
        return headers


def _log_access(scope: Scope, reply: _Reply, seconds: float) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    access.info(
        "%s %s %s %.1f ms request %s",
        scope["method"],
        Safe(_told_path(scope)),
        reply.status or Safe("aborted"),
        seconds * 1000,
        reply.request_id,
    )


def _told_path(scope: Scope) -> str:
    """Return the route's template, with the case id where it is one of ours; nothing else that a caller wrote."""
    template = route_of(scope)
    if template is None:
        return "?"
    case = str(scope.get("path_params", {}).get("case", ""))
    return template.replace("{case}", case if CASE_ID.fullmatch(case) else "?")
