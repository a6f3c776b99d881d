"""What is open at the end of a shift, on the screen and on paper, and what was written for the next reviewer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from arbiter.documents.handover_notes import HandoverNote
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.shift.handing_over import MOST_HELD, Colleague
from arbiter.workflow.work_list import WorkItem, WorkList
from clinician_ui.presenters.paper import FIT_FOR, PaperRow, full_time
from clinician_ui.presenters.times import (
    RISK_TAGS,
    Due,
    Here,
    Moment,
    Tag,
    due,
    duration_words,
    moment,
    short_day,
)
from clinician_ui.presenters.work import WorkRow, work_row
from clinician_ui.texts import _, noted

_STEPS = {
    Phase.CLAIMED: noted("No opinion yet"),
    Phase.OPINION_COMMITTED: noted("Opinion locked, panel not shown"),
    Phase.REVEALED: noted("Panel shown, not signed"),
}


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A case that somebody holds: how far they are, until when it is due and until when it is theirs."""

    case: CaseId
    title: str
    site: str
    risk_class: str
    risk: Tag
    due: Due
    step: str
    until: Moment
    left: str
    training: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """A colleague to hand over to: the login that is sent, and what people read."""

    login: str
    words: str


@dataclass(frozen=True, slots=True)
class HandoverPage:
    """What its reader holds, what waits at their sites, and to whom they may hand over."""

    held: tuple[HeldRow, ...]
    waiting: tuple[WorkRow, ...]
    colleagues: tuple[Chosen, ...]
    at: Moment
    zone: str


@dataclass(frozen=True, slots=True)
class HandoverSheet:
    """The same on paper: nothing of a patient."""

    held: tuple[PaperRow, ...]
    waiting: tuple[PaperRow, ...]
    made: str
    fit_until: str
    zone: str


@dataclass(frozen=True, slots=True)
class NoteWords:
    """What somebody wrote when they handed the case on."""

    name: str
    at: Moment
    note: str


def handover_page(
    held: Sequence[WorkItem], listed: WorkList, colleagues: Iterable[Colleague], here: Here
) -> HandoverPage:
    """Return what is open for this reviewer."""
    return HandoverPage(
        held=tuple(_held_row(each, here) for each in held[:MOST_HELD]),
        waiting=tuple(work_row(item, here) for item in listed.waiting),
        colleagues=tuple(Chosen(each.login, f"{each.name} ({each.login})") for each in colleagues),
        at=moment(here.now, here),
        zone=here.zone_name,
    )


def handover_sheet(held: Sequence[WorkItem], listed: WorkList, here: Here) -> HandoverSheet:
    """Return what is open as it goes on paper."""
    return HandoverSheet(
        held=tuple(_paper_row(each, _step(each.phase), here) for each in held[:MOST_HELD]),
        waiting=tuple(_paper_row(item, _answered(item), here) for item in listed.waiting),
        made=full_time(here.now, here),
        fit_until=full_time(here.now + FIT_FOR, here),
        zone=here.zone_name,
    )


def note_words(notes: Iterable[HandoverNote], here: Here) -> tuple[NoteWords, ...]:
    """Return what was written, oldest first."""
    return tuple(NoteWords(each.name, moment(each.at, here), each.note) for each in notes)


def _held_row(each: WorkItem, here: Here) -> HeldRow:
    assert each.held_until is not None
    return HeldRow(
        case=each.case,
        title=each.title,
        site=here.site(each.site),
        risk_class=each.risk_class.value,
        risk=RISK_TAGS[each.risk_class],
        due=due(each.due_at, overdue=each.overdue, here=here),
        step=_step(each.phase),
        until=moment(each.held_until, here),
        left=duration_words(each.held_until - here.now),
        training=each.training,
    )


def _step(phase: Phase) -> str:
    return _(_STEPS[phase]) if phase in _STEPS else ""


def _answered(item: WorkItem) -> str:
    if item.acknowledged_by is not None:
        return _("{name} is on the way").format(name=item.acknowledged_by)
    return _("Not acknowledged") if item.called else ""


def _paper_row(each: WorkItem, mark: str, here: Here) -> PaperRow:
    late = due(each.due_at, overdue=each.overdue, here=here).overdue
    marks = (_("Overdue") if late else "", _("Training") if each.training else "", mark)
    return PaperRow(
        case=each.case,
        title=each.title,
        site=here.site(each.site),
        risk=_(RISK_TAGS[each.risk_class].text),
        since=_day_and_time(each.waiting_since, here),
        due=_("no deadline") if each.due_at is None else _day_and_time(each.due_at, here),
        marks=tuple(words for words in marks if words),
    )


def _day_and_time(instant: datetime, here: Here) -> str:
    local = instant.astimezone(here.zone)
    return f"{short_day(local)} {local:%H:%M}"
