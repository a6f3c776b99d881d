"""Saves a signature's step, and beside it who signed and what came of the review: all of it, or nothing."""

from __future__ import annotations

from datetime import datetime

from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.workflow.acting import Saving, save_alone
from arbiter.workflow.docket import Docket, write_step
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.oversight.recording import keep_review, measure_review
from arbiter.workflow.saving import go_in_order, perform, without_safety_net
from arbiter.workflow.shift.signed import keep_signed


def saving_signature(principal: Principal, option: str) -> Saving:
    """Return how a signature for an option is saved; what is referred instead of signed is saved alone."""

    async def saving(house: House, before: Dossier, docket: Docket, now: datetime) -> Docket:
        if docket.standing.phase is Phase.ESCALATED:
            return await save_alone(house, before, docket, now)
        # A correction is made knowing the panel, and often what happened since: it is no further review.
        correcting = before.row.state.correcting
        measured = None if correcting else await measure_review(house, before, principal, option, now)
        async with house.store.begin() as transaction:
            written = await write_step(transaction, without_safety_net(docket), now)
            if measured is not None:
                await keep_review(transaction, docket.case, measured)
            await keep_signed(transaction, docket, principal.id, now)
        # As every step that a round of the sealer follows: graver cases go first.
        await go_in_order(house, docket)
        perform(house, docket.case, docket.effects)
        return written

    return saving
