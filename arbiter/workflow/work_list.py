"""What waits for a clinician: nothing about a patient, and nothing about why a case waits.

Decisions drawn for an audit stand among the escalations as routine ones do (`arbiter.workflow.watching.reading`); only that
nobody is called about them. The database chooses by urgency: however many wait, the most urgent are on the first page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.heads import CaseRow, load_cases
from arbiter.store.cases.waiting import (
    EVERYTHING,
    Counted,
    Counts,
    Looking,
    Narrowing,
    count_waiting,
    list_waiting,
)
from arbiter.store.shifts import load_held
from arbiter.workflow.dossier import load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.taking import arbitrates, may_take
from arbiter.workflow.watching.reading import as_shown

__all__ = [
    "AUDITS_LISTED",
    "EVERYTHING",
    "LIST_LIMIT",
    "Counted",
    "Counts",
    "Narrowing",
    "WorkItem",
    "WorkList",
    "by_urgency",
    "fits",
    "held",
    "look",
    "looking_of",
    "standing",
]

LIST_LIMIT = 200
"""How many waiting cases a list holds at once; of more, the most urgent, and the next page goes on."""
MOST_MINE = 100
AUDITS_LISTED = 20
"""Of each protocol's decisions to be read the list has the oldest: whoever reads is not to be drowned in them."""
LAST_PAGE = 1000

_RISK_ORDER = {RiskClass.EMERGENCY: 0, RiskClass.URGENT: 1, RiskClass.ROUTINE: 2}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A case on the work list: nothing about its patient, nothing about why it is there.

    While nobody has acknowledged it, `calls_on_at` is when the next people are called, or on the `last_call` when the
    requester is told that nobody came. `unattended`: the requester has been told so. `acknowledged_by` is a name. Where it can
    wait, nobody is `called` about it, and there is nothing to acknowledge; `set_aside_until` says until when one of them has
    put it aside. `held_until` ends this reviewer's own lease. Not `takeable` by the person who looks: it is for another
    reader, or an arbiter.
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
    set_aside_until: datetime | None = None
    takeable: bool = True
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkList:
    """A part of what waits at a reviewer's sites, and what this reviewer holds there.

    `mine` is ordered by the end of the lease, `waiting` by urgency. `narrowing` is what was asked for, of which `page` of
    `pages` is here; `mine` is never narrowed. `counts` are of everything, whatever was asked for. `protocols` are the titles
    of the protocols counted, by id.
    """

    at: datetime
    mine: tuple[WorkItem, ...]
    waiting: tuple[WorkItem, ...]
    narrowing: Narrowing
    page: int
    pages: int
    counts: Counts
    protocols: Mapping[str, str]

    @property
    def total(self) -> int:
        """How many cases wait that are as was asked for."""
        return sum(each.cases for each in self.counts.waiting if fits(each, self.narrowing))

    @property
    def every(self) -> int:
        """How many cases wait."""
        return sum(each.cases for each in self.counts.waiting)


def fits(counted: Counted, narrowing: Narrowing) -> bool:
    """Return whether cases are as is asked for: what the database says of each, said of those that are alike."""
    return (
        narrowing.site in {None, counted.site}
        and narrowing.protocol in {None, counted.protocol}
        and narrowing.risk_class in {None, counted.risk_class}
        and (counted.overdue or not narrowing.overdue)
        and (counted.unacknowledged or not narrowing.unacknowledged)
    )


async def look(
    house: House,
    principal: Principal,
    narrowing: Narrowing = EVERYTHING,
    *,
    page: int = 1,
    size: int = LIST_LIMIT,
) -> WorkList:
    """Return a page, from 1, of what waits at this reviewer's sites; beyond the last one it is the last one."""
    principal.require(Permission.REVIEW_WORK)
    looking = looking_of(house, principal)
    counts = await count_waiting(house.store, looking)
    total = sum(each.cases for each in counts.waiting if fits(each, narrowing))
    pages = max(1, min(LAST_PAGE, -(-total // size)))
    page = max(1, min(page, pages))
    rows = await list_waiting(
        house.store, looking, narrowing, most_mine=MOST_MINE, limit=size, offset=(page - 1) * size
    )
    items = await _items(house, principal, rows, looking)
    return WorkList(
        at=looking.now,
        mine=tuple(item for item in items if item.mine),
        waiting=tuple(item for item in items if not item.mine and item.phase is Phase.ESCALATED),
        narrowing=narrowing,
        page=page,
        pages=pages,
        counts=counts,
        protocols=_titles(house, counts.waiting, narrowing),
    )


async def held(house: House, principal: Principal) -> tuple[WorkItem, ...]:
    """Return the cases this reviewer holds now, those first whose lease ends soonest: also those held through broken glass.

    No list of what waits shows those.
    """
    principal.require(Permission.REVIEW_WORK)
    looking = looking_of(house, principal)
    rows = await load_cases(house.store, await load_held(house.store, principal.id, MOST_MINE))
    items = await _items(house, principal, rows, looking)
    holding = [(item.held_until, item.case, item) for item in items if item.held_until is not None]
    return tuple(
        item for until, _case, item in sorted(holding, key=lambda each: each[:2]) if until > looking.now
    )


async def standing(house: House, principal: Principal, case: CaseId) -> WorkItem:
    """Return one case as the work list would show it, whatever its phase."""
    principal.require(Permission.REVIEW_WORK)
    now = house.clock.now()
    row = await load_seen_case(house.store, principal, case, now)
    (item,) = await _items(house, principal, (row,), looking_of(house, principal, now))
    return item


def looking_of(house: House, principal: Principal, now: datetime | None = None) -> Looking:
    """Return how this reviewer looks at the work list, by default now."""
    within = timedelta(days=house.settings.audit_days)
    return Looking(
        principal.id,
        principal.sites,
        now or house.clock.now(),
        within,
        AUDITS_LISTED,
        arbitrates=arbitrates(principal),
    )


async def _items(
    house: House, principal: Principal, rows: Sequence[CaseRow], looking: Looking
) -> tuple[WorkItem, ...]:
    names = await _names(house, rows)
    items = []
    for row in rows:
        shelved = await house.shelf.fetch(house.store, row.protocol_hash)
        items.append(
            _work_item(as_shown(row, principal, looking.now, looking.within), shelved, principal, names)
        )
    return tuple(items)


async def _names(house: House, rows: Sequence[CaseRow]) -> Mapping[str, str]:
    """Return the names of those who have acknowledged one of these cases."""
    held = (row.state.ladder.acknowledged_by for row in rows)
    return await house.identities.names({by for by in held if by is not None})


def _titles(house: House, counted: Iterable[Counted], narrowing: Narrowing) -> Mapping[str, str]:
    asked = {each.protocol for each in counted} | ({narrowing.protocol} - {None})
    in_force = house.shelf.current
    return {
        protocol: in_force[protocol].protocol.title if protocol in in_force else protocol
        for protocol in sorted(asked, key=str)
        if protocol is not None
    }


def _work_item(row: CaseRow, shelved: Shelved, principal: Principal, names: Mapping[str, str]) -> WorkItem:
    state, ladder = row.state, row.state.ladder
    mine = state.claim is not None and state.claim.reviewer == principal.id
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
        mine=mine,
        acknowledged_by=None
        if ladder.acknowledged_by is None
        else names.get(ladder.acknowledged_by, ladder.acknowledged_by),
        calls_on_at=ladder.until,
        last_call=ladder.rung + 1 >= len(ladder.waits),
        unattended=ladder.unattended,
        training=state.marked_as_training,
        called=bool(ladder.waits) and ladder.set_aside_until is None,
        set_aside_until=ladder.set_aside_until,
        takeable=may_take(state, principal),
        held_until=state.claim.until if mine and state.claim is not None else None,
    )


def by_urgency(item: WorkItem) -> tuple[int, float, str]:
    """Return what sorts items: emergencies first, then by deadline."""
    due = float("inf") if item.due_at is None else item.due_at.timestamp()
    return _RISK_ORDER[item.risk_class], due, item.case
