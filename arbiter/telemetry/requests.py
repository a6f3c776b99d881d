"""A span and a duration for every request at either door, by the template of its route; paths and queries stay out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from opentelemetry.trace import Span, SpanKind, StatusCode

from arbiter.telemetry.catalogue import (
    ERROR_TYPE,
    METHOD,
    METHODS,
    REQUEST,
    ROUTE,
    SCHEME,
    STATUS_CODE,
    Attribute,
)
from arbiter.telemetry.meters import record
from arbiter.telemetry.metrics import HTTP_SECONDS
from arbiter.telemetry.spans import begin, link_to, say, within

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_TRACEPARENT: Final = b"traceparent"
_SERVER_FAULT: Final = 500


def observed(application: Application) -> Application:
    """Return the application with a span around each request, linked to the caller's if it names one."""

    async def observing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        seen = _Seen(scope)
        try:
            with within(seen.span):
                await application(scope, receive, seen.passing(send))
        finally:
            seen.end(scope)

    return observing


class _Seen:
    """What telemetry keeps of one request."""

    def __init__(self, scope: Scope) -> None:
        self._began = time.perf_counter()
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        self._said: dict[Attribute, str | int | bool] = {METHOD: method, SCHEME: scope["scheme"]}
        named = [value for name, value in scope["headers"] if name == _TRACEPARENT]
        links = link_to(named[0].decode("latin-1")) if len(named) == 1 else ()
        self.span: Span = begin(REQUEST, self._said, name=method, links=links, role=SpanKind.SERVER)

    def passing(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._said[STATUS_CODE] = message["status"]
            await send(message)

        return sending

    def end(self, scope: Scope) -> None:
        method, route = self._said[METHOD], route_of(scope)
        if route is not None:
            self._said[ROUTE] = route
            self.span.update_name(f"{method} {route}")
        status = self._said.get(STATUS_CODE)
        if status is None or int(status) >= _SERVER_FAULT:
            self._said[ERROR_TYPE] = "ClientDisconnect" if status is None else str(status)
            self.span.set_status(StatusCode.ERROR)
        say(self.span, self._said)
        self.span.end()
        record(HTTP_SECONDS, time.perf_counter() - self._began, self._said)


def route_of(scope: Scope) -> str | None:
    """Return the template of the route that a request matched, as the framework left it in the scope."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) and template else None
