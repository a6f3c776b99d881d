"""A new case takes the place of an open one, in the transaction that takes the new one in."""

from __future__ import annotations

from datetime import datetime

from arbiter.errors import ConflictError, InvalidCaseError, NotFoundError, Problem
from arbiter.identity.principals import Principal
from arbiter.lifecycle.events import Supersede
from arbiter.model import CaseId
from arbiter.store.cases.heads import CaseRow
from arbiter.store.cases.taking_in import NewCase
from arbiter.store.subjects import root_of
from arbiter.store.transaction import Transaction
from arbiter.workflow.docket import Docket, advance, write_step
from arbiter.workflow.dossier import load_seen_case, open_dossier
from arbiter.workflow.house import House
from arbiter.workflow.saving import without_safety_net


async def supersede(
    house: House, transaction: Transaction, principal: Principal, old: CaseId, new: NewCase, now: datetime
) -> Docket:
    """End the old case in favour of the new one; return its docket, whose effects are to be performed after the commit.

    Raises:
        InvalidCaseError: when it cannot be superseded by this client, or by this case.
    """
    try:
        row = await load_seen_case(transaction, principal, old)
        await _check_replaces(transaction, row, new)
        dossier = await open_dossier(house, transaction, row)
        docket = advance(house, dossier.docket, Supersede(new.step.case), actor=principal.id, now=now)
    except (NotFoundError, ConflictError) as error:
        # What was named may be no case's id at all, so it is not repeated.
        unknown = isinstance(error, NotFoundError)
        says = "expected a case that this client may know of" if unknown else str(error)
        problem = Problem("/supersedes", "not-supersedable", says)
        raise InvalidCaseError("the case named cannot be superseded", (problem,)) from error
    await write_step(transaction, without_safety_net(docket), now)
    return docket


async def _check_replaces(transaction: Transaction, old: CaseRow, new: NewCase) -> None:
    """Refuse that a case is taken off the list by one about somebody else, about something else, or for practice.

    Raises:
        ConflictError: naming what does not fit.
    """
    if old.state.training != new.step.state.training:
        raise ConflictError("a case for training and a real one never replace each other")
    if (old.site, old.protocol_id) != (new.site, new.protocol_id):
        raise ConflictError("expected a case of the same site and protocol")
    if await root_of(transaction, old.subject) != await root_of(transaction, new.subject):
        raise ConflictError("expected a case about the same patient")
