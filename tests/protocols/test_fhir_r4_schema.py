"""What is read and said as FHIR is FHIR: checked against HL7's JSON schema of R4."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arbiter.api.fhir.discovery import capability_statement
from arbiter.api.fhir.outcomes import in_dialect, issue, outcome
from arbiter.api.problems import response_for
from arbiter.errors import InvalidCaseError, NotFoundError, Problem
from arbiter.protocols.fhir.opening import MODELS
from tests.fhir_schema import check, definitions, validator
from tests.protocols.fhir_bundles import FOLDER


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
