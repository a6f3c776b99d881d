"""Ends waits that are over: leases, panels, facts, reviews, releases. Time-outs escalate; none ever approves."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from arbiter.adjudication.certifying import escalation_certificate
from arbiter.errors import IllegalMoveError, StaleStateError, UnavailableError
from arbiter.lifecycle.events import Expire
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, Reason, ReasonCode, RiskClass
from arbiter.store.cases.heads import CosignedSizes, load_due
from arbiter.store.log.chains import load_entries
from arbiter.store.transaction import DATABASE_ERRORS, Transaction
from arbiter.telemetry.catalogue import CASE, DEADLINE
from arbiter.telemetry.spans import spanned
from arbiter.workflow import figures
from arbiter.workflow.certifying import circumstances
from arbiter.workflow.docket import ARBITER, advance
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.log.cosigned import cosigned_sizes
from arbiter.workflow.planted import ended_unless_wrong
from arbiter.workflow.saving import save

log = logging.getLogger(__name__)

SWEEP_SECONDS = 0.5
BATCH = 100

_LATE = {
    Phase.RECEIVED: Reason(ReasonCode.DEADLINE, "the panel was not asked in time"),
    Phase.DELIBERATING: Reason(ReasonCode.DEADLINE, "the panel did not conclude in time"),
    Phase.AWAITING_FACTS: Reason(ReasonCode.DEADLINE, "the facts asked for did not come in time"),
    Phase.DECIDED: Reason(ReasonCode.WITHDRAWN, "no checkpoint covered the panel's decision in time"),
}


async def sweep(house: House) -> None:
    """Sweep until cancelled."""
    while True:
        try:
            await expire_due(house)
        except (UnavailableError, *DATABASE_ERRORS, OSError):
            log.exception("a sweep of deadlines failed")
        await asyncio.sleep(SWEEP_SECONDS)


async def expire_due(house: House) -> int:
    """End every wait that is over; return how many were."""
    due = await load_due(house.store, house.clock.now(), BATCH, await _released_below(house))
    expired = 0
    for case in due:
        try:
            with spanned(DEADLINE, {CASE: case}):
                expired += await _expire(house, case)
        except (UnavailableError, *DATABASE_ERRORS):
            raise
        except Exception:
            # One damaged case must not keep the others waiting; it stays due and is tried again.
            log.exception("the deadline of case %s could not be acted on", case)
    return expired


async def _released_below(house: House) -> CosignedSizes | None:
    """Return which decisions are about to be released, as `cosigned_sizes`: none while releases are held back."""
    if _holds_back(house):
        return dict.fromkeys(RiskClass, 0)
    return await cosigned_sizes(house)


def _holds_back(house: House) -> bool:
    return house.guard.refusal is not None or house.sealer.holds_back


async def _expire(house: House, case: CaseId) -> bool:
    now = house.clock.now()
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
        late = await _late(house, transaction, dossier)
    documents = {} if late is None else {"certificate": _certificate(house, dossier, late, now)}
    try:
        docket = advance(
            house, dossier.docket, Expire(), actor=ARBITER, now=now, key=dossier.key, documents=documents
        )
        if late is not None:
            docket = ended_unless_wrong(house, docket, dossier.key, None, documents["certificate"], now)
        await save(house, docket, now)
    except (IllegalMoveError, StaleStateError):
        return False
    if late is not None:
        figures.escalated(dossier.shelved, docket.standing, (late,))
    return True


async def _late(house: House, transaction: Transaction, dossier: Dossier) -> Reason | None:
    row = dossier.row
    # The panel has said what it had to say where a reviewer asked for facts: what it said still stands.
    late = None if row.state.facts_asked_by is not None else _LATE.get(row.state.phase)
    if row.state.phase is Phase.DECIDED and row.decided_seq is not None:
        entries = await load_entries(transaction, row.id, row.decided_seq - 1)
        if entries and entries[0][2] is not None and _holds_back(house):
            late = Reason(ReasonCode.WITHDRAWN, "the checkpoint over it could not be relied on in time")
        elif entries and entries[0][2] is not None:
            needed, asked = house.circle.needed(row.state.risk_class), len(house.circle.witnesses)
            late = Reason(
                ReasonCode.WITHDRAWN, f"fewer than {needed} of {asked} witnesses had cosigned it in time"
            )
    return late


def _certificate(house: House, dossier: Dossier, late: Reason, now: datetime) -> bytes:
    return escalation_certificate(
        circumstances(house, dossier.docket, now),
        dossier.shelved,
        dossier.taken_facts(),
        dossier.opinions(),
        (late,),
    )
