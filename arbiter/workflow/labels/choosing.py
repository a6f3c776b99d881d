"""Which label a case has: what is known of the patient before what readers thought, and those before a reviewer's own opinion.

Never a decision that was taken after seeing the panel: signatures are not looked at, nor an opinion of somebody who had seen what the
panel said, nor any under a policy that shows the panel first. Each label carries the probability with which a case like that comes by
one: a decision of the panel's is judged only where it was drawn to be, everything else goes to a clinician anyway. A decision that was
judged because somebody disputed it, and was not drawn, has no label by that: the disputed ones are the doubtful ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from arbiter.documents.canonical import decode
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.documents.outcomes import outcome_from
from arbiter.lifecycle.entries import EntryType
from arbiter.workflow.dossier import Document
from arbiter.workflow.labels.story import Story
from arbiter.workflow.watching.drawing import DOCUMENT as DRAW
from arbiter.workflow.watching.drawing import draw_from

CERTAIN: Final = Decimal(1)
_TOLD: Final = "told of the case"
_READ_BY_ONE: Final = "read for an audit by one who agreed"
_READ_BY_TWO: Final = "read for an audit by two"
_TWO_BEFORE: Final = "before the panel was shown, by two who did not know of each other"
_DOUBTED: Final = "read for an audit by one who did not agree"
_BEFORE: Final = "before the panel was shown"


class Kind(StrEnum):
    """Where a label comes from, by precedence."""

    OUTCOME = "outcome"
    INDEPENDENT_READER = "independent reader"
    BLIND_OPINION = "blind opinion"


@dataclass(frozen=True, slots=True)
class Label:
    """The option that is right and where that comes from; `probability` is that with which a case like this has such a label.

    `contradicted`: somebody else who counts says another option.
    """

    option: str
    kind: Kind
    how: str
    probability: Decimal
    contradicted: bool = False


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What somebody thought who had not seen the panel."""

    person: str
    option: str


def label_of(story: Story, documents: Sequence[Document], decided: str | None) -> Label | None:
    """Return a case's label, None where it has none.

    `documents` are those that the story's entries commit to, oldest first; `decided` is what the panel decided alone on the facts
    that stand, None where a clinician sees the case anyway.

    Raises:
        VerificationError: for the record of a draw that cannot be read.
    """
    told = _told(documents)
    judged = _judgements(story, documents)
    if decided is None:
        # The disputed ones are the doubtful ones: what clinicians think of them is no sample of anything.
        judged = () if story.came_of_dispute else judged
        own = _of_review(judged)
    else:
        probability = _probability(story, documents)
        # Whom nobody drew for is judged where somebody disputes the decision: what comes of that is not looked at.
        judged = judged if probability is not None else ()
        own = None if probability is None else _of_audit(judged, decided, probability)
    options = {known.option for known in told.values()} | {judgement.option for judgement in judged}
    for kind, of_kind in (
        (OutcomeKind.OUTCOME, Kind.OUTCOME),
        (OutcomeKind.INDEPENDENT_READER, Kind.INDEPENDENT_READER),
    ):
        if kind in told:
            # Before what an audit found: it comes for cases whatever became of the draw, so its probability is another.
            return Label(told[kind].option, of_kind, _TOLD, CERTAIN, len(options) > 1)
    if own is None:
        return None
    return Label(own.option, own.kind, own.how, own.probability, len(options) > 1)


def was_disputed_alone(story: Story, documents: Sequence[Document]) -> bool:
    """Return whether a decision that was not drawn has been judged all the same."""
    return _probability(story, documents) is None and bool(_judgements(story, documents))


def _told(documents: Sequence[Document]) -> dict[OutcomeKind, KnownOutcome]:
    """Return the newest of each kind."""
    found = (KnownOutcome.decode(document.content) for document in documents if document.name == "outcome")
    return {known.kind: known for known in found}


def _judgements(story: Story, documents: Sequence[Document]) -> tuple[_Judgement, ...]:
    """Return what each person thought of the facts that stand without having seen the panel, in their order."""
    beyond = {entry.seq: entry for entry in story.since}
    sat_in = _sat_in(documents)
    conflicted = {entry.actor for entry in story.entries if entry.type == EntryType.CONFLICT}
    return tuple(
        _Judgement(entry.actor, str(decode(document.content)["option"]))
        for document in documents
        if document.name in {"review", "reading"}
        and (entry := beyond.get(document.seq)) is not None
        and entry.actor not in conflicted
        and not story.has_seen_panel(entry.actor, document.seq)
        and not any(seq < document.seq for seq in sat_in.get(entry.actor, ()))
        and not (document.name == "review" and _shows_panel_first(story, documents))
        # A decision is read on the facts that it was made on, also after others came.
        and (document.name == "review" or story.is_decided_alone)
    )


def _sat_in(documents: Sequence[Document]) -> dict[str, list[int]]:
    """Return for each person in which entries they are named as having sat together with others over the revealed case."""
    found: dict[str, list[int]] = {}
    for document in documents:
        if document.name == "attendance":
            for person in decode(document.content)["attended"]:
                found.setdefault(str(person["id"]), []).append(document.seq)
    return found


def _shows_panel_first(story: Story, documents: Sequence[Document]) -> bool:
    """Return whether policy let reviewers see the panel before judging: who may have looked is not blind."""
    concluded = story.conclusion
    if concluded is None or story.is_decided_alone:
        return False
    certificate = next(
        decode(document.content)
        for document in documents
        if (document.seq, document.name) == (concluded.seq, "certificate")
    )
    return "policy" in certificate and outcome_from(certificate["policy"]).shows_panel_first


def _of_review(judged: Sequence[_Judgement]) -> Label | None:
    """Return the label that the reviewers' opinions give: the newest, an arbiter's where readers did not agree.

    Nobody is shown another's before their own is fixed, so two that agree are as independent as two readers of an audit.
    """
    if not judged:
        return None
    newest = judged[-1]
    if any(other.person != newest.person and other.option == newest.option for other in judged):
        return Label(newest.option, Kind.INDEPENDENT_READER, _TWO_BEFORE, CERTAIN)
    return Label(newest.option, Kind.BLIND_OPINION, _BEFORE, CERTAIN)


def _of_audit(judged: Sequence[_Judgement], decided: str, probability: Decimal) -> Label | None:
    """Return the label that an audit gives; where the readers say that the panel was wrong, it is one by which it was."""
    first_of: dict[str, str] = {}
    for judgement in judged:
        first_of.setdefault(judgement.person, judgement.option)
    match tuple(first_of.values()):
        case ():
            return None
        case (first, *_) if first == decided:
            return Label(first, Kind.INDEPENDENT_READER, _READ_BY_ONE, probability)
        case (first,):
            # A second reader is yet to come. Left out until then, errors would be missing from every sample.
            return Label(first, Kind.BLIND_OPINION, _DOUBTED, probability)
        case (_, second, *_) if second == decided:
            return Label(second, Kind.BLIND_OPINION, _READ_BY_TWO, probability)
        case (first, *_):
            # Wrong by both, even where they differ about what would have been right.
            return Label(first, Kind.INDEPENDENT_READER, _READ_BY_TWO, probability)
        case _:
            raise AssertionError("every number of readers stands above")


def _probability(story: Story, documents: Sequence[Document]) -> Decimal | None:
    """Return with what probability the panel's decision was drawn, None where it was not."""
    concluded = story.conclusion
    for document in documents:
        if concluded is not None and (document.seq, document.name) == (concluded.seq, DRAW):
            draw = draw_from(document.content)
            return draw.probability if draw.drawn else None
    return None
