"""What is kept of a case's way from hand to hand, as sealed documents, and read back for whoever decides it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.model import ActorId
from arbiter.workflow.dossier import Document, Dossier
from arbiter.workflow.own_opinion import OwnOpinion, opinions_of_readers

NOTE: Final = "note"
"""The document that a reviewer who hands a case back may leave for whoever decides it."""


class Handed(StrEnum):
    """Why a case went on; the word is kept in the document."""

    REFERRED = "referred"
    DEFERRED = "deferred"
    CONFLICT = "conflict"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class HandedOn:
    """Who gave a case on, or took a decision back, and why; `name` is what people call them."""

    kind: Handed
    reviewer: ActorId
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReaderOpinion:
    """What another reviewer thought of the present facts before seeing anything; `arbiter`: as the one the case was handed up to."""

    reader: ActorId
    name: str
    opinion: OwnOpinion
    arbiter: bool


def handed_document(principal: Principal, kind: Handed, reason: str) -> dict[str, Any]:
    """Return the document `reason` of such a move; `reason` stands where every document of that name has it."""
    return {"reason": reason, "kind": kind.value, "reviewer": principal.id, "name": principal.name}


def wanted_document(principal: Principal, names: Sequence[str], note: str) -> dict[str, Any]:
    """Return the document `wanted`: the facts that a reviewer asks the hospital's system for, and the note to whoever sends them."""
    return {"reviewer": principal.id, "facts": sorted(set(names)), "note": note}


def attendance_document(holder: Principal, attendees: Sequence[Principal]) -> dict[str, Any]:
    """Return the document `attendance`: who sat together over the case, by id and by the name they had then."""
    return {
        "reviewer": holder.id,
        "attended": [{"id": person.id, "name": person.name} for person in attendees],
    }


def handed_on(dossier: Dossier) -> tuple[HandedOn, ...]:
    """Return who gave the case on with the facts that stand, oldest first; conflicts of interest are nobody's to read here."""
    found = (decode(document.content) for document in way_shown(dossier) if document.name == "reason")
    return tuple(
        HandedOn(Handed(content["kind"]), ActorId(content["reviewer"]), content["name"], content["reason"])
        for content in found
    )


def attended(dossier: Dossier) -> tuple[str, ...]:
    """Return the names of those who sat together over the case with the facts that stand, in the order they were recorded."""
    names = (
        person["name"]
        for document in way_shown(dossier)
        if document.name == "attendance"
        for person in decode(document.content)["attended"]
    )
    return tuple(dict.fromkeys(names))


def way_shown(dossier: Dossier, *, committed: bool = False) -> tuple[Document, ...]:
    """Return the documents of a case's way, with the facts that stand, that whoever decides it is shown: oldest first.

    Handover notes are among them for who has `committed` an opinion of their own.
    """
    since = dossier.latest("facts").seq
    return tuple(
        document
        for document in dossier.documents
        if document.seq > since
        and (document.name == "attendance" or (committed and document.name == NOTE) or _tells_why(document))
    )


def _tells_why(document: Document) -> bool:
    if document.name != "reason":
        return False
    return decode(document.content).get("kind") in {Handed.REFERRED, Handed.DEFERRED, Handed.CORRECTED}


def others_opinions(dossier: Dossier, reviewer: ActorId, names: dict[str, str]) -> tuple[ReaderOpinion, ...]:
    """Return what the other readers of a case thought, in their order."""
    arbiters = dossier.row.state.arbiters
    return tuple(
        ReaderOpinion(reader, names.get(reader, reader), opinion, reader in arbiters)
        for reader, opinion in opinions_of_readers(dossier)
        if reader != reviewer
    )
