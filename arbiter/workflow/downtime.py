"""What waits for a clinician at every site together: for the list that people fall back on when Arbiter is down.

Nobody asks for it but the house itself. It holds what a work list holds: nothing about a patient, and nothing of why a
case waits or of who holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from arbiter.errors import UnavailableError
from arbiter.store.cases.heads import CaseRow
from arbiter.store.cases.waiting import list_with_humans
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.workflow.house import House
from arbiter.workflow.work_list import WorkItem, by_urgency

OUTAGES: tuple[type[Exception], ...] = (UnavailableError, *DATABASE_ERRORS)
"""What a use case raises while the database cannot be worked with."""

MOST_CASES = 1000
"""Of more, the most urgent are listed, and the list says that it is not whole."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Every case with the clinicians as it stood at one instant, the gravest first, and the names of sites by id.

    Training cases are counted and left out: on paper nobody's patient must cost anybody time. `whole` is false when there
    were more cases than a list holds.
    """

    at: datetime
    cases: tuple[WorkItem, ...]
    training: int
    whole: bool
    sites: Mapping[str, str]


async def everything_waiting(house: House) -> Waiting:
    """Return what waits now."""
    at = house.clock.now()
    sites = dict(await house.identities.sites())
    async with house.store.read() as transaction:
        rows = await list_with_humans(transaction, sites, MOST_CASES + 1)
        items = []
        for row in rows[:MOST_CASES]:
            if not row.state.training:
                shelved = await house.shelf.fetch(transaction, row.protocol_hash)
                items.append(_item(row, shelved.protocol.title, shelved.protocol.question.text))
    return Waiting(
        at=at,
        cases=tuple(sorted(items, key=by_urgency)),
        training=sum(row.state.marked_as_training for row in rows[:MOST_CASES]),
        whole=len(rows) <= MOST_CASES,
        sites=sites,
    )


def _item(row: CaseRow, title: str, question: str) -> WorkItem:
    state = row.state
    return WorkItem(
        case=row.id,
        title=title,
        question=question,
        risk_class=state.risk_class,
        site=row.site,
        waiting_since=row.created_at,
        due_at=state.due_at,
        overdue=state.overdue,
        phase=state.phase,
        mine=False,
    )
