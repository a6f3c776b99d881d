"""What a clinician thinks of a case before seeing the panel, checked against the case and kept as a sealed document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from arbiter.documents.canonical import decode
from arbiter.errors import Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.workflow.dossier import Dossier

NOTE_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class OwnOpinion:
    """What the reviewer thinks before seeing the panel: option, confidence in percent, fact names, free text."""

    option: str
    confidence: int
    rests_on: tuple[str, ...]
    note: str

    def in_order(self) -> OwnOpinion:
        """Return the opinion with its facts as a document keeps them: by name."""
        return replace(self, rests_on=tuple(sorted(self.rests_on)))

    def document(self, reviewer: str) -> dict[str, Any]:
        """Return what an entry commits to when that reviewer fixes it."""
        return {
            "reviewer": reviewer,
            "option": self.option,
            "confidence": self.confidence,
            "rests_on": sorted(self.rests_on),
            "note": self.note,
        }


def committed_by(dossier: Dossier, principal: Principal) -> OwnOpinion | None:
    """Return the opinion this reviewer committed under the present claim and facts, if there is one."""
    if dossier.row.state.phase not in {Phase.OPINION_COMMITTED, Phase.REVEALED}:
        return None
    return newest_by(dossier, principal, "review", dossier.latest("facts").seq)


def newest_by(dossier: Dossier, principal: Principal, name: str, since: int = -1) -> OwnOpinion | None:
    """Return what this reviewer said last in a document of that name, of an entry after `since`; None where nothing was said."""
    for document in reversed(dossier.documents):
        if document.name == name and document.seq > since:
            content = decode(document.content)
            if content["reviewer"] == principal.id:
                return OwnOpinion(
                    content["option"], content["confidence"], tuple(content["rests_on"]), content["note"]
                )
    return None


def check_opinion(dossier: Dossier, own: OwnOpinion) -> None:
    """Raise RefusedError when the opinion names an option or fact that the case does not have, or is too long."""
    problems = []
    if own.option not in dossier.shelved.protocol.question.option_ids():
        problems.append(Problem("/option", "unknown-option", "expected one of the question's options"))
    if not 0 <= own.confidence <= 100:
        problems.append(Problem("/confidence", "out-of-range", "expected a percentage from 0 to 100"))
    facts = dossier.taken_facts().facts
    if any(facts.get(name) is None for name in own.rests_on):
        problems.append(Problem("/rests_on", "unknown-fact", "expected names of facts that the case holds"))
    if len(own.note) > NOTE_LIMIT:
        problems.append(Problem("/note", "too-long", f"expected at most {NOTE_LIMIT} characters"))
    if problems:
        raise RefusedError("the opinion does not fit the case", tuple(problems))
