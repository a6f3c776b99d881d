"""Somebody on duty answers the call about an escalation: a reviewer at the work list, or a pager for whoever carries it."""

from __future__ import annotations

from datetime import datetime

from arbiter.errors import IllegalMoveError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Acknowledge
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import CaseId
from arbiter.workflow.acting import act
from arbiter.workflow.dossier import Dossier, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.taking import may_take


async def acknowledge(house: House, principal: Principal, case: CaseId) -> None:
    """Answer the call, so that no further rung is called before the review is overdue; again does nothing.

    Raises:
        NotFoundError: for a foreign site's case too; IllegalMoveError: when somebody else has answered, or nobody is
        called about the case, or it waits for another reviewer than this one.
    """
    principal.require(Permission.ESCALATIONS_ACKNOWLEDGE)

    def answer(dossier: Dossier, _now: datetime) -> tuple[Acknowledge, dict[str, bytes]]:
        if not may_answer(dossier.row.state, principal):
            raise IllegalMoveError(f"case {case} waits for somebody else than {principal.id}")
        return Acknowledge(principal.id), {}

    try:
        await act(house, principal, case, answer)
    except IllegalMoveError:
        row = await load_seen_case(house.store, principal, case, house.clock.now())
        if row.state.ladder.acknowledged_by != principal.id:
            raise


def may_answer(state: CaseState, principal: Principal) -> bool:
    """Return whether somebody who says that they are on their way could take the case; who does not review answers for others."""
    if Permission.REVIEW_WORK not in principal.permissions or state.phase is not Phase.ESCALATED:
        return True
    return may_take(state, principal)
