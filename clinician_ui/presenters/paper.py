"""The work list as it goes on paper: every time with its day, and for how long the sheet may be trusted. Pure.

A row says no more than the list on the screen does: nothing of a patient, of the panel, or of why a case waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.downtime import Waiting
from arbiter.workflow.work_list import WorkItem, WorkList, by_urgency
from clinician_ui.presenters.times import RISK_TAGS, Here, day_and_year, due, short_day
from clinician_ui.texts import _

FIT_FOR = timedelta(minutes=30)
"""How old a printed list may get: after that, what was due and what was claimed has changed too much."""


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One case on paper; `marks` are words such as Overdue, in place of coloured tags."""

    case: CaseId
    title: str
    site: str
    risk: str
    since: str
    due: str
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PaperList:
    """A reviewer's work list for printing. `whole` is false when it holds only the most urgent of more cases."""

    rows: tuple[PaperRow, ...]
    caption: str
    with_others: int
    whole: bool
    made: str
    fit_until: str
    zone: str


def paper_list(listed: WorkList, here: Here) -> PaperList:
    """Return a reviewer's own cases and those that wait, by urgency."""
    shown = sorted((*listed.mine, *listed.waiting), key=by_urgency)
    caption = _("Yours, and waiting for a reviewer at your sites: {number}").format(number=len(shown))
    return PaperList(
        rows=tuple(_row(item, here, _("Yours") if item.mine else "") for item in shown),
        caption=caption,
        with_others=listed.counts.with_others,
        whole=listed.pages == 1 and listed.counts.mine == len(listed.mine),
        made=full_time(here.now, here),
        fit_until=full_time(here.now + FIT_FOR, here),
        zone=here.zone_name,
    )


@dataclass(frozen=True, slots=True)
class SiteSheet:
    """What waits at one site: a sheet of its own, so that a ward is handed nothing of another's."""

    site: str
    rows: tuple[PaperRow, ...]


@dataclass(frozen=True, slots=True)
class DowntimeList:
    """What waited at every site when it was last seen."""

    sheets: tuple[SiteSheet, ...]
    training: int
    whole: bool
    made: str
    zone: str


def downtime_list(waiting: Waiting, here: Here) -> DowntimeList:
    """Return the list for when Arbiter is down: a sheet for each site where something waits, by the site's name."""
    ids = sorted({item.site for item in waiting.cases}, key=lambda site: (here.site(site), site))
    return DowntimeList(
        sheets=tuple(
            SiteSheet(
                here.site(site),
                tuple(
                    _row(item, here, "" if item.phase is Phase.ESCALATED else _("With a reviewer"))
                    for item in waiting.cases
                    if item.site == site
                ),
            )
            for site in ids
        ),
        training=waiting.training,
        whole=waiting.whole,
        made=full_time(here.now, here),
        zone=here.zone_name,
    )


def full_time(instant: datetime, here: Here) -> str:
    """Return a day with its year and a clock time, such as 1 March 2026, 12:00."""
    local = instant.astimezone(here.zone)
    return _("{day}, {clock}").format(day=day_and_year(local), clock=f"{local:%H:%M}")


def _row(item: WorkItem, here: Here, held: str) -> PaperRow:
    late = due(item.due_at, overdue=item.overdue, here=here).overdue
    marks = (_("Overdue") if late else "", _("Training") if item.training else "", held)
    return PaperRow(
        case=item.case,
        title=item.title,
        site=here.site(item.site),
        risk=_(RISK_TAGS[item.risk_class].text),
        since=_day_and_time(item.waiting_since, here),
        due=_("no deadline") if item.due_at is None else _day_and_time(item.due_at, here),
        marks=tuple(mark for mark in marks if mark),
    )


def _day_and_time(instant: datetime, here: Here) -> str:
    local = instant.astimezone(here.zone)
    return f"{short_day(local)} {local:%H:%M}"
