"""Views become reply bodies: one function a shape."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request, Response
from pydantic import BaseModel

from arbiter.api.headers import matches_etag
from arbiter.api.schemas.outgoing import (
    CaseOut,
    ContentOut,
    DecisionOut,
    FactOut,
    NoticeOut,
    NoticePageOut,
    WantedFactOut,
    WantedOut,
)
from arbiter.channels.notice import ADVICE, Notice, document_of
from arbiter.workflow.notices import NoticePage
from arbiter.workflow.reading import SETTLED
from arbiter.workflow.views import CaseContent, CaseView, DecisionView, WantedFacts


def case_out(view: CaseView) -> CaseOut:
    """Return the reply form of a case's standing."""
    return CaseOut(
        id=view.id,
        protocol=view.protocol,
        protocol_version=view.protocol_version,
        protocol_hash=view.protocol_hash,
        site=view.site,
        requester=view.requester,
        risk_class=view.risk_class.value,
        phase=view.phase,
        settled=view.phase in SETTLED,
        facts_version=view.facts_version,
        created_at=view.created_at,
        changed_at=view.changed_at,
        due_at=view.due_at,
        overdue=view.overdue,
        decided_by=None if view.decided_by is None else view.decided_by.value,
        successor=view.successor,
        entries=view.entries,
        acknowledged=view.acknowledged,
        unattended=view.unattended,
        advice=ADVICE if view.unattended else None,
        training=view.training,
        held=view.held,
        erasure=None if view.erasure is None else view.erasure.value,
        unwitnessed=view.unwitnessed,
        under_correction=view.under_correction,
    )


def wanted_out(wanted: WantedFacts) -> WantedOut:
    """Return the reply form of what a case waits for."""
    return WantedOut(
        case=wanted.case,
        facts=tuple(WantedFactOut(name=name, title=title) for name, title in wanted.facts),
        asked_by="reviewer" if wanted.by_reviewer else "panel",
        note=wanted.note,
        due_at=wanted.due_at,
    )


def content_out(content: CaseContent) -> ContentOut:
    """Return the reply form of a case with its facts."""
    return ContentOut(
        case=case_out(content.view),
        subject={"system": content.subject_system, "value": content.subject_value},
        encounter=content.encounter,
        facts_version=content.facts.version,
        facts={
            fact.name: FactOut(
                value=fact.value,
                unit=fact.unit,
                observed_at=fact.observed_at,
                status=fact.status.value,
                source=fact.source,
            )
            for fact in content.facts
        },
    )


def decision_out(view: DecisionView) -> DecisionOut:
    """Return the reply form of a released decision."""
    return DecisionOut(
        case=view.case,
        option=view.option,
        title=view.title,
        decided_by=view.decided_by.value,
        decided_at=view.decided_at,
        certificate_sha256=view.certificate_sha256,
        plain=view.plain,
        unwitnessed=view.unwitnessed,
    )


def notices_out(page: NoticePage) -> NoticePageOut:
    """Return the reply form of a page of notices."""
    return NoticePageOut(notices=tuple(_notice_out(notice) for notice in page.notices), next=str(page.next))


def _notice_out(notice: Notice) -> NoticeOut:
    document = document_of(notice)
    return NoticeOut(id=notice.id, type=document["type"], timestamp=notice.at, data=document["data"])


def json_reply(
    model: BaseModel, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response made in one pass from a model."""
    return Response(model.model_dump_json(), status, headers, media_type="application/json")


def case_etag(view: CaseView) -> str:
    """Return the weak tag of a case's standing: it changes with every entry."""
    return f'W/"{view.entries}-{view.phase.value}"'


def bytes_reply(content: bytes, media_type: str, headers: Mapping[str, str], request: Request) -> Response:
    """Return these bytes with the headers given, or 304 when the caller holds them already."""
    etag = headers.get("ETag")
    if etag is not None and matches_etag(request, etag):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return Response(content, HTTPStatus.OK, headers, media_type=media_type)
