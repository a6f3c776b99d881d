"""Two operations on Bundles: a case out of one, and new facts for a case out of one.

Each takes the Bundle as the whole body and its simple parameters in the address (R4, "Executing an Operation"), and
answers with Parameters, or with an OperationOutcome where `Prefer: return=OperationOutcome` asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from arbiter.api.cases import RETRY_AFTER_SECONDS, Amender, Submitter, awaited
from arbiter.api.documentation import replies
from arbiter.api.fhir.discovery import AMEND_CASE, AMEND_PATH, SUBMIT_CASE, SUBMIT_PATH, described
from arbiter.api.fhir.outcomes import MEDIA_TYPE, expression_of, fhir_bytes, issue, outcome
from arbiter.api.headers import check_query, idempotency_key, wait_seconds
from arbiter.api.security import house_of
from arbiter.api.strict_json import Json, check_media_type, parse, read_body
from arbiter.api.texts import RiskText
from arbiter.errors import Problem
from arbiter.model import CaseId, RiskClass
from arbiter.workflow import fhir_intake, intake
from arbiter.workflow.fhir_intake import BundleSubmission
from arbiter.workflow.reading import SETTLED
from arbiter.workflow.views import CaseView

BODY_LIMIT_BYTES: Final = 1024 * 1024
DEPTH_LIMIT: Final = 24
"""A Bundle nests its resources three levels deep, and extensions nest in each other."""

router = APIRouter(tags=["fhir"])

_CaseText = Annotated[str, Query(alias="case", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_Name = Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")


@router.post(
    SUBMIT_PATH,
    status_code=HTTPStatus.ACCEPTED,
    responses=replies(
        {200: described(), 201: described(), 202: described()}, 400, 409, 413, 415, 422, 429, 503
    ),
    openapi_extra=SUBMIT_CASE.openapi("Idempotency-Key", "Prefer"),
)
async def submit_bundle(
    request: Request,
    principal: Submitter,
    protocol: Annotated[str, _Name],
    site: Annotated[str, _Name],
    risk_class: Annotated[RiskText, Query(alias="risk-class")],
    subject_system: Annotated[str | None, Query(alias="subject-system", pattern=r"^[!-~]{1,200}$")] = None,
    supersedes: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = None,
    training: Literal["true", "false"] = "false",
) -> Response:
    """Hand in a case as a FHIR R4 Bundle; which resource gives which fact is the protocol's word.

    `Prefer: wait=N` and the Idempotency-Key mean what they mean for `POST /v1/cases`; the parameters beside the body
    belong to the request that a key stands for.
    """
    check_query(request, SUBMIT_CASE.parameters)
    house, key = house_of(request), idempotency_key(request)
    routine = risk_class == RiskClass.ROUTINE.value or training == "true"
    document, body = await _read(request, lambda: intake.glance(house, routine=routine))
    wanted = BundleSubmission(
        protocol=protocol,
        site=site,
        risk_class=RiskClass(risk_class),
        document=document,
        subject_systems=() if subject_system is None else (subject_system,),
        supersedes=None if supersedes is None else CaseId(supersedes),
        training=training == "true",
    )
    made = await fhir_intake.submit_bundle(house, principal, wanted, key, _whole_request(wanted, body))
    headers = {"Idempotency-Replayed": "true"} if made.submitted.repeated else {}
    if made.submitted.duplicate:
        headers["Arbiter-Duplicate"] = "true"
    view = await awaited(house, principal, made.submitted.case, wait_seconds(request), headers)
    settled = HTTPStatus.OK if made.submitted.duplicate else HTTPStatus.CREATED
    return _reply(request, view, settled, headers, made.left_out)


@router.post(
    AMEND_PATH,
    status_code=HTTPStatus.ACCEPTED,
    responses=replies({200: described(), 202: described()}, 404, 409, 413, 415, 422),
    openapi_extra=AMEND_CASE.openapi("Prefer"),
)
async def amend_by_bundle(request: Request, principal: Amender, case: _CaseText) -> Response:
    """Send facts of the case's own patient that replace or join those of the case; every member is asked again."""
    check_query(request, AMEND_CASE.parameters)
    house = house_of(request)
    document, _ = await _read(request)
    left_out = await fhir_intake.amend_by_bundle(house, principal, CaseId(case), document)
    headers: dict[str, str] = {}
    view = await awaited(house, principal, CaseId(case), wait_seconds(request), headers)
    return _reply(request, view, HTTPStatus.OK, headers, left_out)


async def _read(request: Request, glance: Callable[[], Awaitable[None]] | None = None) -> tuple[Json, bytes]:
    headers = request.headers
    check_media_type(
        headers.getlist("content-type"),
        headers.getlist("content-encoding"),
        MEDIA_TYPE,
        ("charset=utf-8", "fhirversion=4.0"),
    )
    body = await read_body(
        request.receive,
        headers.get("content-length"),
        unsent="expect" in headers,
        limit_bytes=BODY_LIMIT_BYTES,
    )
    if glance is not None:
        await glance()
    return await asyncio.to_thread(parse, body, DEPTH_LIMIT), body


def _whole_request(wanted: BundleSubmission, body: bytes) -> bytes:
    beside = (
        wanted.protocol,
        wanted.site,
        wanted.risk_class.value,
        *wanted.subject_systems,
        wanted.supersedes or "",
        "training" if wanted.training else "",
    )
    return b"fhir\n" + "\n".join(beside).encode() + b"\n\n" + body


def _reply(
    request: Request,
    view: CaseView,
    settled_status: int,
    headers: dict[str, str],
    left_out: Iterable[Problem],
) -> Response:
    headers["Location"] = f"/v1/cases/{view.id}"
    settled = view.phase in SETTLED
    if not settled:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    status = settled_status if settled else HTTPStatus.ACCEPTED
    if _wants_outcome(request):
        resource = _told_as_outcome(view, left_out)
        headers["Preference-Applied"] = ", ".join(
            [*filter(None, [headers.get("Preference-Applied")]), "return=OperationOutcome"]
        )
    else:
        resource = _parameters(view, settled=settled, left_out=left_out)
    return Response(fhir_bytes(resource), status, headers, media_type=MEDIA_TYPE)


def _wants_outcome(request: Request) -> bool:
    preferences = ",".join(request.headers.getlist("prefer")).replace(" ", "").lower()
    return "return=operationoutcome" in preferences.replace(";", ",").split(",")


def _told_as_outcome(view: CaseView, left_out: Iterable[Problem]) -> dict[str, Any]:
    told = {
        "severity": "information",
        "code": "informational",
        "diagnostics": f"case {view.id} is {view.phase.value}",
    }
    return outcome([told, *(issue("information", HTTPStatus.OK, one) for one in left_out)])


def _parameters(view: CaseView, *, settled: bool, left_out: Iterable[Problem]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": "case", "valueString": view.id},
        {"name": "location", "valueUri": f"/v1/cases/{view.id}"},
        {"name": "protocol", "valueString": view.protocol},
        {"name": "protocol-version", "valueString": view.protocol_version},
        {"name": "phase", "valueCode": view.phase.value},
        {"name": "settled", "valueBoolean": settled},
        {"name": "training", "valueBoolean": view.training},
        {"name": "facts-version", "valuePositiveInt": view.facts_version},
    ]
    if view.decided_by is not None:
        parameters.append({"name": "decided-by", "valueCode": view.decided_by.value})
    parameters += [
        {
            "name": "left-out",
            "part": [
                {"name": "expression", "valueString": expression_of(one.pointer)},
                {"name": "code", "valueCode": one.code},
                {"name": "reason", "valueString": one.detail},
            ],
        }
        for one in left_out
    ]
    return {"resourceType": "Parameters", "parameter": parameters}
