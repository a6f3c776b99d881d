from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

import pytest

from arbiter import errors
from arbiter.api import problems, strict_json
from arbiter.api.problems import TABLE, answer_for, incident_response, response_for
from arbiter.audit.export.checking import ExportRefusedError
from arbiter.audit.verify import Finding, LogRefusedError
from arbiter.errors import (
    ArbiterError,
    ForbiddenError,
    InvalidCaseError,
    NotFoundError,
    Problem,
    RefusedError,
    UnauthenticatedError,
)

SECRET = "Mrs Jones"


def body_of(response: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(response.body)
    return loaded


def every_error() -> list[type[ArbiterError]]:
    found: list[type[ArbiterError]] = []
    pending: list[type[ArbiterError]] = [ArbiterError]
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending.extend(cls.__subclasses__())
    return found


def made(cls: type[ArbiterError], text: str) -> ArbiterError:
    if cls is LogRefusedError:
        return LogRefusedError((Finding(None, text),))
    return ExportRefusedError((text,)) if cls is ExportRefusedError else cls(text)


@pytest.mark.parametrize("cls", every_error(), ids=lambda cls: cls.__name__)
def test_every_error_of_the_tree_has_an_answer(cls: type[ArbiterError]) -> None:
    response = response_for(made(cls, "expected this, came that"))
    body = body_of(response)
    assert response.media_type == "application/problem+json"
    assert response.status_code == body["status"] == HTTPStatus(answer_for(made(cls, "")).status)
    assert body["type"].startswith("urn:problem-type:arbiter:")
    assert body["title"]
    assert body["detail"]


def test_every_error_raised_by_a_door_or_a_use_case_is_a_client_error() -> None:
    client_errors = {cls for cls, answer in TABLE.items() if 400 <= answer.status < 500}
    for module in (errors, strict_json, problems):
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, RefusedError | errors.ConflictError):
                assert (
                    cls in client_errors
                    or cls.__mro__[1] in client_errors
                    or answer_for(cls("")).status == 503
                )


def test_slugs_name_one_status_each() -> None:
    statuses: dict[str, int] = {}
    for answer in TABLE.values():
        assert statuses.setdefault(answer.slug, answer.status) == answer.status


def test_a_refusal_lists_its_problems() -> None:
    error = InvalidCaseError("1 fact does not fit", (Problem("/facts/a~1b/unit", "unit", "expected /min"),))
    body = body_of(response_for(error))
    assert body == {
        "type": "urn:problem-type:arbiter:invalid-case",
        "title": "The case does not fit its question",
        "status": 422,
        "detail": "1 fact does not fit",
        "errors": [{"pointer": "/facts/a~1b/unit", "code": "unit", "detail": "expected /min"}],
    }


def test_what_is_missing_and_what_is_foreign_read_alike() -> None:
    assert (
        response_for(NotFoundError("no case c_1")).body == response_for(NotFoundError("of another site")).body
    )


def test_who_is_unknown_learns_nothing_but_the_challenge() -> None:
    response = response_for(UnauthenticatedError("the client is disabled"))
    assert response.headers["www-authenticate"] == 'Bearer realm="arbiter"'
    assert b"disabled" not in response.body


def test_a_missing_permission_is_named() -> None:
    response = response_for(ForbiddenError("client c1 lacks the permission cases:submit"))
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert "cases:submit" in body_of(response)["detail"]


def raise_deep(text: str) -> None:
    try:
        dict[str, str]()[text]
    except KeyError as error:
        raise RuntimeError(f"cannot use {text}") from error


def test_an_incident_leaves_no_text_in_reply_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    try:
        raise_deep(SECRET)
    except RuntimeError as error:
        response = incident_response(error)
    body = body_of(response)
    assert response.status_code == 500
    assert SECRET not in bytes(response.body).decode()
    assert "raise_deep" not in bytes(response.body).decode()
    assert body["incident"] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "KeyError" in caplog.text
    assert "raise_deep" in caplog.text
    assert SECRET not in caplog.text


def test_incidents_are_told_apart() -> None:
    first, second = (body_of(incident_response(RuntimeError()))["incident"] for _ in range(2))
    assert first != second
