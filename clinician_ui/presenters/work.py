"""The work list in words: nothing in it tells why a case is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.work_list import WorkItem
from clinician_ui.presenters.times import RISK_TAGS, Due, Here, Moment, Tag, due, duration_words, moment

_STEPS = {
    Phase.CLAIMED: "Your opinion is not given yet",
    Phase.OPINION_COMMITTED: "Your opinion is locked; the panel is not shown yet",
    Phase.REVEALED: "The panel is shown; not signed yet",
}


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One case of the list. Nothing in it tells why the case is here; `call` is how the call about it stands.

    `acknowledges`: the call is not answered yet, so that somebody can.
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


@dataclass(frozen=True, slots=True)
class WorkPage:
    """The list: this reviewer's own cases, then those that wait, each in the order the workflow gave.

    Of the cases that others hold only the number is told, and `overdue` counts none of them.
    """

    mine: tuple[WorkRow, ...]
    waiting: tuple[WorkRow, ...]
    with_others: int
    overdue: int
    at: Moment
    zone: str


def work_page(items: Iterable[WorkItem], here: Here) -> WorkPage:
    """Return the work list; within both parts the order of `items` is kept."""
    every = tuple(items)
    mine = tuple(work_row(item, here) for item in every if item.mine)
    waiting = tuple(work_row(item, here) for item in every if not item.mine and item.phase is Phase.ESCALATED)
    return WorkPage(
        mine=mine,
        waiting=waiting,
        with_others=len(every) - len(mine) - len(waiting),
        overdue=sum(row.due.overdue for row in (*mine, *waiting)),
        at=moment(here.now, here),
        zone=here.zone_name,
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
        waiting=f"waiting for {duration_words(here.now - item.waiting_since)}",
        due=due(item.due_at, overdue=item.overdue, here=here),
        step=_STEPS.get(item.phase, "") if item.mine else "",
        call=_call_words(item, here) if item.phase is Phase.ESCALATED else "",
        acknowledges=item.called and item.acknowledged_by is None,
        training=item.training,
    )


def _call_words(item: WorkItem, here: Here) -> str:
    """Return whether somebody is on the way, or what happens when nobody says so."""
    if item.set_aside_until is not None:
        return f"Set aside until {moment(item.set_aside_until, here).text}"
    if item.acknowledged_by is not None:
        return f"Acknowledged by {item.acknowledged_by}"
    if item.unattended:
        return "Nobody acknowledged it; the requester was told to follow the local procedure"
    if item.calls_on_at is None:
        return ""
    at = moment(item.calls_on_at, here).text
    if item.last_call:
        return f"Not acknowledged; the requester is told at {at} that nobody came"
    return f"Not acknowledged; the next people are called at {at}"
