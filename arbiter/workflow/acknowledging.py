"""Somebody on duty answers the call about an escalation: a reviewer at the work list, or a pager for whoever carries it."""

from __future__ import annotations

from arbiter.errors import IllegalMoveError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Acknowledge
from arbiter.model import CaseId
from arbiter.workflow.acting import act
from arbiter.workflow.dossier import load_seen_case
from arbiter.workflow.house import House


async def acknowledge(house: House, principal: Principal, case: CaseId) -> None:
    """Answer the call, so that no further rung is called before the review is overdue; again does nothing.

    Raises:
        NotFoundError: for a foreign site's case too; IllegalMoveError: when somebody else has answered, or nobody is
        called about the case.
    """
    principal.require(Permission.ESCALATIONS_ACKNOWLEDGE)
    try:
        await act(house, principal, case, lambda _dossier, _now: (Acknowledge(principal.id), {}))
    except IllegalMoveError:
        row = await load_seen_case(house.store, principal, case, house.clock.now())
        if row.state.ladder.acknowledged_by != principal.id:
            raise
