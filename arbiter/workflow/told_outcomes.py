"""What a case's dossier holds of what turned out to be right for its patient."""

from __future__ import annotations

from typing import Final

from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.workflow.dossier import Dossier

DOCUMENT: Final = "outcome"


def newest(dossier: Dossier, kind: OutcomeKind) -> KnownOutcome | None:
    """Return what was told last of that kind, None where nothing was."""
    for document in reversed(dossier.documents):
        if document.name == DOCUMENT:
            told = KnownOutcome.decode(document.content)
            if told.kind is kind:
                return told
    return None
