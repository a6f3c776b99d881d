"""Cases over REST: handed in, watched, read, amended, withdrawn, contested, and told the outcome of.

Handlers read the request, call one use case and write the reply; whatever is refused is raised and becomes a problem.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response

from arbiter.api.bodies import (
    known_outcome,
    looks_routine,
    raw_context,
    raw_facts,
    read_request,
    submission,
)
from arbiter.api.documentation import body_of, replies
from arbiter.api.events import stream_steps
from arbiter.api.headers import check_query, content_digests, idempotency_key, matches_etag, wait_seconds
from arbiter.api.problems import BadRequestError
from arbiter.api.replies import (
    bytes_reply,
    case_etag,
    case_out,
    content_out,
    decision_out,
    json_reply,
    wanted_out,
)
from arbiter.api.schemas.incoming import CaseIn, FactsIn, OutcomeIn, ReasonIn
from arbiter.api.schemas.outgoing import (
    AcknowledgedOut,
    CaseOut,
    CasePageOut,
    ContentOut,
    DecisionOut,
    GlassOut,
    WantedOut,
)
from arbiter.api.security import house_of, requires
from arbiter.api.texts import RiskText
from arbiter.errors import Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.workflow import acknowledging, amending, closing, glass, intake, outcomes, reading
from arbiter.workflow.house import House
from arbiter.workflow.reading import SETTLED
from arbiter.workflow.views import CaseView

router = APIRouter(prefix="/v1/cases", tags=["cases"])

RETRY_AFTER_SECONDS = 1

CaseParam = Annotated[str, Path(alias="case", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Submitter = Annotated[Principal, requires(Permission.CASES_SUBMIT)]
Reader = Annotated[Principal, requires(Permission.CASES_READ)]
Amender = Annotated[Principal, requires(Permission.CASES_AMEND)]
Canceller = Annotated[Principal, requires(Permission.CASES_CANCEL)]
OutcomeTeller = Annotated[Principal, requires(Permission.CASES_OUTCOME)]
Contester = Annotated[Principal, requires(Permission.CASES_CONTEST)]
Acknowledger = Annotated[Principal, requires(Permission.ESCALATIONS_ACKNOWLEDGE)]
GlassBreaker = Annotated[Principal, requires(Permission.CASES_BREAK_GLASS)]
Retracter = Annotated[Principal, requires(Permission.CASES_RETRACT)]


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=replies({201: {"model": CaseOut}, 202: {"model": CaseOut}}, 400, 409, 413, 415, 422, 429, 503),
    openapi_extra=body_of(CaseIn, "Idempotency-Key", "Prefer"),
)
async def submit_case(request: Request, principal: Submitter) -> Response:
    """Hand in a case.

    `Prefer: wait=N` waits up to N seconds (60 at most) for the case to settle: then 201, else 202 and a place to ask
    again. The same Idempotency-Key with the same body answers with the same case; with another body it is refused.
    Under another key, the same facts about the same subject within the protocol's `duplicate_window_seconds` answer
    with the case that is there, `Arbiter-Duplicate: true` and 200 or 202.
    """
    house = house_of(request)
    key = idempotency_key(request)
    case, body = await read_request(
        request, CaseIn, lambda body: intake.glance(house, routine=looks_routine(body))
    )
    submitted = await intake.submit(house, principal, submission(case), key, body)
    headers = {"Idempotency-Replayed": "true"} if submitted.repeated else {}
    if submitted.duplicate:
        headers["Arbiter-Duplicate"] = "true"
    view = await awaited(house, principal, submitted.case, wait_seconds(request), headers)
    return _standing(view, HTTPStatus.OK if submitted.duplicate else HTTPStatus.CREATED, headers)


async def awaited(
    house: House, principal: Principal, case: CaseId, seconds: int | None, headers: dict[str, str]
) -> CaseView:
    """Return where the case stands, after waiting for it to settle if the caller asked for that."""
    if seconds is None:
        return await reading.view_case(house, principal, case)
    headers["Preference-Applied"] = f"wait={seconds}"
    return await reading.wait_until_settled(house, principal, case, float(seconds))


def _standing(view: CaseView, settled_status: int, headers: dict[str, str]) -> Response:
    headers["Location"] = f"/v1/cases/{view.id}"
    if view.phase in SETTLED:
        return json_reply(case_out(view), settled_status, headers)
    headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return json_reply(case_out(view), HTTPStatus.ACCEPTED, headers)


_LIST_PARAMETERS = frozenset({"phase", "protocol", "risk_class", "site", "cursor", "limit"})


@router.get("", responses=replies({200: {"model": CasePageOut}, 304: {"description": "Not changed"}}, 400))
async def list_cases(
    request: Request,
    principal: Reader,
    phase: Phase | None = None,
    protocol: Annotated[str | None, Query(max_length=64)] = None,
    risk_class: RiskText | None = None,
    site: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List the cases of this client's sites, newest first; `Link: rel="next"` leads to the next page.

    Made to be polled with `If-None-Match`.
    """
    check_query(request, _LIST_PARAMETERS)
    try:
        page = await reading.list_cases(
            house_of(request),
            principal,
            phase=phase,
            protocol=protocol,
            risk_class=None if risk_class is None else RiskClass(risk_class),
            site=site,
            cursor=cursor,
            limit=limit,
        )
    except RefusedError as error:
        problem = Problem("query:cursor", "unknown-cursor", "expected a cursor that a page of this list gave")
        raise BadRequestError("a parameter does not fit", (problem,)) from error
    headers = {}
    if page.next_cursor is not None:
        filters = {"phase": phase, "protocol": protocol, "risk_class": risk_class, "site": site}
        query = {name: value for name, value in filters.items() if value is not None}
        query |= {"limit": str(limit), "cursor": page.next_cursor}
        headers["Link"] = f'</v1/cases?{urlencode(query)}>; rel="next"'
    out = CasePageOut(cases=tuple(case_out(view) for view in page.cases), next_cursor=page.next_cursor)
    content = out.model_dump_json().encode()
    return bytes_reply(content, "application/json", headers | content_digests(content), request)


@router.get(
    "/{case}",
    responses=replies({200: {"model": CaseOut}, 304: {"description": "Not changed"}}, 404),
    openapi_extra=body_of(None, "Prefer"),
)
async def view_case(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Tell where a case stands, without content; made to be polled, with `If-None-Match` or `Prefer: wait=N`."""
    headers: dict[str, str] = {}
    view = await awaited(house_of(request), principal, CaseId(case), wait_seconds(request), headers)
    headers["ETag"] = case_etag(view)
    if matches_etag(request, headers["ETag"]):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return json_reply(case_out(view), headers=headers)


@router.get("/{case}/content", responses=replies({200: {"model": ContentOut}}, 404, 409))
async def read_content(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Read a case with its facts; the reading becomes an entry of the log."""
    return json_reply(content_out(await reading.read_content(house_of(request), principal, CaseId(case))))


@router.get("/{case}/wanted", responses=replies({200: {"model": WantedOut}}, 404, 409))
async def read_wanted(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Read which facts a case waits for; 409 when it waits for none. The reading becomes an entry of the log."""
    return json_reply(wanted_out(await reading.wanted_facts(house_of(request), principal, CaseId(case))))


@router.get("/{case}/decision", responses=replies({200: {"model": DecisionOut}}, 404, 409))
async def read_decision(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Read the released decision; 409 while there is none. The reading becomes an entry of the log."""
    return json_reply(decision_out(await reading.decision(house_of(request), principal, CaseId(case))))


@router.get(
    "/{case}/certificate",
    responses=replies({200: {"description": "arbiter/certificate/v1"}}, 404, 409),
)
async def read_certificate(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Read the latest sealed certificate: canonical JSON, byte for byte what the log commits to."""
    content = await reading.certificate(house_of(request), principal, CaseId(case))
    return bytes_reply(content, "application/json", content_digests(content), request)


@router.get("/{case}/receipt", responses=replies({200: {"description": "arbiter/receipt/v1"}}, 404, 409))
async def read_receipt(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Read the receipt of that certificate: what a third party needs to verify it without this service.

    `Arbiter-Unwitnessed: true` says that the witnesses its risk class asks for have not cosigned yet: it can be had anew.
    """
    house = house_of(request)
    content = await reading.receipt(house, principal, CaseId(case))
    headers = content_digests(content)
    if (await reading.view_case(house, principal, CaseId(case))).unwitnessed:
        headers = {**headers, "Arbiter-Unwitnessed": "true"}
    return bytes_reply(content, "application/json", headers, request)


@router.get(
    "/{case}/events",
    responses=replies({200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}, 404, 503),
    openapi_extra=body_of(None, "Last-Event-ID"),
)
async def follow_case(request: Request, principal: Reader, case: CaseParam) -> Response:
    """Follow a case by server-sent events: one an entry, numbered, resumable by `Last-Event-ID`; 204 when it is over."""
    return await stream_steps(request, house_of(request), principal, CaseId(case))


@router.post(
    "/{case}/facts",
    status_code=HTTPStatus.ACCEPTED,
    responses=replies({200: {"model": CaseOut}, 202: {"model": CaseOut}}, 404, 409, 413, 415, 422),
    openapi_extra=body_of(FactsIn, "Prefer"),
)
async def amend_facts(request: Request, principal: Amender, case: CaseParam) -> Response:
    """Send facts that replace or join those of the case; every member is asked again."""
    house = house_of(request)
    amendment, _ = await read_request(request, FactsIn)
    facts, context = raw_facts(amendment.facts), raw_context(amendment.context)
    view = await amending.amend(house, principal, CaseId(case), facts, context)
    headers: dict[str, str] = {}
    if (seconds := wait_seconds(request)) is not None:
        view = await awaited(house, principal, CaseId(case), seconds, headers)
    return _standing(view, HTTPStatus.OK, headers)


@router.post("/{case}/acknowledge", responses=replies({200: {"model": AcknowledgedOut}}, 404, 409))
async def acknowledge_case(request: Request, principal: Acknowledger, case: CaseParam) -> Response:
    """Answer the call about an escalation, so that no further rung is called; there is no body. Repeating it is safe."""
    await acknowledging.acknowledge(house_of(request), principal, CaseId(case))
    return json_reply(AcknowledgedOut(case=case))


_CLOSING_REPLIES = replies({200: {"model": CaseOut}}, 404, 409, 413, 415, 422)


@router.post("/{case}/cancel", responses=_CLOSING_REPLIES, openapi_extra=body_of(ReasonIn))
async def cancel_case(request: Request, principal: Canceller, case: CaseParam) -> Response:
    """Say that no decision is needed any more."""
    reason, _ = await read_request(request, ReasonIn)
    return json_reply(
        case_out(await closing.cancel(house_of(request), principal, CaseId(case), reason.reason))
    )


@router.post("/{case}/contest", responses=_CLOSING_REPLIES, openapi_extra=body_of(ReasonIn))
async def contest_case(request: Request, principal: Contester, case: CaseParam) -> Response:
    """Dispute a released decision: a clinician looks at it anew."""
    reason, _ = await read_request(request, ReasonIn)
    return json_reply(
        case_out(await closing.contest(house_of(request), principal, CaseId(case), reason.reason))
    )


@router.post("/{case}/outcome", responses=_CLOSING_REPLIES, openapi_extra=body_of(OutcomeIn))
async def record_outcome(request: Request, principal: OutcomeTeller, case: CaseParam) -> Response:
    """Tell what turned out to be right for the patient: the panel is measured by it. Nothing else about the case changes.

    Of several that are told, the newest of each kind counts; repeating one is safe. What a clinician decided after seeing the
    panel is no outcome.
    """
    told, _ = await read_request(request, OutcomeIn)
    view = await outcomes.record(house_of(request), principal, CaseId(case), known_outcome(told))
    return json_reply(case_out(view))


@router.post(
    "/{case}/break-glass",
    responses=replies({200: {"model": GlassOut}}, 404, 409, 413, 415, 422),
    openapi_extra=body_of(ReasonIn),
)
async def break_glass(request: Request, principal: GlassBreaker, case: CaseParam) -> Response:
    """Look at a foreign site's case for an hour, for a reason; the log says so and the requester is told."""
    reason, _ = await read_request(request, ReasonIn)
    view, until = await glass.break_glass(house_of(request), principal, CaseId(case), reason.reason)
    return json_reply(GlassOut(case=case_out(view), until=until))


@router.post("/{case}/retract", responses=_CLOSING_REPLIES, openapi_extra=body_of(ReasonIn))
async def retract_case(request: Request, principal: Retracter, case: CaseParam) -> Response:
    """Say that the case was entered in error."""
    reason, _ = await read_request(request, ReasonIn)
    return json_reply(
        case_out(await closing.retract(house_of(request), principal, CaseId(case), reason.reason))
    )
