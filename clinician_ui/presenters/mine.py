"""Decisions somebody signed, in words, for the one who signed them. Pure.

Nothing of what the panel said is here, nor of what turned out to be right.
"""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.model import CaseId
from arbiter.workflow.shift.signed import Fate, OwnDecision, OwnDecisions, Since
from clinician_ui.presenters.times import Here, Moment, Tag, moment
from clinician_ui.texts import _, noted

_FATES = {
    Fate.KEPT: noted("You kept your opinion"),
    Fate.CHANGED: noted("You changed your opinion after seeing the panel"),
    Fate.NONE_GIVEN: noted("You saw the panel first"),
}
_SINCE = {
    Since.SEALING: Tag(noted("Being sealed"), "grey"),
    Since.RELEASED: Tag(noted("Released"), "green"),
    Since.UNWITNESSED: Tag(noted("Released, not witnessed yet"), "yellow"),
    Since.OPEN_AGAIN: Tag(noted("Open again"), "blue"),
    Since.CANCELLED: Tag(noted("Cancelled"), "grey"),
    Since.SUPERSEDED: Tag(noted("Replaced by another case"), "grey"),
    Since.IN_ERROR: Tag(noted("Entered in error"), "red"),
    Since.ERASED: Tag(noted("Erased"), "grey"),
}


@dataclass(frozen=True, slots=True)
class MineRow:
    """One decision; `option` and `fate` are empty where the case was erased, `opens` where it has a page of its own."""

    case: CaseId
    title: str
    question: str
    site: str
    at: Moment
    option: str
    fate: str
    since: Tag
    opens: bool
    training: bool


@dataclass(frozen=True, slots=True)
class MinePage:
    """A page of decisions, newest first; `before` leads to older ones."""

    rows: tuple[MineRow, ...]
    before: int | None
    zone: str


def mine_page(own: OwnDecisions, here: Here) -> MinePage:
    """Return decisions in the order the workflow gave."""
    return MinePage(tuple(_row(each, here) for each in own.decisions), own.before, here.zone_name)


def _row(each: OwnDecision, here: Here) -> MineRow:
    since = _SINCE[each.since]
    return MineRow(
        case=each.case,
        title=each.title,
        question=each.question,
        site=here.site(each.site),
        at=moment(each.at, here),
        option=each.option or "",
        fate="" if each.fate is None else _(_FATES[each.fate]),
        since=Tag(_(since.text), since.colour),
        opens=each.stands,
        training=each.training,
    )
