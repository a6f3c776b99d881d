"""The work list in words: nothing in it tells why a case is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.work_list import WorkItem, WorkList
from clinician_ui.presenters.times import RISK_TAGS, Due, Here, Moment, Tag, due, duration_words, moment
from clinician_ui.presenters.work_filter import Filter, Wish, filter_of
from clinician_ui.texts import _, ngettext, noted

_STEPS = {
    Phase.CLAIMED: noted("Your opinion is not given yet"),
    Phase.OPINION_COMMITTED: noted("Your opinion is locked; the panel is not shown yet"),
    Phase.REVEALED: noted("The panel is shown; not signed yet"),
}
_SAID = {
    "none": noted(
        "There is no case left here for you to take. Either none waits, or those that wait are for a colleague."
    ),
    "taken": noted(
        "You do not have this case: a colleague was faster, or it has moved on. The list shows what waits now."
    ),
}


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One case of the list. Nothing in it tells why the case is here; `call` is how the call about it stands.

    `acknowledges`: the call is not answered yet, so that somebody can. `held` is how long this reviewer has it, where they do.
    """

    case: CaseId
    title: str
    question: str
    risk_class: str
    risk: Tag
    site: str
    waiting: str
    due: Due
    step: str
    call: str
    acknowledges: bool
    training: bool
    held: str = ""


@dataclass(frozen=True, slots=True)
class WorkPage:
    """The list: this reviewer's own cases, then a page of those that wait, each in the order the workflow gave.

    Of the cases that others hold only the number is told, and `overdue` counts none of them. `shown` are the waiting cases that
    were asked for, `every` all that wait; `waits` says the number to whoever listens. `wish` leads back to this very list.
    """

    mine: tuple[WorkRow, ...]
    waiting: tuple[WorkRow, ...]
    shown: int
    every: int
    waits: str
    with_others: int
    overdue: int
    at: Moment
    zone: str
    filter: Filter
    wish: Wish
    page: int
    pages: int
    before: str
    after: str
    said: str

    @property
    def only_mine(self) -> bool:
        """Whether the cases that wait are left out."""
        return self.wish.mine


def work_page(listed: WorkList, wish: Wish, here: Here, sites: Iterable[str]) -> WorkPage:
    """Return the work list as `wish` asked for it; `sites` are the reviewer's own."""
    mine = tuple(work_row(item, here) for item in listed.mine)
    waiting = () if wish.mine else tuple(work_row(item, here) for item in listed.waiting)
    stays = replace(wish, page=listed.page, said="")
    counts, every = listed.counts, listed.every
    return WorkPage(
        mine=mine,
        waiting=waiting,
        shown=listed.total,
        every=every,
        waits=ngettext("{number} case waits.", "{number} cases wait.", every).format(number=every),
        with_others=counts.with_others,
        overdue=sum(each.cases for each in counts.waiting if each.overdue)
        + sum(row.due.overdue for row in mine),
        at=moment(here.now, here),
        zone=here.zone_name,
        filter=filter_of(listed, wish, here, sites),
        wish=stays,
        page=listed.page,
        pages=1 if wish.mine else listed.pages,
        before=replace(stays, page=listed.page - 1).address() if listed.page > 1 else "",
        after=replace(stays, page=listed.page + 1).address() if listed.page < listed.pages else "",
        said=_(_SAID[wish.said]) if wish.said else "",
    )


def work_row(item: WorkItem, here: Here) -> WorkRow:
    """Return one case of the list."""
    return WorkRow(
        case=item.case,
        title=item.title,
        question=item.question,
        risk_class=item.risk_class.value,
        risk=RISK_TAGS[item.risk_class],
        site=here.site(item.site),
        waiting=_("waiting for {length}").format(length=duration_words(here.now - item.waiting_since)),
        due=due(item.due_at, overdue=item.overdue, here=here),
        step=_(_STEPS[item.phase]) if item.mine and item.phase in _STEPS else "",
        call=_call_words(item, here) if item.phase is Phase.ESCALATED else "",
        acknowledges=item.called and item.acknowledged_by is None,
        training=item.training,
        held="" if item.held_until is None else _held_words(item.held_until, here),
    )


def _held_words(until: datetime, here: Here) -> str:
    """Return how long a reviewer still has a case."""
    if until <= here.now:
        return _("Your time with it has run out")
    left, at = duration_words(until - here.now), moment(until, here).text
    return _("Yours for {length} more, until {time}").format(length=left, time=at)


def _call_words(item: WorkItem, here: Here) -> str:
    """Return whether somebody is on the way, or what happens when nobody says so."""
    if item.set_aside_until is not None:
        return _("Set aside until {time}").format(time=moment(item.set_aside_until, here).text)
    if item.acknowledged_by is not None:
        return _("Acknowledged by {name}").format(name=item.acknowledged_by)
    if item.unattended:
        return _("Nobody acknowledged it; the requester was told to follow the local procedure")
    if item.calls_on_at is None:
        return ""
    at = moment(item.calls_on_at, here).text
    if item.last_call:
        return _("Not acknowledged; the requester is told at {time} that nobody came").format(time=at)
    return _("Not acknowledged; the next people are called at {time}").format(time=at)
