"""Errors become problem details (RFC 9457). One table maps the tree of `arbiter.errors` to statuses.

A problem says what was expected, what kind of thing came and where; it never repeats a value. What nobody foresaw
answers 500 with an opaque incident id; the log gets the exception's type and the places it passed, not its text.
"""

from __future__ import annotations

import json
import logging
import secrets
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from arbiter.api.complaints import told
from arbiter.api.fhir.outcomes import in_dialect
from arbiter.api.strict_json import (
    BodyTooLargeError,
    BodyTooSlowError,
    ClientGoneError,
    MalformedJsonError,
    UnsupportedMediaError,
)
from arbiter.errors import (
    ArbiterError,
    BusyError,
    ConfigurationError,
    ConflictError,
    ErasedError,
    ForbiddenError,
    IllegalMoveError,
    InvalidCaseError,
    KeyReusedError,
    LogUnfitError,
    NotFoundError,
    NotSealedError,
    OverloadedError,
    Problem,
    RefusedError,
    ShedError,
    StaleStateError,
    StillRunningError,
    UnauthenticatedError,
    UnavailableError,
    UndecidableError,
)
from arbiter.telemetry import Safe

log = logging.getLogger("arbiter.api")

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:problem-type:arbiter:"
_FRAMES_LOGGED = 12


class BadRequestError(RefusedError):
    """A header, path or query parameter is missing or malformed."""


class InvalidRequestError(RefusedError):
    """The body is JSON and does not have the form that this route reads."""


class TooManyStreamsError(RefusedError):
    """This process follows as many cases as it may."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one class of errors is told: `says` replaces the error's own message where that could tell too much."""

    status: int
    slug: str
    title: str
    headers: tuple[tuple[str, str], ...] = ()
    says: str | None = None


_CHALLENGE = 'Bearer realm="arbiter"'

TABLE: dict[type[ArbiterError], Answer] = {
    BadRequestError: Answer(400, "bad-request", "The request is malformed"),
    MalformedJsonError: Answer(400, "malformed-json", "The body is not acceptable JSON"),
    ClientGoneError: Answer(400, "client-gone", "The client hung up"),
    UnauthenticatedError: Answer(
        401,
        "unauthenticated",
        "Nobody valid is speaking",
        (("WWW-Authenticate", _CHALLENGE),),
        "expected Authorization: Bearer with a valid token",
    ),
    ForbiddenError: Answer(
        403,
        "forbidden",
        "This client may not do this",
        (("WWW-Authenticate", f'{_CHALLENGE}, error="insufficient_scope"'),),
    ),
    NotFoundError: Answer(
        404, "not-found", "Not found", (), "there is no such thing, or none that this client may know of"
    ),
    BodyTooSlowError: Answer(408, "body-too-slow", "The body took too long", (("Connection", "close"),)),
    IllegalMoveError: Answer(409, "illegal-move", "The case's present state does not allow this"),
    StaleStateError: Answer(
        409, "stale-state", "Somebody else moved the case first", (("Retry-After", "1"),)
    ),
    StillRunningError: Answer(
        409, "still-running", "The first request with this key is still running", (("Retry-After", "1"),)
    ),
    # The same problem to a program as before, with the word when to come again.
    NotSealedError: Answer(409, "conflict", "The present state does not allow this", (("Retry-After", "1"),)),
    ConflictError: Answer(409, "conflict", "The present state does not allow this"),
    ErasedError: Answer(410, "erased", "The case was erased"),
    BodyTooLargeError: Answer(413, "body-too-large", "The body is too large", (("Connection", "close"),)),
    UnsupportedMediaError: Answer(
        415, "unsupported-media-type", "The body's type is not supported", (("Accept", "application/json"),)
    ),
    InvalidRequestError: Answer(422, "invalid-request", "The body does not have the expected form"),
    InvalidCaseError: Answer(422, "invalid-case", "The case does not fit its question"),
    KeyReusedError: Answer(422, "key-reused", "The idempotency key came with another body before"),
    RefusedError: Answer(422, "refused", "The input is refused"),
    TooManyStreamsError: Answer(
        503, "too-many-streams", "Too many event streams are open", (("Retry-After", "10"),)
    ),
    ConfigurationError: Answer(
        503, "not-ready", "The service is not ready", (("Retry-After", "10"),), "the service is not ready"
    ),
    LogUnfitError: Answer(503, "log-unfit", "The log is not fit to be worked on", (("Retry-After", "60"),)),
    UnavailableError: Answer(
        503,
        "unavailable",
        "The service cannot answer just now",
        (("Retry-After", "1"),),
        "the service's database does not answer; the same request may be sent again in a moment",
    ),
    ShedError: Answer(429, "shed", "There is room for graver cases alone just now"),
    OverloadedError: Answer(503, "overloaded", "There is no room just now"),
    BusyError: Answer(503, "busy", "There is no room just now"),
    UndecidableError: Answer(500, "internal", "Something failed here", (), "the case was left to a human"),
    ArbiterError: Answer(500, "internal", "Something failed here", (), "something failed here"),
}
"""Every class is looked up by its nearest ancestor in this table."""


def answer_for(error: ArbiterError) -> Answer:
    """Return the row of the table for `error`'s class or its nearest ancestor."""
    return next(TABLE[cls] for cls in type(error).__mro__ if cls in TABLE)


def problem_response(
    status: int,
    slug: str,
    title: str,
    detail: str,
    problems: Iterable[Problem] = (),
    headers: Mapping[str, str] | None = None,
    **extensions: str,
) -> Response:
    """Return a problem+json response; `problems` become the extension `errors`."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + slug,
        "title": title,
        "status": status,
        "detail": detail,
        **extensions,
    }
    errors = [{"pointer": p.pointer, "code": p.code, "detail": p.detail} for p in problems]
    if errors:
        body["errors"] = errors
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def response_for(error: ArbiterError) -> Response:
    """Return the answer to an error raised on purpose."""
    answer = answer_for(error)
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return incident_response(error, answer.says)
    problems = error.problems if isinstance(error, RefusedError) else ()
    detail = str(error) if answer.says is None else answer.says
    headers = dict(answer.headers)
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return problem_response(
        answer.status, answer.slug, answer.title, detail or answer.title, problems, headers
    )


def incident_response(error: BaseException, says: str | None = None) -> Response:
    """Log where `error` passed, without its text, and return a 500 that carries only the incident's id."""
    incident = secrets.token_hex(8)
    log.error("incident %s: %s", incident, Safe(_trail(error)))
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "Something failed here",
        says or "something failed here; quote the incident to whoever runs this service",
        incident=incident,
    )


def _trail(error: BaseException) -> str:
    """Name the exception, its causes and the places passed. Messages may hold values and stay out."""
    chain = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = traceback.extract_tb(current.__traceback__)[-_FRAMES_LOGGED:]
        places = " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
        chain.append(f"{type(current).__module__}.{type(current).__qualname__} at {places or 'unknown'}")
        current = current.__cause__ or current.__context__
    return "; caused by ".join(chain)


# --- FastAPI's own exceptions -------------------------------------------------------------------------------------


async def on_arbiter_error(request: Request, error: Exception) -> Response:
    """Exception handler for the whole tree of `arbiter.errors`."""
    assert isinstance(error, ArbiterError)
    return in_dialect(request.scope["path"], response_for(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for what the framework itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.NOT_FOUND:
        return in_dialect(request.scope["path"], response_for(NotFoundError()))
    detail = status.description.lower().rstrip(".") or status.phrase.lower()
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = allowed_methods(request)
        headers["Allow"] = allowed
        detail = f"expected one of {allowed}"
    slug = status.phrase.lower().replace(" ", "-").replace("'", "")
    response = problem_response(status, slug, status.phrase, detail, headers=headers)
    return in_dialect(request.scope["path"], response)


def allowed_methods(request: Request) -> str:
    """Return the methods of every route that serves the request's path, for `Allow`."""
    methods: set[str] = set()
    for route in request.app.router.routes:
        regex = getattr(route, "path_regex", None)
        if regex is not None and regex.match(request.scope["path"]):
            methods |= getattr(route, "methods", None) or set()
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


async def on_parameter_error(request: Request, error: Exception) -> Response:
    """Exception handler for query, path and header parameters that do not fit."""
    assert isinstance(error, RequestValidationError)
    problems = []
    for item in error.errors():
        where, *steps = item["loc"]
        code, detail = told(item)
        problems.append(Problem(f"{where}:{'.'.join(str(step) for step in steps)}", code, detail))
    response = response_for(BadRequestError("a parameter does not fit", tuple(problems)))
    return in_dialect(request.scope["path"], response)
