"""Saves a step and performs its effects: one transaction for state, entries, documents and jobs, the world afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from arbiter.lifecycle.effects import (
    AskPanel,
    DropSafetyNet,
    Effect,
    NotifyDutyGroup,
    ScheduleSafetyNet,
    SealAndRelease,
    TellRequester,
)
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.transaction import Transaction
from arbiter.workflow.docket import Docket, write_step
from arbiter.workflow.house import House

log = logging.getLogger(__name__)


async def save(house: House, docket: Docket, now: datetime) -> Docket:
    """Write the docket's step as a transaction of its own, then perform its effects.

    Raises:
        StaleStateError: when somebody else moved the case first; nothing was written.
    """
    saved = await write_step(house.steps, without_safety_net(docket), now)
    if any(isinstance(effect, SealAndRelease) for effect in docket.effects):
        # A round of the sealer is a step too, and one that has begun keeps the next one waiting. Nothing else may wait
        # here: who is to be told is told, and who acts on a case is answered.
        await go_in_order(house, docket)
    perform(house, docket.case, docket.effects)
    return saved


async def go_in_order(house: House, docket: Docket) -> None:
    """Let graver cases go first; a graver case says that it goes. Practice never goes before anybody."""
    if docket.standing.training or docket.standing.risk_class is RiskClass.ROUTINE:
        await house.admission.way.give()
    else:
        house.admission.way.take()


def without_safety_net(docket: Docket) -> Docket:
    """Return the docket with its job marked to be dropped, if the step's effects say so."""
    if not any(isinstance(effect, DropSafetyNet) for effect in docket.effects):
        return docket
    return replace(docket, job=None, dropped_job=docket.job)


async def with_safety_net(house: House, transaction: Transaction, docket: Docket, now: datetime) -> Docket:
    """Return the docket with a fresh job left in the transaction, if it ends in the panel's hands."""
    docket = replace(docket, job=None, dropped_job=docket.job)
    if docket.standing.phase is not Phase.DELIBERATING:
        return docket
    job = await house.safety_net.leave(transaction, docket.case, docket.standing.risk_class, now)
    return replace(docket, job=job)


def perform(house: House, case: CaseId, effects: Iterable[Effect]) -> None:
    """Do what a committed step asks of the world. Asking the panel is the caller's: it holds the case."""
    for effect in effects:
        match effect:
            case SealAndRelease():
                house.sealer.request()
            case TellRequester():
                house.bell.ring(case)
                house.postbox.fill()
            case NotifyDutyGroup():
                # The work list shows the case from here on; the log line is for whoever watches the service.
                log.info("case %s waits for a clinician", case)
                house.postbox.fill()
            case AskPanel() | ScheduleSafetyNet() | DropSafetyNet():
                pass
            case _:
                assert_never(effect)
