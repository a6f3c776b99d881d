"""Every refusal that the native door knows is told under `/fhir` as an OperationOutcome, with the same status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from arbiter.api.fhir import outcomes
from arbiter.api.fhir.outcomes import MEDIA_TYPE, expression_of, in_dialect
from arbiter.api.problems import TABLE, on_http_exception, problem_response, response_for
from arbiter.errors import ArbiterError, Problem, RefusedError

# http://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES = {
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
}
PATH = "/fhir/Bundle/$submit-case"


def told(response: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(response.body))
    assert response.headers["content-type"] == MEDIA_TYPE
    assert body["resourceType"] == "OperationOutcome"
    for issue in body["issue"]:
        assert issue["code"] in ISSUE_TYPES
        assert issue["severity"] in {"fatal", "error", "warning", "information"}
    return body


@pytest.mark.parametrize("error", list(TABLE), ids=lambda error: error.__name__)
def test_every_error_has_its_outcome(error: type[ArbiterError]) -> None:
    problems = (
        Problem("/entry/2/resource", "unit", "expected a unit"),
        Problem("query:site", "odd", "expected"),
    )
    raised = error("no", problems) if issubclass(error, RefusedError) else error("no")
    native = response_for(raised)
    fhir = in_dialect(PATH, native)
    body = told(fhir)
    assert fhir.status_code == native.status_code == TABLE[error].status
    for name in ("www-authenticate", "retry-after", "connection"):
        assert fhir.headers.get(name) == native.headers.get(name)
    if issubclass(error, RefusedError):
        places = [issue["expression"] for issue in body["issue"]]
        assert places == [["Bundle.entry[2].resource"], ["http.site"]]
    else:
        (issue,) = body["issue"]
        assert "expression" not in issue
        assert TABLE[error].title in issue["diagnostics"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "login"), (403, "forbidden"), (404, "not-found"), (405, "not-supported"), (408, "timeout"),
     (409, "conflict"), (413, "too-long"), (415, "not-supported"), (429, "throttled"), (500, "exception"),
     (503, "transient"), (418, "invalid")],
)  # fmt: skip
def test_a_status_alone_has_a_kind(status: int, kind: str) -> None:
    response = in_dialect(PATH, problem_response(status, "some-slug", "Some title", "some detail"))
    (issue,) = told(response)["issue"]
    assert issue["code"] == kind
    assert issue["details"]["coding"] == [{"system": "urn:problem-type:arbiter", "code": "some-slug"}]


async def test_what_the_framework_refuses_is_an_outcome_too() -> None:
    scope = {"type": "http", "method": "GET", "path": PATH, "headers": []}
    response = await on_http_exception(Request(scope), HTTPException(429, headers={"Retry-After": "3"}))
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert told(response)["issue"][0]["code"] == "throttled"


@pytest.mark.parametrize("path", ["/v1/cases", "/", "/fhir", "/fhirish/x"])
def test_other_doors_keep_their_own_problems(path: str) -> None:
    response = problem_response(404, "not-found", "Not found", "no such thing")
    assert in_dialect(path, response) is response


def test_every_kind_is_one_that_fhir_knows() -> None:
    assert set(outcomes._ISSUE_TYPES.values()) | set(outcomes._BY_STATUS.values()) <= ISSUE_TYPES


@pytest.mark.parametrize(
    ("pointer", "expression"),
    [
        ("", "Bundle"),
        ("/type", "Bundle.type"),
        ("/entry/3/resource/component/0/valueQuantity/code", "Bundle.entry[3].resource.component[0].valueQuantity.code"),
        ("/entry/3/resource/?/x", "Bundle.entry[3].resource"),
        ("header:Idempotency-Key", "http.Idempotency-Key"),
        ("query:risk-class", "http.risk-class"),
    ],
)  # fmt: skip
def test_a_pointer_becomes_a_path(pointer: str, expression: str) -> None:
    assert expression_of(pointer) == expression
