"""Texts of the record out of a Bundle: current DocumentReferences (R4) with one inline text/plain attachment.

Guarantees: nothing is fetched, rendered or guessed; a document that is not plain text at hand is left out and told by its place, and
none of them refuses a Bundle that was taken before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from arbiter.documents.context import RecordText
from arbiter.protocols.context import TEXT_LIMIT
from arbiter.protocols.fhir.opening import Content
from arbiter.protocols.fhir.resources import Element, Modifiable, Resource, read_as
from arbiter.protocols.fhir.statements import Notes
from arbiter.protocols.fhir.times import earliest_of, instant_of

DOCUMENT_REFERENCE: Final = "DocumentReference"
UNSTATED_KIND: Final = "document"
UNSTATED_AUTHOR: Final = "not stated"
"""R4 names authors by reference; whose name stands there is no role, and is not kept."""

_PLAIN: Final = ("text/plain", "text/plain;charset=utf-8")
_DATA_LIMIT: Final = 4 * TEXT_LIMIT * 4 // 3 + 4


class _DisplayedCoding(Element):
    display: str | None = None


class _Named(Element):
    text: str | None = None
    coding: list[_DisplayedCoding] = Field(default_factory=list)


class _Attachment(Element):
    content_type: str | None = Field(None, alias="contentType")
    data: str | None = None
    title: str | None = None
    creation: str | None = None


class _Holding(Modifiable):
    attachment: _Attachment


class _DocumentReference(Resource):
    status: str
    doc_status: str | None = Field(None, alias="docStatus")
    type: _Named | None = None
    subject: dict[str, Any] | None = None
    date: str | None = None
    description: str | None = None
    content: list[_Holding] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FoundText:
    """A text with the JSON pointer of its resource."""

    text: RecordText
    place: str


def texts_of(content: Content, notes: Notes) -> Iterator[FoundText]:
    """Yield the texts that a Bundle's DocumentReferences hold, and note each that is left out."""
    for index, resource in content.documents:
        place = f"/entry/{index}/resource"
        reference = read_as(_DocumentReference, resource, place, [])
        if reference is None or reference.implicit_rules is not None:
            notes.leave(place, "document", "no DocumentReference that can be read")
            continue
        obstacle = _obstacle(reference)
        if obstacle is not None:
            notes.leave(f"{place}/{obstacle[0]}", "document", obstacle[1])
            continue
        found = _plain_text(reference)
        if found is None:
            notes.leave(f"{place}/content", "document", "expected an inline attachment of plain UTF-8 text")
            continue
        attachment, text = found
        written_at = _written_at(reference, attachment)
        if written_at is None:
            notes.leave(f"{place}/date", "instant", "nothing says when this was written")
            continue
        kind = _kind(reference)
        title = attachment.title or reference.description or kind
        yield FoundText(RecordText(title, kind, written_at, UNSTATED_AUTHOR, text), place)


def _obstacle(reference: _DocumentReference) -> tuple[str, str] | None:
    if reference.status != "current":
        return "status", "a document that is not current"
    if reference.doc_status == "entered-in-error":
        return "docStatus", "entered in error"
    if reference.modifier_extension:
        return "modifierExtension", "a modifier extension, none of which is understood here"
    if reference.subject is None:
        return "subject", "a document that does not say whom it is about"
    return None


def _plain_text(reference: _DocumentReference) -> tuple[_Attachment, str] | None:
    """Return the first attachment that is plain text at hand; several are one document in several forms."""
    for holding in reference.content:
        attachment = holding.attachment
        kind = (attachment.content_type or "").lower().replace(" ", "")
        if holding.modifier_extension or kind not in _PLAIN or attachment.data is None:
            continue
        if len(attachment.data) > _DATA_LIMIT:
            continue
        try:
            text = base64.b64decode(attachment.data, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            continue
        return attachment, text
    return None


def _written_at(reference: _DocumentReference, attachment: _Attachment) -> datetime | None:
    if attachment.creation is not None and (at := earliest_of(attachment.creation)) is not None:
        return at
    return None if reference.date is None else instant_of(reference.date)


def _kind(reference: _DocumentReference) -> str:
    named = reference.type
    if named is None:
        return UNSTATED_KIND
    displayed = next((one.display for one in named.coding if one.display), None)
    return named.text or displayed or UNSTATED_KIND
