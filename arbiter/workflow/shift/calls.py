"""The calls about escalations, for whoever carries the phone: nothing of a patient, and nothing of why a case waits.

What a notification leads to says no more than the work list does. Decisions that wait to be audited call nobody, so none is among
the open calls; by its address one looks like any case that waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from arbiter.errors import IllegalMoveError, NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import WITH_HUMANS, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.heads import CaseRow, load_cases
from arbiter.store.cases.waiting import Narrowing, list_waiting
from arbiter.store.shifts import load_handed_to
from arbiter.workflow.acknowledging import acknowledge, may_answer
from arbiter.workflow.dossier import load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.watching.reading import as_shown
from arbiter.workflow.work_list import looking_of

MOST_CALLS = 50
"""Of more, the gravest are listed, and the page says that there are more."""

HANDED_FOR = timedelta(hours=24)
"""For how long a case is listed as handed to somebody: after that the next shift is over too."""


class Answer(StrEnum):
    """How the call about a case stands, for whoever looks."""

    OPEN = "open"
    """Nobody has said that they are on their way."""
    ACKNOWLEDGED = "acknowledged"
    UNCALLED = "uncalled"
    """It waits for a reviewer, and nobody is called about it."""
    MINE = "mine"
    """Whoever looks holds it."""
    ELSEWHERE = "elsewhere"
    """It waits for somebody else: another reader, or an arbiter."""
    HELD = "held"
    """A colleague holds it."""
    OVER = "over"
    """It waits for no clinician, not yet or not any more; which of the two is not told."""


@dataclass(frozen=True, slots=True)
class Call:
    """A case that somebody is called about. `calls_on_at` is when the next people are called, or on the `last_call` the requester is told.

    `acknowledged_by` and `handed_by` are names: of whoever is on the way, and of whoever handed the case to the person who looks.
    """

    case: CaseId
    title: str
    risk_class: RiskClass
    site: str
    waiting_since: datetime
    due_at: datetime | None
    overdue: bool
    answer: Answer
    training: bool = False
    acknowledged_by: str | None = None
    handed_by: str | None = None
    calls_on_at: datetime | None = None
    last_call: bool = False
    unattended: bool = False


@dataclass(frozen=True, slots=True)
class OpenCalls:
    """What was handed to whoever looks, and the open calls at their sites, the gravest first; `whole` is false for the gravest of more."""

    handed: tuple[Call, ...]
    calls: tuple[Call, ...]
    whole: bool


async def open_calls(house: House, principal: Principal) -> OpenCalls:
    """Return the calls at this person's sites that nobody has acknowledged, and the cases a colleague handed to them by name."""
    principal.require(Permission.ESCALATIONS_ACKNOWLEDGE)
    now = house.clock.now()
    async with house.store.read() as transaction:
        waiting = await list_waiting(
            transaction,
            looking_of(house, principal, now),
            Narrowing(unacknowledged=True),
            most_mine=0,
            limit=MOST_CALLS + 1,
            offset=0,
        )
        open_rows = waiting[:MOST_CALLS]
        handed = await load_handed_to(transaction, principal.id, now - HANDED_FOR)
        rows = [*open_rows, *await load_cases(transaction, [each.case for each in handed])]
        protocols = {
            row.protocol_hash: await house.shelf.fetch(transaction, row.protocol_hash) for row in rows
        }
    shown = {row.id: _shown(house, row, principal, now) for row in rows if principal.may_see(row.site)}
    names = await house.identities.names({each.by for each in handed} | _acknowledging(shown.values()))
    by = {each.case: names.get(each.by, each.by) for each in handed}
    calls = {
        case: _call(row, protocols[row.protocol_hash], principal, names, by.get(case))
        for case, row in shown.items()
    }
    # A case that somebody has claimed since, or that is decided, needs nobody to be reminded of it.
    mine = [
        calls[each.case]
        for each in handed
        if each.case in calls
        and calls[each.case].answer in {Answer.OPEN, Answer.ACKNOWLEDGED, Answer.UNCALLED}
    ]
    others = [calls[row.id] for row in open_rows if row.id not in by]
    return OpenCalls(
        tuple(sorted(mine, key=_by_urgency)),
        tuple(call for call in others if call.answer is Answer.OPEN),
        len(waiting) <= MOST_CALLS,
    )


async def call_about(house: House, principal: Principal, case: CaseId) -> Call:
    """Return how the call about one case stands.

    Raises:
        NotFoundError: for a foreign site's case too.
    """
    principal.require(Permission.ESCALATIONS_ACKNOWLEDGE)
    now = house.clock.now()
    async with house.store.read() as transaction:
        row = _shown(house, await load_seen_case(transaction, principal, case, now), principal, now)
        shelved = await house.shelf.fetch(transaction, row.protocol_hash)
    names = await house.identities.names(_acknowledging([row]))
    return _call(row, shelved, principal, names, None)


async def take_over(house: House, principal: Principal, cases: Sequence[CaseId]) -> int:
    """Acknowledge these calls in one go; return how many this person has acknowledged now.

    One that somebody else has answered, claimed or ended meanwhile is passed over, as is one of a site that is not theirs: each that
    is answered is an entry of its own.
    """
    principal.require(Permission.ESCALATIONS_ACKNOWLEDGE)
    answered = 0
    for case in dict.fromkeys(cases[:MOST_CALLS]):
        with suppress(IllegalMoveError, NotFoundError):
            await acknowledge(house, principal, case)
            answered += 1
    return answered


def _shown(house: House, row: CaseRow, principal: Principal, now: datetime) -> CaseRow:
    return as_shown(row, principal, now, timedelta(days=house.settings.audit_days))


def _acknowledging(rows: Iterable[CaseRow]) -> set[str]:
    return {by for row in rows if (by := row.state.ladder.acknowledged_by) is not None}


def _call(
    row: CaseRow, shelved: Shelved, principal: Principal, names: dict[str, str], handed_by: str | None
) -> Call:
    state, ladder = row.state, row.state.ladder
    by = ladder.acknowledged_by
    return Call(
        case=row.id,
        title=shelved.protocol.title,
        risk_class=state.risk_class,
        site=row.site,
        waiting_since=row.created_at,
        due_at=state.due_at,
        overdue=state.overdue,
        answer=_answer(row, principal),
        training=state.marked_as_training,
        acknowledged_by=None if by is None else names.get(by, by),
        handed_by=handed_by,
        calls_on_at=ladder.until,
        last_call=ladder.rung + 1 >= len(ladder.waits),
        unattended=ladder.unattended,
    )


def _answer(row: CaseRow, principal: Principal) -> Answer:
    state = row.state
    if state.phase not in WITH_HUMANS:
        return Answer.OVER
    if state.phase is not Phase.ESCALATED:
        return (
            Answer.MINE if state.claim is not None and state.claim.reviewer == principal.id else Answer.HELD
        )
    if not may_answer(state, principal):
        return Answer.ELSEWHERE
    if state.ladder.acknowledged_by is not None:
        return Answer.ACKNOWLEDGED
    called = state.ladder.waits and state.ladder.set_aside_until is None
    return Answer.OPEN if called else Answer.UNCALLED


_RISKS = (RiskClass.EMERGENCY, RiskClass.URGENT, RiskClass.ROUTINE)


def _by_urgency(call: Call) -> tuple[int, float, str]:
    due = float("inf") if call.due_at is None else call.due_at.timestamp()
    return _RISKS.index(call.risk_class), due, call.case
