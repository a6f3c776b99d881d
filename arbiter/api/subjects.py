"""Patients over REST: found by number, joined when two numbers are one patient, parted again. Numbers travel in bodies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from arbiter.api.bodies import read_request
from arbiter.api.documentation import body_of, replies
from arbiter.api.replies import case_out, json_reply
from arbiter.api.schemas.incoming import SubjectIn, SubjectMergeIn, SubjectSearchIn, SubjectSeparateIn
from arbiter.api.schemas.outgoing import JoinedOut, SubjectOut
from arbiter.api.security import house_of, requires
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow import subjects
from arbiter.workflow.subjects import Joined, SubjectRef

router = APIRouter(prefix="/v1/subjects", tags=["subjects"])

Reader = Annotated[Principal, requires(Permission.CASES_READ)]
Merger = Annotated[Principal, requires(Permission.SUBJECTS_MERGE)]


@router.post(
    "/search",
    responses=replies({200: {"model": SubjectOut}}, 413, 415, 422),
    openapi_extra=body_of(SubjectSearchIn),
)
async def search_subject(request: Request, principal: Reader) -> Response:
    """Find a patient's cases at this client's sites, newest first; a search that shows any becomes an entry of the log."""
    wanted, _ = await read_request(request, SubjectSearchIn)
    found = await subjects.search(
        house_of(request), principal, _ref(wanted.subject), wanted.cursor, wanted.limit
    )
    cases = tuple(case_out(view) for view in found.page.cases)
    return json_reply(SubjectOut(subject=found.subject, cases=cases, next_cursor=found.page.next_cursor))


@router.post(
    "/merge",
    responses=replies({200: {"model": JoinedOut}}, 404, 409, 413, 415, 422),
    openapi_extra=body_of(SubjectMergeIn),
)
async def merge_subjects(request: Request, principal: Merger) -> Response:
    """Say that two numbers are one patient; both have an entry in the log."""
    wanted, _ = await read_request(request, SubjectMergeIn)
    joined = await subjects.merge(house_of(request), principal, _ref(wanted.absorbed), _ref(wanted.surviving))
    return _joined(joined)


@router.post(
    "/separate",
    responses=replies({200: {"model": JoinedOut}}, 409, 413, 415, 422),
    openapi_extra=body_of(SubjectSeparateIn),
)
async def separate_subjects(request: Request, principal: Merger) -> Response:
    """Say that a number was joined to another patient's by mistake."""
    wanted, _ = await read_request(request, SubjectSeparateIn)
    return _joined(await subjects.separate(house_of(request), principal, _ref(wanted.absorbed)))


def _ref(subject: SubjectIn) -> SubjectRef:
    return SubjectRef(subject.system, subject.value)


def _joined(joined: Joined) -> Response:
    return json_reply(JoinedOut(absorbed=joined.absorbed, surviving=joined.surviving))
