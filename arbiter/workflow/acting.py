"""A person's or client's single move on a stored case: load, check, step, save, and once more if somebody was faster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from arbiter.errors import StaleStateError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.events import Event, Read
from arbiter.model import CaseId
from arbiter.workflow.docket import Docket, advance
from arbiter.workflow.dossier import Dossier, load_seen_case, open_dossier
from arbiter.workflow.house import House
from arbiter.workflow.saving import save
from arbiter.workflow.views import CaseView, view_of

TRIES = 5

Intent: TypeAlias = Callable[[Dossier, datetime], tuple[Event, Mapping[str, bytes]]]
"""What the actor means to do with the case as it stands: the event, and the documents its entry commits to."""


Saving: TypeAlias = Callable[[House, Dossier, Docket, datetime], Awaitable[Docket]]
"""How the moved case is written, given as it was before: alone, or in one transaction with what belongs to it."""


@dataclass(frozen=True, slots=True)
class Acted:
    """The case as it was when the actor moved it, and as it stands now."""

    before: Dossier
    view: CaseView
    at: datetime


async def save_alone(house: House, _before: Dossier, docket: Docket, now: datetime) -> Docket:
    """Write the moved case and nothing beside it."""
    return await save(house, docket, now)


async def act(
    house: House,
    principal: Principal,
    case: CaseId,
    intent: Intent,
    *,
    through_glass: bool = False,
    saving: Saving = save_alone,
) -> Acted:
    """Make one move for a principal who may know of the case; `through_glass` for those who look or judge.

    Raises:
        NotFoundError: for a foreign site's case too; IllegalMoveError: when the reducer refuses;
        StaleStateError: when others were faster `TRIES` times in a row.
    """
    for attempt in range(1, TRIES + 1):
        now = house.clock.now()
        async with house.store.read() as transaction:
            head = await load_seen_case(transaction, principal, case, now if through_glass else None)
            dossier = await open_dossier(house, transaction, head)
        event, documents = intent(dossier, now)
        docket = advance(
            house,
            dossier.docket,
            event,
            actor=principal.id,
            now=now,
            key=dossier.key,
            documents=documents,
        )
        try:
            saved = await saving(house, dossier, docket, now)
        except StaleStateError:
            if attempt == TRIES:
                raise
            continue
        row = replace(dossier.row, state=saved.standing, seq=saved.seq, changed_at=now)
        return Acted(dossier, view_of(row, dossier.shelved), now)
    raise AssertionError("the loop above returns or raises")


async def read_dossier(house: House, principal: Principal, case: CaseId) -> Dossier:
    """Open a case's content for a principal; the read is an entry, written before anything is returned."""
    acted = await act(house, principal, case, lambda _dossier, _now: (Read(), {}), through_glass=True)
    return acted.before
