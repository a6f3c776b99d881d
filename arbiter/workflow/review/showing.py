"""What the page with the form to sign is made from, as a document whose hash the form carries and the signature covers."""

from __future__ import annotations

from arbiter.documents.signing import Shown, sha256_of
from arbiter.errors import NotFoundError
from arbiter.identity.principals import Principal
from arbiter.workflow.certifying import MEANING
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.own_opinion import committed_by, newest_document, reviews_of_readers
from arbiter.workflow.review.passing_on import way_shown


def shown_to(dossier: Dossier, principal: Principal) -> Shown:
    """Return what this reviewer's page with the panel is made from as the case stands, other readers' opinions among it."""
    own = _own(dossier, principal)
    return Shown(
        case=dossier.row.id,
        request=sha256_of(dossier.latest("request").content),
        facts=sha256_of(dossier.latest("facts").content),
        certificate=sha256_of(dossier.latest("certificate").content),
        meaning=MEANING,
        own=own,
        readers=tuple(
            sha256_of(document.content)
            for reader, document in reviews_of_readers(dossier)
            if reader != principal.id
        ),
        handed=tuple(
            sha256_of(document.content) for document in way_shown(dossier, committed=own is not None)
        ),
        context=_context(dossier),
    )


def _own(dossier: Dossier, principal: Principal) -> str | None:
    if committed_by(dossier, principal) is None:
        return None
    document = newest_document(dossier, principal.id, "review", dossier.latest("facts").seq)
    return None if document is None else sha256_of(document.content)


def _context(dossier: Dossier) -> str | None:
    try:
        return sha256_of(dossier.latest("context").content)
    except NotFoundError:
        return None
