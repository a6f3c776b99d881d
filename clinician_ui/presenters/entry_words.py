"""What each kind of entry says, for people who read the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from arbiter.lifecycle.entries import EntryType
from clinician_ui.texts import _, noted

E = EntryType

OF_CASES: Mapping[str, str] = {
    E.RECEIVED: noted("The case was taken in"),
    E.ASKED: noted("The panel was asked"),
    E.REROUTED: noted("A member was asked at another server too"),
    E.OPINION: noted("A member answered"),
    E.FACTS_WANTED: noted("Facts were asked for from the hospital's system"),
    E.FACTS_REQUESTED: noted("A clinician asked the hospital's system for more"),
    E.FACTS_UNANSWERED: noted("The facts a clinician asked for did not come in time"),
    E.AMENDED: noted("New facts came"),
    E.ESCALATED: noted("The case went to the clinicians"),
    E.OVERDUE: noted("Nobody had taken it in time"),
    E.CLIMBED: noted("The next people were called"),
    E.ACKNOWLEDGED: noted("Somebody on duty answered the call"),
    E.UNATTENDED: noted("Nobody answered; the requester was told so"),
    E.CLAIMED: noted("A clinician took the case"),
    E.RENEWED: noted("The clinician kept it for longer"),
    E.CLAIM_ENDED: noted("The clinician let it go, or their time ran out"),
    E.COMMITTED: noted("The clinician's own opinion was locked"),
    E.REFERRED: noted("A clinician referred the case to an arbiter"),
    E.DEFERRED: noted("A clinician set the case aside until later"),
    E.CONFLICT: noted("A clinician declared a conflict of interest"),
    E.AUDIT_READ: noted("A clinician who had not seen the decision judged the case"),
    E.REVEALED: noted("The panel was shown to the clinician"),
    E.CONVENED: noted("It was recorded who sat together over the case"),
    E.SIGNED: noted("The clinician signed"),
    E.DECIDED: noted("The case was decided"),
    E.WITHDRAWN: noted("The decision was withdrawn"),
    E.CORRECTED: noted("A clinician took the decision back, to sign anew"),
    E.RELEASED: noted("The decision was released"),
    E.WITNESSED: noted("Enough witnesses have cosigned"),
    E.CANCELLED: noted("The requester cancelled the case"),
    E.CONTESTED: noted("The decision was contested"),
    E.OUTCOME: noted("What turned out to be right was recorded"),
    E.RETRACTED: noted("The case was marked as entered in error"),
    E.SUPERSEDED: noted("Another case took its place"),
    E.READ: noted("Somebody read its content"),
    E.GLASS_BROKEN: noted("Somebody of another site opened it, for a reason that is kept"),
    E.HOLD_PLACED: noted("A legal hold was placed"),
    E.HOLD_LIFTED: noted("The legal hold was lifted"),
    E.ERASED: noted("The case was erased"),
    E.ERASURE_COMPLETED: noted("The last copy of its key has expired"),
}

DOCUMENTS: Mapping[str, str] = {
    "request": noted("the request"),
    "facts": noted("the facts"),
    "reroute": noted("where the member was asked again"),
    "opinion": noted("the answer"),
    "exchange": noted("what was sent to the model and what came back"),
    "certificate": noted("the certificate"),
    "lesson": noted("that it was opened to learn from"),
    "draw": noted("the draw for an audit"),
    "review": noted("the clinician's own opinion"),
    "reading": noted("the reader's opinion"),
    "signature": noted("the signature"),
    "reason": noted("the reason"),
    "outcome": noted("the outcome"),
    "context": noted("what the hospital told beside the facts"),
    "wanted": noted("the facts that were asked for"),
    "attendance": noted("who sat together"),
    "note": noted("a handover note"),
}


def says(kind: str) -> str:
    """Return what an entry says; a kind that has no words here is shown as it is."""
    return _(OF_CASES[kind]) if kind in OF_CASES else kind


def document_words(name: str) -> str:
    """Return what a document is called; its name where it has no words here."""
    return _(DOCUMENTS[name]) if name in DOCUMENTS else name


def kinds() -> tuple[tuple[str, str], ...]:
    """Return the kinds that a search offers, each with its words."""
    return tuple((kind, _(words)) for kind, words in OF_CASES.items())
