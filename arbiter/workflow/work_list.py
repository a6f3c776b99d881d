"""What waits for a clinician: nothing about a patient, and nothing about why a case waits.

Decisions drawn for an audit stand among the escalations as routine ones do (`arbiter.workflow.watching.reading`); only that
nobody is called about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import WITH_HUMANS, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.heads import CaseRow, Wanted, list_cases, list_open_audits
from arbiter.workflow.dossier import load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.watching.reading import as_shown

LIST_LIMIT = 200
AUDITS_LISTED = 20
"""Of each protocol's decisions to be read the list has the oldest, so that they never hide who waits for a decision."""

_RISK_ORDER = {RiskClass.EMERGENCY: 0, RiskClass.URGENT: 1, RiskClass.ROUTINE: 2}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A case on the work list: nothing about its patient, nothing about why it is there.

    While nobody has acknowledged it, `calls_on_at` is when the next people are called, or on the `last_call` when the
    requester is told that nobody came. `unattended`: the requester has been told so. `acknowledged_by` is a name. Where it can
    wait, nobody is `called` about it, and there is nothing to acknowledge.
    """

    case: CaseId
    title: str
    question: str
    risk_class: RiskClass
    site: str
    waiting_since: datetime
    due_at: datetime | None
    overdue: bool
    phase: Phase
    mine: bool
    acknowledged_by: str | None = None
    calls_on_at: datetime | None = None
    last_call: bool = False
    unattended: bool = False
    training: bool = False
    called: bool = True


async def waiting(house: House, principal: Principal) -> tuple[WorkItem, ...]:
    """Return the cases that wait for a clinician and those this reviewer holds: emergencies first, then by deadline."""
    principal.require(Permission.REVIEW_WORK)
    now, within = house.clock.now(), timedelta(days=house.settings.audit_days)
    phases = tuple(sorted(WITH_HUMANS))
    async with house.store.read() as transaction:
        rows = await list_cases(transaction, Wanted(sites=principal.sites, phases=phases), LIST_LIMIT)
        room = min(AUDITS_LISTED, LIST_LIMIT - len(rows))
        audits = await list_open_audits(transaction, principal.sites, principal.id, room) if room else ()
        names = await _names(house, rows)
        items = []
        for row in (*rows, *audits):
            shelved = await house.shelf.fetch(transaction, row.protocol_hash)
            items.append(_work_item(as_shown(row, principal, now, within), shelved, principal, names))
    return tuple(sorted(items, key=by_urgency))


async def standing(house: House, principal: Principal, case: CaseId) -> WorkItem:
    """Return one case as the work list would show it, whatever its phase."""
    principal.require(Permission.REVIEW_WORK)
    now, within = house.clock.now(), timedelta(days=house.settings.audit_days)
    row = as_shown(await load_seen_case(house.store, principal, case, now), principal, now, within)
    shelved = await house.shelf.fetch(house.store, row.protocol_hash)
    return _work_item(row, shelved, principal, await _names(house, (row,)))


async def _names(house: House, rows: Sequence[CaseRow]) -> Mapping[str, str]:
    """Return the names of those who have acknowledged one of these cases."""
    held = (row.state.ladder.acknowledged_by for row in rows)
    return await house.identities.names({by for by in held if by is not None})


def _work_item(row: CaseRow, shelved: Shelved, principal: Principal, names: Mapping[str, str]) -> WorkItem:
    state, ladder = row.state, row.state.ladder
    return WorkItem(
        case=row.id,
        title=shelved.protocol.title,
        question=shelved.protocol.question.text,
        risk_class=state.risk_class,
        site=row.site,
        waiting_since=row.created_at,
        due_at=state.due_at,
        overdue=state.overdue,
        phase=state.phase,
        mine=state.claim is not None and state.claim.reviewer == principal.id,
        acknowledged_by=None
        if ladder.acknowledged_by is None
        else names.get(ladder.acknowledged_by, ladder.acknowledged_by),
        calls_on_at=ladder.until,
        last_call=ladder.rung + 1 >= len(ladder.waits),
        unattended=ladder.unattended,
        training=state.training and not state.planted,
        called=bool(ladder.waits),
    )


def by_urgency(item: WorkItem) -> tuple[int, float, str]:
    """Return what sorts items: emergencies first, then by deadline."""
    due = float("inf") if item.due_at is None else item.due_at.timestamp()
    return _RISK_ORDER[item.risk_class], due, item.case
