"""What a clinician thinks of a case before seeing the panel, checked against the case and kept as a sealed document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from arbiter.documents.canonical import decode
from arbiter.errors import Problem, RefusedError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId
from arbiter.workflow.dossier import Document, Dossier

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
    """Return the opinion this reviewer fixed on the present facts and still answers for, if there is one.

    It survives the claim that it was fixed under: who takes the case again goes on behind it.
    """
    state = dossier.row.state
    if principal.id not in state.readings and state.phase not in {Phase.OPINION_COMMITTED, Phase.REVEALED}:
        return None
    return newest_by(dossier, principal, "review", dossier.latest("facts").seq)


def newest_by(dossier: Dossier, principal: Principal, name: str, since: int = -1) -> OwnOpinion | None:
    """Return what this reviewer said last in a document of that name, of an entry after `since`; None where nothing was said."""
    return newest_by_id(dossier, principal.id, name, since)


def newest_by_id(dossier: Dossier, reviewer: str, name: str, since: int = -1) -> OwnOpinion | None:
    """Return the same of a reviewer by id."""
    document = newest_document(dossier, reviewer, name, since)
    return None if document is None else _opinion_in(document)


def opinions_of_readers(dossier: Dossier) -> tuple[tuple[ActorId, OwnOpinion], ...]:
    """Return what each reader of the present facts thinks of them, in the order they read; raises as `reviews_of_readers`."""
    return tuple((reader, _opinion_in(document)) for reader, document in reviews_of_readers(dossier))


def reviews_of_readers(dossier: Dossier) -> tuple[tuple[ActorId, Document], ...]:
    """Return the document that each reader of the present facts fixed, in the order they read.

    Raises:
        VerificationError: when the case says that somebody has read it and holds no such opinion.
    """
    since = dossier.latest("facts").seq
    found = []
    for reader in dossier.row.state.readings:
        document = newest_document(dossier, reader, "review", since)
        if document is None:
            raise VerificationError(
                f"case {dossier.row.id} lacks the opinion of a reader that its state names"
            )
        found.append((reader, document))
    return tuple(found)


def concurs(dossier: Dossier, option: str) -> bool | None:
    """Return whether every reader before has chosen this option too; None where nobody has read the case."""
    options = {opinion.option for _, opinion in opinions_of_readers(dossier)}
    return None if not options else options == {option}


def departs(dossier: Dossier, option: str) -> bool:
    """Return whether a decision on this option is an arbiter's to take: two readers were needed, and none of them said it."""
    state = dossier.row.state
    if state.readers_needed < 2 or state.wants_arbiter:
        return False
    return all(opinion.option != option for _, opinion in opinions_of_readers(dossier))


def newest_document(dossier: Dossier, reviewer: str, name: str, since: int) -> Document | None:
    """Return the last document of that name that a reviewer fixed by an entry after `since`; None where there is none."""
    for document in reversed(dossier.documents):
        if (
            document.name == name
            and document.seq > since
            and decode(document.content)["reviewer"] == reviewer
        ):
            return document
    return None


def _opinion_in(document: Document) -> OwnOpinion:
    content = decode(document.content)
    return OwnOpinion(content["option"], content["confidence"], tuple(content["rests_on"]), content["note"])


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
