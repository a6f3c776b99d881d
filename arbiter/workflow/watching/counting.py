"""Counts an audit in the very step that closes it, and raises the alarm that it completes: one transaction.

So no audit is lost or counted twice, and no decision is made by itself once the step that proves too many wrong is committed.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from arbiter.calibration import Calibration
from arbiter.documents.canonical import encode
from arbiter.documents.scalars import decimal_text
from arbiter.errors import ArbiterError
from arbiter.lifecycle.states import AuditStage
from arbiter.store.transaction import DATABASE_ERRORS, Transaction
from arbiter.store.watching import (
    AlarmKind,
    AlarmRow,
    AlarmStep,
    CountRow,
    add_alarm_step,
    add_count,
    load_alarm_steps,
    load_counts,
)
from arbiter.telemetry import Safe
from arbiter.telemetry.catalogue import AUDIT_STAGE, PROTOCOL, WATCH_KIND
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import AUDITS_CLOSED, WATCH_ALARMS
from arbiter.workflow.docket import ARBITER, Docket, write_step
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.saving import perform, save
from arbiter.workflow.watching.alarms import DOCUMENT, FORMAT, look_for_stops
from arbiter.workflow.watching.audited import AuditedDecision, audited_decision
from arbiter.workflow.watching.evidence import Tally, due_alarms

log = logging.getLogger(__name__)

COUNTED: Final = "watch.counted"
ALARMED: Final = "watch.alarmed"

_COUNTING: Final = frozenset({AuditStage.AGREED, AuditStage.UNCONFIRMED, AuditStage.WRONG})


async def save_reading(house: House, dossier: Dossier, docket: Docket, now: datetime) -> Docket:
    """Save a reviewer's step; where it closes the audit of a decision, count that with it.

    Raises:
        StaleStateError: when somebody else moved the case first; nothing was written.
    """
    if not _closes(dossier, docket):
        return await save(house, docket, now)
    decision = audited_decision(dossier)
    calibration = await house.shelf.fetch_calibration(house.store, decision.calibration)
    row = _count(dossier, docket, decision, now)
    async with house.store.begin() as transaction:
        # First, so that the chain's row is held to the commit: audits are counted one after another.
        contents = {DOCUMENT: encode(_document(row))}
        await note_in_house(house, transaction, COUNTED, ARBITER, contents)
        written = await write_step(transaction, docket, now)
        order = await add_count(transaction, row)
        alarmed = await _raise_alarms(house, transaction, calibration, row, order)
    perform(house, docket.case, docket.effects)
    house.sealer.request()
    await _tell(house, docket, row, alarmed)
    return written


def _closes(dossier: Dossier, docket: Docket) -> bool:
    before, after = dossier.row.state.audit, docket.standing.audit
    return before is not None and before.is_open and after is not None and after.stage in _COUNTING


def _count(dossier: Dossier, docket: Docket, decision: AuditedDecision, now: datetime) -> CountRow:
    audit = docket.standing.audit
    wrong = audit is not None and audit.stage is AuditStage.WRONG
    options = dossier.shelved.protocol.question.option_ids()
    return CountRow(
        case=docket.case,
        protocol=dossier.row.protocol_id,
        calibration=decision.calibration,
        option=decision.option,
        wrong=wrong,
        doubted=audit is not None and audit.stage is not AuditStage.AGREED,
        probability=decision.probability,
        members=_members(decision, options, wrong=wrong),
        at=now,
    )


def _members(decision: AuditedDecision, options: tuple[str, ...], *, wrong: bool) -> dict[str, bool]:
    """Return of each member whether it was wrong, as far as the readers' word tells.

    Where they said that the decision was wrong, they did not have to say the same: only of two options is the other one right.
    """
    if not wrong:
        return {member: answer != decision.option for member, answer in decision.answers.items()}
    return {
        member: answer == decision.option
        for member, answer in decision.answers.items()
        if answer == decision.option or len(options) == 2
    }


async def _raise_alarms(
    house: House, transaction: Transaction, calibration: Calibration, row: CountRow, order: int
) -> tuple[Tally, ...]:
    counts = await load_counts(transaction, calibration.content_hash)
    steps = await load_alarm_steps(transaction)
    due = due_alarms(calibration, counts, steps)
    for tally in due:
        claim = tally.claim
        document = {
            "format": FORMAT,
            "step": AlarmStep.ALARMED.value,
            "protocol": row.protocol,
            "calibration": calibration.content_hash,
            "kind": claim.kind.value,
            "target": claim.target,
            "alpha": f"{claim.alpha:.6f}",
            "delta": f"{claim.delta:.9f}",
            "audits": tally.audits,
            "errors": tally.errors,
        }
        await note_in_house(house, transaction, ALARMED, ARBITER, {DOCUMENT: encode(document)})
        step = AlarmRow(
            row.protocol,
            calibration.content_hash,
            claim.kind,
            claim.target,
            AlarmStep.ALARMED,
            order,
            ARBITER,
            row.at,
        )
        await add_alarm_step(transaction, step)
    return due


def _document(row: CountRow) -> dict[str, Any]:
    """Return what the house's entry commits to; it is kept in the clear, so it names no case."""
    return {
        "format": FORMAT,
        "step": "counted",
        "protocol": row.protocol,
        "calibration": row.calibration,
        "option": row.option,
        "wrong": row.wrong,
        "doubted": row.doubted,
        "probability": decimal_text(row.probability),
        "members": dict(row.members),
    }


async def _tell(house: House, docket: Docket, row: CountRow, alarmed: tuple[Tally, ...]) -> None:
    audit = docket.standing.audit
    stage = "" if audit is None else audit.stage.value
    count(AUDITS_CLOSED, {PROTOCOL: row.protocol, AUDIT_STAGE: stage})
    for tally in alarmed:
        count(WATCH_ALARMS, {PROTOCOL: row.protocol, WATCH_KIND: tally.claim.kind.value})
        if tally.claim.kind is AlarmKind.OPTION:
            log.error(
                "protocol %s decides nothing alone any more: of %d audited decisions for %s, %d were wrong",
                Safe(row.protocol),
                tally.audits,
                Safe(tally.claim.target),
                tally.errors,
            )
        else:
            log.warning(
                "member %s of %s is wrong more often than its record says: %d of %d audited",
                Safe(tally.claim.target),
                Safe(row.protocol),
                tally.errors,
                tally.audits,
            )
    if alarmed:
        with suppress(ArbiterError, *DATABASE_ERRORS):
            # Every process asks the database again before it decides; this only spares the asking.
            await look_for_stops(house)
