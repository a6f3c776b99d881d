"""Refusals under `/fhir` as OperationOutcome (R4): made from the problem that the native door would answer with.

So that there is one table of statuses and one set of words. Places become FHIRPath; diagnostics never repeat a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response

from arbiter.errors import Problem

PREFIX: Final = "/fhir/"
MEDIA_TYPE: Final = "application/fhir+json"
CODES: Final = "urn:problem-type:arbiter"
"""The system of the codes in `details`: what a program tells problems apart by."""

# Our codes -> FHIR's (http://hl7.org/fhir/R4/valueset-issue-type.html); what is not here goes by the reply's status.
_ISSUE_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "byte-order-mark",
            "duplicate-member",
            "encoding",
            "lone-surrogate",
            "number-not-finite",
            "syntax",
            "too-deep",
            "type",
        ),
        "structure",
    ),
    **dict.fromkeys(("empty", "missing", "no-facts", "no-identifier", "patients"), "required"),
    **dict.fromkeys(
        (
            "birth-date",
            "decimals",
            "future",
            "instant",
            "no-offset",
            "not-finite",
            "number-out-of-range",
            "number-too-long",
            "pattern",
            "range",
            "text",
            "too-old",
            "unfit",
        ),
        "value",
    ),
    **dict.fromkeys(("address", "contradiction", "invariant"), "invariant"),
    **dict.fromkeys(("not-listed", "unit", "unknown-code"), "code-invalid"),
    **dict.fromkeys(
        ("bundle-type", "comparator", "implicit-rules", "media-type", "no-mapping"), "not-supported"
    ),
    **dict.fromkeys(("deceased", "identifiers", "inactive", "other-subject", "replaced"), "business-rule"),
    **dict.fromkeys(("unknown-protocol", "unknown-site", "not-supersedable"), "not-found"),
    **dict.fromkeys(("absent", "focus", "not-excluded", "not-mapped", "status"), "not-supported"),
    "body-too-large": "too-long",
    "incomplete": "incomplete",
    "modifier-extension": "extension",
    "too-long": "too-long",
    "unknown-parameter": "not-supported",
}
_BY_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "login",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not-supported",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.GONE: "deleted",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not-supported",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.INTERNAL_SERVER_ERROR: "exception",
    HTTPStatus.SERVICE_UNAVAILABLE: "transient",
}


def expression_of(pointer: str) -> str:
    """Return the FHIRPath of a JSON pointer into the Bundle, or `http.` and a name for a header or parameter.

    A step that is no plain name ends the path: it stands for a name that is not repeated.
    """
    where, separator, name = pointer.partition(":")
    if separator and where in {"header", "query", "path"}:
        return f"http.{name}"
    path = "Bundle"
    for step in pointer.split("/")[1:]:
        if step.isdecimal():
            path += f"[{step}]"
        elif step.isalnum():
            path += f".{step}"
        else:
            break
    return path


def issue(severity: str, status: int, problem: Problem) -> dict[str, Any]:
    """Return one issue of an OperationOutcome."""
    kind = _ISSUE_TYPES.get(problem.code) or _BY_STATUS.get(status, "invalid")
    return {
        "severity": severity,
        "code": kind,
        "details": {"coding": [{"system": CODES, "code": problem.code}]},
        "diagnostics": problem.detail,
        "expression": [expression_of(problem.pointer)],
    }


def outcome(issues: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an OperationOutcome."""
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def fhir_bytes(resource: Mapping[str, Any]) -> bytes:
    """Return a resource as JSON."""
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()


def in_dialect(path: str, response: Response) -> Response:
    """Return a problem as the door at `path` tells it: problem+json as it is, or an OperationOutcome under `/fhir`."""
    if not path.startswith(PREFIX):
        return response
    problem = json.loads(bytes(response.body))
    status, slug = problem["status"], problem["type"].rpartition(":")[2]
    whole = f"{problem['title']}: {problem['detail']}"
    if "incident" in problem:
        whole = f"{whole} (incident {problem['incident']})"
    issues = [
        issue("error", status, Problem(one["pointer"], one["code"], one["detail"]))
        for one in problem.get("errors", ())
    ]
    if not issues:
        severity = "fatal" if status == HTTPStatus.INTERNAL_SERVER_ERROR else "error"
        alone = issue(severity, status, Problem("", slug, whole))
        del alone["expression"]
        issues = [alone]
    headers = {name: value for name, value in response.headers.items() if name not in _OWN_HEADERS}
    if "accept" in headers:
        headers["accept"] = MEDIA_TYPE
    return Response(fhir_bytes(outcome(issues)), status, headers, media_type=MEDIA_TYPE)


_OWN_HEADERS: Final = frozenset({"content-length", "content-type"})
