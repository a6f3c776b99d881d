"""A case's entries of the log and their proofs, for auditors of its site.

An entry never changes and names who did what by opaque ids alone; the proof is made anew under the newest checkpoint.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse

from arbiter.api.cases import CaseParam
from arbiter.api.documentation import replies
from arbiter.api.headers import check_query, content_digests
from arbiter.api.replies import bytes_reply
from arbiter.api.security import house_of, requires
from arbiter.audit.case_proofs import CaseProofs
from arbiter.audit.entry import Entry
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId
from arbiter.workflow.log import proving

router = APIRouter(prefix="/v1/cases", tags=["log"])

ZIP = "application/zip"
_DAY_OF_ZIPS = (1980, 1, 1, 0, 0, 0)
"""The one date in every archive, so that the same proofs are the same bytes."""

Auditor = Annotated[Principal, requires(Permission.AUDIT_READ)]
SeqParam = Annotated[int, Path(alias="seq", ge=0, le=2**31 - 1)]

_PARAMETERS = frozenset({"after", "limit"})


@router.get(
    "/{case}/proofs",
    responses=replies(
        {200: {"description": "arbiter/case-proofs/v1, or a zip of entries and tlog-proof files"}},
        400,
        404,
        409,
    ),
)
async def read_case_proofs(
    request: Request,
    auditor: Auditor,
    case: CaseParam,
    after: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    limit: Annotated[int, Query(ge=1, le=proving.PAGE_LIMIT)] = proving.PAGE,
) -> Response:
    """Read a case's sealed entries with their proofs, all under the newest checkpoint; 409 while none is sealed.

    JSON (arbiter/case-proofs/v1), or with `Accept: application/zip` an archive with each entry and its C2SP tlog-proof
    in files of their own. `Arbiter-Unsealed` counts entries that wait; `Link: rel="next"` leads on.
    """
    check_query(request, _PARAMETERS)
    page = await proving.case_proofs(house_of(request), auditor, CaseId(case), after, limit)
    headers = {"Arbiter-Unsealed": str(page.unsealed), "Vary": "Accept"}
    if page.next_after is not None:
        query = urlencode({"after": page.next_after, "limit": limit})
        headers["Link"] = f'</v1/cases/{case}/proofs?{query}>; rel="next"'
    if _wants_zip(request):
        # A thousand entries are two thousand files: a third of a second in which nobody else would be answered.
        content = await asyncio.to_thread(_zipped, page.proofs)
        headers["Content-Disposition"] = f'attachment; filename="{case}-proofs.zip"'
        return bytes_reply(content, ZIP, headers | content_digests(content), request)
    content = page.proofs.encode()
    return bytes_reply(content, "application/json", headers | content_digests(content), request)


@router.get(
    "/{case}/entries/{seq}",
    responses=replies({200: {"description": "An entry, byte for byte as logged"}}, 400, 404),
)
async def read_case_entry(request: Request, auditor: Auditor, case: CaseParam, seq: SeqParam) -> Response:
    """Read one entry of a case, sealed or not, byte for byte: its SHA-256 behind a zero byte is the leaf's hash."""
    content = await proving.case_entry(house_of(request), auditor, CaseId(case), seq)
    return bytes_reply(content, "application/json", content_digests(content), request)


@router.get(
    "/{case}/entries/{seq}/proof",
    response_class=PlainTextResponse,
    responses=replies({200: {"description": "C2SP tlog-proof"}}, 400, 404, 409),
)
async def read_case_proof(request: Request, auditor: Auditor, case: CaseParam, seq: SeqParam) -> Response:
    """Read the proof of that entry: a C2SP tlog-proof file under the newest checkpoint; 409 while it is being sealed."""
    proof = await proving.case_proof(house_of(request), auditor, CaseId(case), seq)
    content = proof.encode()
    headers = {"Content-Disposition": f'attachment; filename="{case}-{seq}.tlog-proof"'}
    return bytes_reply(content, "text/plain", headers | content_digests(content), request)


def _wants_zip(request: Request) -> bool:
    """Whether the archive was asked for by name; JSON is what everybody else gets."""
    accepted = [part for value in request.headers.getlist("accept") for part in value.split(",")]
    return any(part.partition(";")[0].strip().lower() == ZIP for part in accepted)


def _zipped(proofs: CaseProofs) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for proven in proofs.entries:
            name = f"{Entry.from_bytes(proven.entry).seq:06d}"
            for file, content in (
                (f"{name}.json", proven.entry),
                (f"{name}.tlog-proof", proven.proof(proofs.checkpoint).encode()),
            ):
                archive.writestr(zipfile.ZipInfo(file, _DAY_OF_ZIPS), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()
