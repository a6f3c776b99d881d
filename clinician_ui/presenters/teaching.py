"""A closed case to learn from, in words: facts and question, then what everybody said, nobody named. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.documents.known_outcomes import OutcomeKind
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import RevealedCase
from arbiter.workflow.teaching import Lesson
from clinician_ui.presenters.case import CasePage, case_page
from clinician_ui.presenters.members import MemberCard
from clinician_ui.presenters.panel import panel_page
from clinician_ui.presenters.times import Here
from clinician_ui.texts import _, noted

_KNOWN = {
    OutcomeKind.OUTCOME: noted("What happened to the patient showed it."),
    OutcomeKind.INDEPENDENT_READER: noted("A clinician judged so without having seen the panel."),
}


@dataclass(frozen=True, slots=True)
class TaughtFact:
    """A fact with its unit; no date, which could name a patient."""

    title: str
    value: str


@dataclass(frozen=True, slots=True)
class TaughtOpinion:
    """What somebody said before the panel: who in general words, the answer, how sure, and what it rests on."""

    who: str
    answer: str
    confidence: int
    rests_on: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class LessonPage:
    """A case to learn from. `right` and `known` are empty where nobody has told what was right; `leaning` where no member was asked."""

    title: str
    question: str
    training: bool
    facts: tuple[TaughtFact, ...]
    missing: tuple[str, ...]
    options: tuple[str, ...]
    opinions: tuple[TaughtOpinion, ...]
    leaning: str
    members: tuple[MemberCard, ...]
    signed: str
    reason: str
    right: str
    known: str


def lesson_page(lesson: Lesson, here: Here) -> LessonPage:
    """Return a lesson; of the case's page only what names nobody is taken."""
    page = case_page(lesson.blind, here)
    # Without an own opinion: the words beside one speak to whoever gave it.
    panel = panel_page(RevealedCase(lesson.blind, None, lesson.certificate, lesson.grounds), page)
    first = () if lesson.own is None else (_opinion(_("The reviewer who signed"), lesson.own, page),)
    right, kind = (None, None) if lesson.outcome is None else lesson.outcome
    return LessonPage(
        title=page.title,
        question=page.question,
        training=page.training,
        facts=tuple(TaughtFact(fact.title, fact.with_unit) for fact in page.facts),
        missing=page.missing,
        options=tuple(option.title for option in page.options),
        opinions=(*first, *(_opinion(_("Another reader"), each, page) for each in lesson.others)),
        leaning=panel.leaning if panel.asked else "",
        members=panel.members,
        signed=page.option_title(lesson.signed),
        reason=lesson.reason,
        right="" if right is None else page.option_title(right),
        known="" if kind is None else _(_KNOWN[kind]),
    )


def _opinion(who: str, own: OwnOpinion, page: CasePage) -> TaughtOpinion:
    return TaughtOpinion(
        who=who,
        answer=page.option_title(own.option),
        confidence=own.confidence,
        rests_on=tuple(page.fact_title(name) for name in own.rests_on),
        note=own.note,
    )
