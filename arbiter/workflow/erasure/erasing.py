"""Erasing a case: its wrapped key is destroyed, so that nobody can read what it held; that it was, the log says.

In order: the checks; the house's entry that says who ordered it; the checks again, on the case held against every other
move; the list beside the kept checkpoint, on the disk; then the case's entry and the key's deletion in one transaction. The
list comes before the deletion, so a crash errs on the side of erasing: whoever asked was entitled, and the next start does it. `arbiter.workflow.erasure.clearing` then takes the key out of the database's files.

A process that is reading the case at that moment returns nothing of it: a read's entry is written, by compare-and-set on
the case's head, before content is handed on, and an erasure moves that head. No process keeps content after a request.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import encode
from arbiter.errors import (
    ConflictError,
    ErasedError,
    ForbiddenError,
    IllegalMoveError,
    NotFoundError,
    StaleStateError,
)
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.entries import CLOSING
from arbiter.lifecycle.events import Erase, Hold, LiftHold, Retract
from arbiter.lifecycle.states import ENDS
from arbiter.model import ActorId, CaseId
from arbiter.store.cases.heads import CaseRow, load_case
from arbiter.store.erasures import destroy_key, drop_stray_key, hold_case, keep_least_list
from arbiter.store.exports import end_jobs_with_documents_of
from arbiter.store.log.chains import load_entries
from arbiter.store.transaction import Transaction, Where
from arbiter.workflow.acting import TRIES, act
from arbiter.workflow.docket import ARBITER, Docket, advance, docket_of, write_step
from arbiter.workflow.dossier import check_not_erased, load_seen_case
from arbiter.workflow.erasure.erasure_list import Listed, What
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.saving import perform
from arbiter.workflow.views import CaseView

log = logging.getLogger(__name__)

ORDERED = "erasure.ordered"
"""The house's entry that says who had a case erased, with whom, and why before its time."""

_AGAIN = encode({"reason": "the case was erased; this copy of the database is from before that"})


@dataclass(frozen=True, slots=True)
class Order:
    """Who has a case erased. `second` and `despite` are given where the case must still be kept."""

    by: Principal
    second: Principal | None = None
    despite: str | None = None

    def document(self, case: CaseId, kept_until: datetime) -> bytes:
        """Return what the house's entry commits to."""
        said = {"case": case, "by": self.by.id, "kept_until": kept_until.isoformat()}
        if self.second is not None and self.despite is not None:
            said |= {"second": self.second.id, "despite_retention": self.despite}
        return encode(said)


async def hold(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """Forbid erasing a case until the hold is lifted. The entry commits to the reason, sealed with the case."""
    principal.require(Permission.CASES_HOLD)
    document = encode({"reason": reason})
    return (await act(house, principal, case, lambda _dossier, _now: (Hold(), {"reason": document}))).view


async def lift_hold(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """End a case's legal hold."""
    principal.require(Permission.CASES_HOLD)
    document = encode({"reason": reason})
    return (await act(house, principal, case, lambda _dossier, _now: (LiftHold(), {"reason": document}))).view


async def erase(house: House, order: Order, case: CaseId) -> None:
    """Destroy a case's key; durable, and the list's `done` line written, when this returns.

    Raises:
        ForbiddenError: for who may not, or a second person who is the first; NotFoundError: for a foreign site's case;
        ErasedError: when it was erased before; IllegalMoveError: when it has not ended, or a legal hold forbids it;
        ConflictError: while it must be kept, unless two persons say otherwise.
    """
    for person in (order.by, order.second):
        if person is not None:
            person.require(Permission.CASES_ERASE)
    if order.second is not None and order.second.id == order.by.id:
        raise ForbiddenError(f"{order.by.kind} {order.by.id} is one person; a second one is needed")
    now = house.clock.now()
    async with house.store.read() as transaction:
        _, kept_until = await _erased(house, transaction, case, order.by.id, now, order=order)
    document = order.document(case, kept_until)
    await note_in_house(house, house.store, ORDERED, order.by.id, {"order": document})
    await _destroy(house, case, order.by.id, order=order)


async def erase_intended(house: House, case: CaseId, by: str) -> bool:
    """Do an erasure that is listed and was not done, if it still may be; return whether the key is gone.

    Its checks were passed before it was listed; what may have changed since is the case itself. Then it is withdrawn.
    """
    try:
        await _destroy(house, case, ActorId(by))
    except ErasedError:
        return True
    except IllegalMoveError as refusal:
        # Were it to stay listed, it would be erased unasked on the day a hold is lifted or a contest has ended.
        log.warning("case %s was listed for erasure and is kept: %s", case, type(refusal).__name__)
        lines = await asyncio.to_thread(house.erasures.add, What.WITHDRAWN, case, by, house.clock.now())
        await note_list(house.store, lines)
        return False
    return True


async def erase_again(house: House, case: CaseId) -> None:
    """Destroy the key of a case that was erased, in a database from before that, wherever the case stood then.

    A hold that was in force then had been lifted; a case under way then had ended. Each is an entry first.
    """
    try:
        await _destroy(house, case, ARBITER, again=True)
    except ErasedError:
        await drop_stray_key(house.store, case)


async def _destroy(
    house: House, case: CaseId, by: ActorId, *, order: Order | None = None, again: bool = False
) -> None:
    lines: Listed | None = None
    for attempt in range(1, TRIES + 1):
        now = house.clock.now()
        try:
            async with house.store.begin() as transaction:
                await hold_case(transaction, case)
                docket, _ = await _erased(house, transaction, case, by, now, order=order, again=again)
                if order is not None:
                    if lines is None:
                        lines = await asyncio.to_thread(house.erasures.add, What.INTENDED, case, by, now)
                    await note_list(transaction, lines)
                await write_step(transaction, docket, now)
                await destroy_key(transaction, case, docket.seq, now)
                # The files go with the next sweep of exports; without their keys they are noise already.
                await end_jobs_with_documents_of(transaction, case, now)
        except StaleStateError:
            if attempt == TRIES:
                raise
            continue
        break
    perform(house, case, docket.effects)
    if not again:
        done = await asyncio.to_thread(house.erasures.add, What.DONE, case, by, now)
        await note_list(house.store, done)
    log.warning("case %s is erased", case)


async def _erased(
    house: House,
    transaction: Transaction,
    case: CaseId,
    by: ActorId,
    now: datetime,
    *,
    order: Order | None = None,
    again: bool = False,
) -> tuple[Docket, datetime]:
    """Return the case's docket with its erasure, once every check has passed, and until when it is to be kept."""
    if order is None:
        row = await load_case(transaction, case)
    else:
        row = await load_seen_case(transaction, order.by, case)
        if order.second is not None and not order.second.may_see(row.site):
            raise NotFoundError(f"no case {case}")
    check_not_erased(row)
    shelved = await house.shelf.fetch(transaction, row.protocol_hash)
    docket = docket_of(row, shelved.protocol.policy_hash)
    if again:
        docket = _ended(house, row, docket, now)
    docket = advance(house, docket, Erase(), actor=by, now=now)
    if order is None:
        return docket, now
    kept_until = await _kept_until(house, transaction, case)
    _check_retention(order, case, kept_until, now)
    return docket, kept_until


def _ended(house: House, row: CaseRow, docket: Docket, now: datetime) -> Docket:
    """Return the docket of a case from a copy of before its erasure, brought to where erasing is a move."""
    if row.state.phase in ENDS and not row.state.held:
        return docket
    key = house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
    for event, wanted in ((LiftHold(), row.state.held), (Retract(), row.state.phase not in ENDS)):
        if wanted:
            docket = advance(
                house, docket, event, actor=ARBITER, now=now, key=key, documents={"reason": _AGAIN}
            )
    return docket


async def _kept_until(house: House, transaction: Transaction, case: CaseId) -> datetime:
    """Return until when a case that has ended must be kept, counted from the entry that ended it last."""
    ended_at = None
    for _, body, _ in await load_entries(transaction, case):
        entry = Entry.from_bytes(body)
        if entry.type in CLOSING:
            ended_at = entry.at
    if ended_at is None:
        raise IllegalMoveError(f"no entry says that case {case} has ended")
    return ended_at + timedelta(days=house.settings.retention_days)


def _check_retention(order: Order, case: CaseId, kept_until: datetime, now: datetime) -> None:
    if now >= kept_until:
        return
    if order.second is None or order.despite is None or not order.despite.strip():
        raise ConflictError(
            f"case {case} must be kept until {kept_until:%Y-%m-%d}; before that, erasing it takes a reason and a second person"
        )


async def note_list(where: Where, listed: Listed) -> None:
    """Have the database know how long the list is at least."""
    await keep_least_list(where, listed.id, len(listed.lines), bytes.fromhex(listed.lines[-1].hash))
