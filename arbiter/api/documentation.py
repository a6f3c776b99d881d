"""The OpenAPI 3.1 document: bodies that routes read by themselves, problems, and what each header means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from arbiter.api.headers import WAIT_LIMIT_SECONDS
from arbiter.api.problems import MEDIA_TYPE
from arbiter.api.schemas.incoming import schemas_in
from arbiter.api.schemas.outgoing import ProblemOut, StepOut

_REFERENCE = "#/components/schemas/{model}"
_ALWAYS = (401, 403)

_HEADERS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "Idempotency-Key": (
        "Chosen by the caller, new for each case. The same key with the same body answers with the same case.",
        True,
        {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"},
    ),
    "Prefer": (
        f"`wait=N`: wait up to N seconds, {WAIT_LIMIT_SECONDS} at most, for the case to settle (RFC 7240).",
        False,
        {"type": "string", "examples": ["wait=10"]},
    ),
    "Last-Event-ID": (
        "The number of the last event seen.",
        False,
        {"type": "string", "pattern": "^[0-9]{1,9}$"},
    ),
}


def replies(
    good: Mapping[int, Mapping[str, Any]], *problems: int, public: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's replies; 401 and 403 belong to every route that is not public."""
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=ProblemOut.__name__)}}}
    made: dict[int | str, dict[str, Any]] = {status: dict(reply) for status, reply in good.items()}
    for status in sorted({*problems, *(() if public else _ALWAYS)}):
        made[status] = {"description": HTTPStatus(status).phrase, "content": content}
    made["default"] = {"description": "Any other problem", "content": content}
    return made


def body_of(model: type[BaseModel] | None, *headers: str) -> dict[str, Any]:
    """Return the documentation of a body and of headers that a route reads without the framework's help."""
    operation: dict[str, Any] = {}
    if model is not None:
        reference = {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}
        operation["requestBody"] = {"required": True, "content": {"application/json": reference}}
    if headers:
        operation["parameters"] = [_header(name) for name in headers]
    return operation


def _header(name: str) -> dict[str, Any]:
    description, required, schema = _HEADERS[name]
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the whole document, with the models that only `body_of` and `problem_replies` name."""
    document = app.openapi()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    models = [*schemas_in().values()]
    _, incoming = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    _, outgoing = models_json_schema(
        [(model, "serialization") for model in (ProblemOut, StepOut)], ref_template=_REFERENCE
    )
    schemas.update(incoming.get("$defs", {}) | outgoing.get("$defs", {}))
    return document


def openapi_bytes(app: FastAPI) -> bytes:
    """Return the document as JSON."""
    return json.dumps(openapi_document(app), ensure_ascii=False, separators=(",", ":")).encode()
