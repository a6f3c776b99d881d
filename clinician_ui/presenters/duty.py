"""Calls about escalations in words, for a phone: what waits, how gravely, until when, and who is on the way. Pure.

Nothing here tells why a case waits, or anything of whom it is about.
"""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.model import CaseId
from arbiter.workflow.shift.calls import Answer, Call, OpenCalls
from clinician_ui.presenters.times import RISK_TAGS, Due, Here, Moment, Tag, due, duration_words, moment
from clinician_ui.texts import _, noted


@dataclass(frozen=True, slots=True)
class CallCard:
    """One call. `standing` says how it stands; `can_answer` and `can_claim` what somebody may do about it, `mine` that they hold it."""

    case: CaseId
    title: str
    site: str
    risk_class: str
    risk: Tag
    due: Due
    waiting: str
    standing: str
    handed: str
    can_answer: bool
    can_claim: bool
    mine: bool
    training: bool


@dataclass(frozen=True, slots=True)
class DutyPage:
    """What was handed to whoever looks, and the open calls; `answerable` are the cases that one button acknowledges together."""

    handed: tuple[CallCard, ...]
    calls: tuple[CallCard, ...]
    whole: bool
    answerable: tuple[CaseId, ...]
    at: Moment
    zone: str


_STANDINGS = {
    Answer.UNCALLED: noted("It waits for a reviewer. Nobody is called about it"),
    Answer.MINE: noted("You hold this case"),
    Answer.ELSEWHERE: noted("It waits for somebody else: another reader, or an arbiter"),
    Answer.HELD: noted("A colleague holds this case. Nothing is left to do"),
    Answer.OVER: noted("This case does not wait for a clinician. Nothing is left to do"),
}


def duty_page(calls: OpenCalls, here: Here) -> DutyPage:
    """Return the open calls, in the order the workflow gave."""
    handed = tuple(call_card(call, here) for call in calls.handed)
    waiting = tuple(call_card(call, here) for call in calls.calls)
    return DutyPage(
        handed=handed,
        calls=waiting,
        whole=calls.whole,
        answerable=tuple(card.case for card in (*handed, *waiting) if card.can_answer),
        at=moment(here.now, here),
        zone=here.zone_name,
    )


def call_card(call: Call, here: Here) -> CallCard:
    """Return one call."""
    waits = call.answer in {Answer.OPEN, Answer.ACKNOWLEDGED, Answer.UNCALLED}
    return CallCard(
        case=call.case,
        title=call.title,
        site=here.site(call.site),
        risk_class=call.risk_class.value,
        risk=RISK_TAGS[call.risk_class],
        due=due(call.due_at, overdue=call.overdue, here=here),
        waiting=_("waiting for {length}").format(length=duration_words(here.now - call.waiting_since)),
        standing=_standing(call, here),
        handed="" if call.handed_by is None else _("Handed to you by {name}").format(name=call.handed_by),
        can_answer=call.answer is Answer.OPEN,
        can_claim=waits,
        mine=call.answer is Answer.MINE,
        training=call.training,
    )


def _standing(call: Call, here: Here) -> str:
    if call.answer is Answer.ACKNOWLEDGED:
        return _("{name} is on the way").format(name=call.acknowledged_by)
    if call.answer is not Answer.OPEN:
        return _(_STANDINGS[call.answer])
    if call.unattended:
        return _("Nobody has answered. The requester was told to follow the local procedure")
    if call.calls_on_at is None:
        return _("Nobody has answered")
    at = moment(call.calls_on_at, here).text
    if call.last_call:
        return _("Nobody has answered. The requester is told at {at} that nobody came").format(at=at)
    return _("Nobody has answered. The next people are called at {at}").format(at=at)
