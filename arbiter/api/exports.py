"""Exports of the log over REST: asked for, watched, fetched in ranges, deleted. For auditors alone."""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from arbiter.api.bodies import read_request
from arbiter.api.documentation import body_of, replies
from arbiter.api.headers import matches_etag
from arbiter.api.replies import json_reply
from arbiter.api.schemas.incoming import ExportIn
from arbiter.api.schemas.outgoing import ExportOut
from arbiter.api.security import house_of, requires
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow.exports import jobs
from arbiter.workflow.exports.jobs import ExportFile, ExportStanding
from arbiter.workflow.exports.selecting import selection_of

router = APIRouter(prefix="/v1/audit/exports", tags=["log"])

Auditor = Annotated[Principal, requires(Permission.AUDIT_READ)]
JobParam = Annotated[str, Path(alias="export", pattern=r"^e_[a-z2-7]{24}$")]

AGAIN_SECONDS = 2

_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_FILE = {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=replies({202: {"model": ExportOut}}, 404, 413, 415, 422, 503),
    openapi_extra=body_of(ExportIn),
)
async def ask_for_export(request: Request, principal: Auditor) -> Response:
    """Ask for an export of the log: all of it, or of cases, sites, an actor or a time.

    Documents in the clear take `audit:payloads` too; each case whose documents are opened gets an entry that says so,
    and the export itself is an entry.
    """
    asked, _ = await read_request(request, ExportIn)
    selection = selection_of(
        cases=asked.cases,
        sites=asked.sites,
        actor=asked.actor,
        since=asked.since,
        until=asked.until,
        payloads=asked.payloads,
        paper=asked.paper,
    )
    return _standing(await jobs.ask_for_export(house_of(request), principal, selection))


@router.get("/{export}", responses=replies({200: {"model": ExportOut}, 202: {"model": ExportOut}}, 404))
async def read_export(request: Request, principal: Auditor, export: JobParam) -> Response:
    """Read how far an export is: 202 while it is being made, 200 once it is done or has failed."""
    return _standing(await jobs.view_export(house_of(request), principal, export))


@router.get(
    "/{export}/file",
    response_class=Response,
    responses=replies({**_FILE, 206: {"description": "A range of the file"}}, 404, 409, 416),
)
async def read_export_file(request: Request, principal: Auditor, export: JobParam) -> Response:
    """Read the archive, or one range of it (RFC 9110 14). `Repr-Digest` is of the whole file."""
    file = await jobs.export_file(house_of(request), principal, export)
    digest = bytes.fromhex(file.sha256)
    etag = f'"{file.sha256}"'
    headers = {
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode('ascii')}:",
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{export}.zip"',
    }
    if matches_etag(request, etag):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    wanted = _range(request, file, etag)
    if wanted is None:
        return _bytes(file, 0, file.size, HTTPStatus.OK, headers)
    start, end = wanted
    if start >= end:
        headers["Content-Range"] = f"bytes */{file.size}"
        return Response(None, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return _bytes(file, start, end, HTTPStatus.PARTIAL_CONTENT, headers)


@router.delete("/{export}", status_code=HTTPStatus.NO_CONTENT, responses=replies({204: {}}, 404))
async def delete_export(request: Request, principal: Auditor, export: JobParam) -> Response:
    """Delete an export, finished or not: its file cannot be read any more."""
    await jobs.delete_export(house_of(request), principal, export)
    return Response(None, HTTPStatus.NO_CONTENT)


def _standing(job: ExportStanding) -> Response:
    place = f"/v1/audit/exports/{job.id}"
    headers = {"Location": place}
    if job.is_pending:
        headers["Retry-After"] = str(AGAIN_SECONDS)
    reply = ExportOut(
        id=job.id,
        state=job.state.value,
        entries_done=job.done,
        entries_total=job.total,
        payloads=job.payloads,
        size=job.size,
        sha256=job.sha256,
        fault=job.fault,
        created_at=job.created_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
        file=f"{place}/file" if job.state == "done" else None,
    )
    return json_reply(reply, HTTPStatus.ACCEPTED if job.is_pending else HTTPStatus.OK, headers)


def _range(request: Request, file: ExportFile, etag: str) -> tuple[int, int] | None:
    """Return the one range asked for as (start, end), empty if it cannot be satisfied; None for the whole file.

    Several ranges, other units and a file that changed since are answered with the whole, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range", etag) != etag or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, file.size - int(match[2])), file.size
    end = min(file.size, int(match[2]) + 1) if match[2] else file.size
    if match[2] and int(match[2]) < int(match[1]):
        return None
    return int(match[1]), end


def _bytes(file: ExportFile, start: int, end: int, status: int, headers: dict[str, str]) -> Response:
    headers["Content-Length"] = str(end - start)
    return StreamingResponse(file.read(start, end), status, headers, media_type="application/zip")
