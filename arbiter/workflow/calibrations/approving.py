"""Calibrations proposed, approved and withdrawn: what a person did and the log's entry about it are one transaction.

Two persons put a calibration in force: whoever writes policy proposes it, somebody else who approves policy approves it. One
who approves policy withdraws it, alone and at any time. Each step is taken once, and a withdrawn calibration never comes
back: its bytes are its name, and another is made.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_from
from arbiter.documents.canonical import encode
from arbiter.errors import ArbiterError, ConflictError, ForbiddenError, NotFoundError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.protocols.bundle import CALIBRATION_FILE
from arbiter.protocols.loader import SIZE_LIMITS
from arbiter.settings import Mode
from arbiter.store.calibration_steps import Step, StepsRow, add_step, load_steps
from arbiter.store.calibrations import keep_calibration, load_calibration
from arbiter.store.transaction import DATABASE_ERRORS, Transaction, Where
from arbiter.workflow.calibrations.fitness import misfits
from arbiter.workflow.calibrations.spending import require_unspent
from arbiter.workflow.calibrations.standings import look_for_approved
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house, seal_if_allowed
from arbiter.workflow.reasons import reason_in

DOCUMENT: Final = "calibration"
FORMAT: Final = "arbiter/calibration-step/v1"
LARGEST_BYTES: Final = SIZE_LIMITS[CALIBRATION_FILE]


def entry_type(step: Step) -> str:
    """Return the type of the entry about a step, such as `calibration.approved`."""
    return f"calibration.{step.value}"


async def propose(house: House, principal: Principal, content: bytes) -> Calibration:
    """Keep a calibration and propose it; nothing is decided by it yet.

    Raises:
        ForbiddenError: for whoever may not write policy.
        RefusedError: when the bytes are not canonically a calibration, or it does not fit the protocol in force it names.
        ConflictError: when it was proposed before, or earlier looks at its labelled cases left less of delta than it spends.
    """
    principal.require(Permission.POLICY_AUTHOR)
    if len(content) > LARGEST_BYTES:
        raise RefusedError(f"expected a calibration of at most {LARGEST_BYTES} bytes")
    calibration = calibration_from(content)
    if problems := _misfits(house, calibration):
        raise RefusedError("the calibration does not fit what is in force here", problems)
    now = house.clock.now()
    async with house.store.begin() as transaction:
        await _enter(house, transaction, Step.PROPOSED, principal, calibration, {})
        if (before := await _find(transaction, calibration.content_hash)) is not None:
            raise ConflictError(_taken_already(before))
        await require_unspent(transaction, calibration, _promised(house, calibration))
        await keep_calibration(transaction, calibration, now)
        await _add(transaction, Step.PROPOSED, principal, calibration, now)
    await _after(house)
    return calibration


async def approve(house: House, principal: Principal, content_hash: str) -> Calibration:
    """Put a proposed calibration in force, as somebody else than its proposer.

    Raises:
        ForbiddenError: for whoever may not approve policy, and for the proposer.
        NotFoundError: when none of that hash was proposed.
        ConflictError: when it was approved or withdrawn before, or does not fit what is in force here any more.
    """
    principal.require(Permission.POLICY_APPROVE)
    calibration, row = await _proposed(house, content_hash)
    if row.proposed.actor == principal.id:
        raise ForbiddenError(f"calibration {content_hash}: expected another account than its proposer's")
    now = house.clock.now()
    async with house.store.begin() as transaction:
        told = {"proposed_by": row.proposed.actor}
        await _enter(house, transaction, Step.APPROVED, principal, calibration, told)
        before = await _find(transaction, content_hash)
        if before is None or before.approved is not None or before.withdrawn is not None:
            raise ConflictError(_taken_already(before or row))
        if problems := _misfits(house, calibration):
            raise ConflictError(
                f"calibration {content_hash} does not fit what is in force here: {problems[0].pointer}: {problems[0].detail}"
            )
        await _add(transaction, Step.APPROVED, principal, calibration, now)
    await _after(house)
    return calibration


async def withdraw(house: House, principal: Principal, content_hash: str, reason: str) -> Calibration:
    """Take a calibration out of force for good, or end its proposal; `reason` is kept in the clear.

    From the commit on nothing is decided by it, in any process. What was approved before it, and is not withdrawn, is in
    force again.

    Raises:
        ForbiddenError: for whoever may not approve policy.
        RefusedError: for a reason that is none.
        NotFoundError: when none of that hash was proposed; ConflictError: when it was withdrawn before.
    """
    principal.require(Permission.POLICY_APPROVE)
    words = reason_in(reason)
    calibration, row = await _proposed(house, content_hash)
    now = house.clock.now()
    async with house.store.begin() as transaction:
        told = {"proposed_by": row.proposed.actor, "reason": words}
        await _enter(house, transaction, Step.WITHDRAWN, principal, calibration, told)
        before = await _find(transaction, content_hash)
        if before is None or before.withdrawn is not None:
            raise ConflictError(_taken_already(before or row))
        await _add(transaction, Step.WITHDRAWN, principal, calibration, now, words)
    await _after(house)
    return calibration


def _misfits(house: House, calibration: Calibration) -> tuple[Problem, ...]:
    shelved = house.shelf.current.get(calibration.protocol)
    return misfits(
        calibration,
        None if shelved is None else shelved.protocol,
        demonstration=house.settings.mode is Mode.DEMONSTRATION,
    )


def _promised(house: House, calibration: Calibration) -> Decimal:
    """Return the delta that the protocol in force promises; 0 where it promises none, so that nothing is within it."""
    guarantee = house.shelf.in_force(calibration.protocol).protocol.adjudication.guarantee
    return Decimal(0) if guarantee is None else guarantee.delta


async def _proposed(house: House, content_hash: str) -> tuple[Calibration, StepsRow]:
    row = await _find(house.store, content_hash)
    if row is None:
        raise NotFoundError(f"no calibration {content_hash} was proposed")
    return await load_calibration(house.store, content_hash), row


async def _find(where: Where, content_hash: str) -> StepsRow | None:
    return next((row for row in await load_steps(where) if row.calibration == content_hash), None)


def _taken_already(row: StepsRow) -> str:
    step, act = next(
        (step, act)
        for step, act in (
            (Step.WITHDRAWN, row.withdrawn),
            (Step.APPROVED, row.approved),
            (Step.PROPOSED, row.proposed),
        )
        if act is not None
    )
    advice = "; make another: it never comes back" if step is Step.WITHDRAWN else ""
    return f"calibration {row.calibration} was {step.value} already, at {act.at.isoformat(timespec='seconds')}{advice}"


async def _enter(
    house: House,
    transaction: Transaction,
    step: Step,
    principal: Principal,
    calibration: Calibration,
    told: dict[str, Any],
) -> None:
    """Enter a step first: the chain's row is held to the commit, so of two steps at once the later sees what the other left."""
    document = {
        "format": FORMAT,
        "step": step.value,
        "by": principal.id,
        "calibration": calibration.content_hash,
        "protocol": calibration.protocol,
        "protocol_version": calibration.protocol_version,
        "protocol_hash": calibration.protocol_hash,
        "synthetic": calibration.labels.synthetic,
        **told,
    }
    contents = {DOCUMENT: encode(document)}
    await note_in_house(house, transaction, entry_type(step), principal.id, contents)


async def _add(
    transaction: Transaction,
    step: Step,
    principal: Principal,
    calibration: Calibration,
    now: datetime,
    reason: str | None = None,
) -> None:
    if not await add_step(transaction, calibration.content_hash, step, principal.id, now, reason):
        raise ConflictError(f"calibration {calibration.content_hash} was {step.value} already")


async def _after(house: House) -> None:
    """Let this process decide by what is in force now, and seal the entry, where this process may."""
    with suppress(ArbiterError, *DATABASE_ERRORS, OSError):
        # The step is committed whether or not it can be read again at once; every minute it is.
        await look_for_approved(house)
    await seal_if_allowed(house)
