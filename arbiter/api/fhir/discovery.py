"""What this door says of itself: a CapabilityStatement (R4), and how its operations are described to OpenAPI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from arbiter import __version__
from arbiter.api.documentation import body_of, replies
from arbiter.api.fhir.outcomes import MEDIA_TYPE, fhir_bytes
from arbiter.api.headers import content_digests
from arbiter.api.replies import bytes_reply
from arbiter.api.security import PUBLIC

FHIR_VERSION: Final = "4.0.1"
SUBMIT_PATH: Final = "/fhir/Bundle/$submit-case"
AMEND_PATH: Final = "/fhir/Bundle/$amend-case"
METADATA_PATH: Final = "/fhir/metadata"

DESCRIBED_SINCE: Final = "2026-11-25"
"""When this description last changed in what it promises."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on Bundles: its name, what it does, and the parameters beside the body."""

    name: str
    does: str
    parameters: frozenset[str]

    @property
    def canonical(self) -> str:
        """What the operation is known by."""
        return f"urn:arbiter:fhir:operation:{self.name}"

    def openapi(self, *headers: str) -> dict[str, Any]:
        """Return the documentation of the body and headers that the operation reads by itself."""
        described = body_of(None, *headers)
        schema = {"type": "object", "required": ["resourceType", "type"], "description": "A FHIR R4 Bundle."}
        described["requestBody"] = {"required": True, "content": {MEDIA_TYPE: {"schema": schema}}}
        return described


SUBMIT_CASE: Final = Operation(
    "submit-case",
    "Takes in the case that the Bundle in the body describes. Parameters in the address: protocol, site and risk-class, "
    "each once; subject-system, supersedes and training (true or false), each at most once. The header Idempotency-Key is "
    "required.",
    frozenset({"protocol", "site", "risk-class", "subject-system", "supersedes", "training"}),
)
AMEND_CASE: Final = Operation(
    "amend-case",
    "Replaces or adds the facts that the Bundle in the body gives. The parameter case, once, in the address. The "
    "Bundle's Patient must be the patient of the case.",
    frozenset({"case"}),
)


def described() -> dict[str, Any]:
    """Return the documentation of an operation's reply."""
    schema = {"type": "object", "description": "Parameters, or an OperationOutcome where that is preferred."}
    return {"content": {MEDIA_TYPE: {"schema": schema}}}


def capability_statement() -> dict[str, Any]:
    """Return the CapabilityStatement of this door."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DESCRIBED_SINCE,
        "kind": "instance",
        "software": {"name": "Arbiter", "version": __version__},
        "implementation": {"description": "Takes cases for adjudication out of FHIR Bundles"},
        "fhirVersion": FHIR_VERSION,
        "format": [MEDIA_TYPE],
        "rest": [
            {
                "mode": "server",
                "documentation": "Nothing can be read or searched here; decisions are read at /v1.",
                "security": {
                    "description": "A registered client's token: Authorization: Bearer. See /openapi.json."
                },
                "resource": [
                    {
                        "type": "Bundle",
                        "operation": [
                            {
                                "name": operation.name,
                                "definition": operation.canonical,
                                "documentation": operation.does,
                            }
                            for operation in (SUBMIT_CASE, AMEND_CASE)
                        ],
                    }
                ],
            }
        ],
    }


router = APIRouter(tags=["fhir"], dependencies=[PUBLIC])

_DOCUMENT: Final = fhir_bytes(capability_statement())


@router.get(METADATA_PATH, responses=replies({200: described()}, public=True))
async def read_capabilities(request: Request) -> Response:
    """Read what this FHIR door can do (CapabilityStatement)."""
    headers = {"Cache-Control": "public, max-age=300", "ETag": content_digests(_DOCUMENT)["ETag"]}
    return bytes_reply(_DOCUMENT, MEDIA_TYPE, headers, request)
