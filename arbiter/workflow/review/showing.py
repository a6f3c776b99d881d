"""What the page with the form to sign is made from, as a document whose hash the form carries and the signature covers."""

from __future__ import annotations

from collections.abc import Sequence

from arbiter.documents.canonical import decode
from arbiter.documents.signing import Shown, sha256_of
from arbiter.errors import NotFoundError
from arbiter.identity.principals import Principal
from arbiter.workflow.certifying import MEANING
from arbiter.workflow.dossier import Document, Dossier
from arbiter.workflow.own_opinion import committed_by


def shown_to(dossier: Dossier, principal: Principal, others: Sequence[Document] = ()) -> Shown:
    """Return what this reviewer's page with the panel is made from as the case stands; `others` are readers' opinions it shows.

    Whoever shows the page and whoever takes its form must name the same `others`, or nothing is ever signed.
    """
    return Shown(
        case=dossier.row.id,
        request=sha256_of(dossier.latest("request").content),
        facts=sha256_of(dossier.latest("facts").content),
        certificate=sha256_of(dossier.latest("certificate").content),
        meaning=MEANING,
        own=_own(dossier, principal),
        readers=tuple(sha256_of(document.content) for document in others),
        context=_context(dossier),
    )


def _own(dossier: Dossier, principal: Principal) -> str | None:
    if committed_by(dossier, principal) is None:
        return None
    return next(
        sha256_of(document.content)
        for document in reversed(dossier.documents)
        if document.name == "review" and decode(document.content)["reviewer"] == principal.id
    )


def _context(dossier: Dossier) -> str | None:
    try:
        return sha256_of(dossier.latest("context").content)
    except NotFoundError:
        return None
