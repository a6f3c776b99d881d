"""Where a case stands, and each of its steps, in words for whoever follows it at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from arbiter.lifecycle.entries import EntryType
from arbiter.lifecycle.states import Phase

STANDING: Mapping[Phase, str] = {
    Phase.RECEIVED: "taken; the panel has not been asked yet",
    Phase.DELIBERATING: "before the panel",
    Phase.AWAITING_FACTS: "waits for facts from the hospital's system",
    Phase.ESCALATED: "waits on the work list for a clinician",
    Phase.CLAIMED: "with a clinician",
    Phase.OPINION_COMMITTED: "with a clinician, whose own opinion is recorded",
    Phase.REVEALED: "with a clinician, who has seen the panel",
    Phase.DECIDED: "decided; told once a signed checkpoint covers it",
    Phase.RELEASED: "decided",
    Phase.CANCELLED: "cancelled",
    Phase.SUPERSEDED: "superseded by another case",
    Phase.ENTERED_IN_ERROR: "entered in error",
}

STEPS: Mapping[str, str] = {
    EntryType.RECEIVED: "the case was taken",
    EntryType.ASKED: "the panel was asked",
    EntryType.REROUTED: "a member was asked at another replica too",
    EntryType.OPINION: "a member answered",
    EntryType.FACTS_WANTED: "facts are wanted from the hospital's system",
    EntryType.FACTS_REQUESTED: "a clinician wants facts from the hospital's system",
    EntryType.FACTS_UNANSWERED: "the facts wanted did not come: back to the clinicians",
    EntryType.AMENDED: "new facts came",
    EntryType.ESCALATED: "escalated to a clinician",
    EntryType.OVERDUE: "nobody has taken it in time: follow the local procedure",
    EntryType.CLAIMED: "a clinician took it",
    EntryType.RENEWED: "the clinician is still at it",
    EntryType.CLAIM_ENDED: "the clinician let it go",
    EntryType.COMMITTED: "the clinician recorded an own opinion",
    EntryType.AUDIT_READ: "a clinician who had not seen the decision judged the case",
    EntryType.OUTCOME: "what turned out to be right was recorded",
    EntryType.REFERRED: "the clinician referred it to a senior arbiter",
    EntryType.DEFERRED: "the clinician set it aside for a while",
    EntryType.CONFLICT: "the clinician declared a conflict of interest",
    EntryType.REVEALED: "the clinician saw the panel",
    EntryType.CONVENED: "clinicians sat together over it",
    EntryType.SIGNED: "the clinician signed",
    EntryType.DECIDED: "decided",
    EntryType.WITHDRAWN: "the decision was withdrawn",
    EntryType.CORRECTED: "the decision is being corrected: do not act on it",
    EntryType.RELEASED: "the decision was released",
    EntryType.WITNESSED: "witnesses have caught up with the release",
    EntryType.CANCELLED: "cancelled",
    EntryType.CONTESTED: "contested: a clinician looks anew",
    EntryType.RETRACTED: "marked as entered in error",
    EntryType.SUPERSEDED: "another case takes its place",
    EntryType.READ: "somebody read its content",
    EntryType.HOLD_PLACED: "a legal hold forbids erasing it",
    EntryType.HOLD_LIFTED: "the legal hold was lifted",
    EntryType.ERASED: "erased: nobody can read it any more",
    EntryType.ERASURE_COMPLETED: "the last backup that held its key has expired",
    # Said by servers newer than this release.
    "escalation.climbed": "the next duty group was called",
    "escalation.unattended": "nobody answers: follow the local procedure",
    "escalation.acknowledged": "somebody on duty answered the call",
    "glass.broken": "somebody of another site looked, for a reason that is recorded",
}


def standing(case: Mapping[str, Any]) -> str:
    """Return where a case stands, from the server's words about it."""
    phase = str(case.get("phase"))
    words = STANDING[Phase(phase)] if phase in list(Phase) else phase
    if phase == Phase.RELEASED and case.get("decided_by"):
        words = f"decided by the {'panel' if case['decided_by'] == 'panel' else 'reviewer'}"
    if case.get("erasure"):
        words += f", erased ({case['erasure']})"
    if case.get("unwitnessed") is True:
        words += ", not witnessed yet"
    if case.get("training") is True:
        words = f"training, {words}"
    if case.get("overdue"):
        words += ", OVERDUE: follow the local procedure"
    if case.get("under_correction") is True:
        words += "; its former decision is being corrected: do not act on it"
    if case.get("successor"):
        words += f": {case['successor']}"
    return words


def step(kind: str) -> str:
    """Return what happened; an entry type that has no words here is shown as it is."""
    return STEPS.get(kind, kind)


def local_time(text: str) -> str:
    """Return an instant of the server's in this machine's own time zone, as a clock on the wall shows it; what is none is shown as it came."""
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return text
