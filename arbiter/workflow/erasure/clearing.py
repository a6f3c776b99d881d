"""What follows an erasure: done again in a database from before it, taken out of the live files, and one day complete.

`settle_erasures` runs whenever the house is opened, before anybody can read. `tend_erasures` is standing work: it rewrites
the table of keys after an erasure that could not, and moves an erasure from `key destroyed` to `complete` once no
backup from before is left and the journal has been written over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from arbiter.errors import ConfigurationError, StaleStateError, UnavailableError
from arbiter.lifecycle.events import CompleteErasure
from arbiter.lifecycle.states import Erasure
from arbiter.model import CaseId
from arbiter.store.cases.heads import load_case
from arbiter.store.erasures import (
    StoredErasure,
    hold_case,
    least_list,
    load_erasures,
    note_cleared,
    note_completed,
    rewrite_keys,
    turn_over_journal,
    uncleared,
    with_keys,
)
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.workflow.backups.catalogue import Backup, Catalogue
from arbiter.workflow.docket import ARBITER, advance, docket_of, write_step
from arbiter.workflow.erasure.erasing import erase_again, erase_intended, note_list
from arbiter.workflow.erasure.erasure_list import Listed, What
from arbiter.workflow.house import House

log = logging.getLogger(__name__)

TEND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ErasureStanding:
    """How far an erasure has come, and what it waits for, in words; `complete_from` is the earliest it can be complete."""

    erasure: StoredErasure
    state: Erasure
    complete_from: datetime
    waits_for: str


async def settle_erasures(house: House) -> None:
    """Make the list and the database agree: what is listed is erased, what is erased is listed.

    Raises:
        ConfigurationError: when the list is not as it was written, or shorter than the database knows.
    """
    listed = await asyncio.to_thread(house.erasures.read)
    if listed is not None:
        await _check_length(house, listed)
        await _do_listed(house, listed)
    done = frozenset[CaseId]() if listed is None else listed.done
    for erasure in await load_erasures(house.store):
        if erasure.case not in done:
            # Done on another host, or just before a crash.
            lines = await asyncio.to_thread(
                house.erasures.add, What.DONE, erasure.case, ARBITER, house.clock.now()
            )
            await note_list(house.store, lines)


async def tend_erasures(house: House) -> None:
    """Tend to erasures until cancelled."""
    while True:
        try:
            await settle_erasures(house)
            await clear_keys(house)
            await complete_erasures(house)
        except (UnavailableError, *DATABASE_ERRORS, OSError):
            log.exception("tending to erasures failed")
        await asyncio.sleep(TEND_SECONDS)


async def clear_keys(house: House) -> str | None:
    """Take destroyed keys out of the database's live files; return why that failed, or None when there are none."""
    cases = await uncleared(house.store)
    if not cases:
        return None
    fault = await asyncio.to_thread(rewrite_keys, house.database, cases)
    if fault is not None:
        log.warning("destroyed keys still stand in the database's files")
        return fault
    await note_cleared(house.store, cases, house.clock.now())
    return None


async def complete_erasures(house: House) -> tuple[CaseId, ...]:
    """Move every erasure to `complete` whose last copy has expired, each by an entry; return those cases."""
    now = house.clock.now()
    due = [
        standing.erasure
        for standing in await erasures_standing(house)
        if standing.state is Erasure.KEY_DESTROYED and not standing.waits_for
    ]
    if not due:
        return ()
    if house.database.embedded is not None and not await asyncio.to_thread(turn_over_journal, house.database):
        log.warning("the database's journal could not be written over; erasures stay incomplete")
        return ()
    completed = [erasure.case for erasure in due if await _complete(house, erasure.case, now)]
    return tuple(completed)


async def erasures_standing(house: House, case: CaseId | None = None) -> tuple[ErasureStanding, ...]:
    """Return how far each erasure has come, or one case's, oldest first."""
    found = await load_erasures(house.store, None if case is None else [case])
    backups = await asyncio.to_thread(Catalogue(house.settings.data).read)
    now, days = house.clock.now(), timedelta(days=house.settings.backup_days)
    return tuple(_standing(erasure, backups, days, now) for erasure in found)


def _standing(
    erasure: StoredErasure, backups: Iterable[Backup], days: timedelta, now: datetime
) -> ErasureStanding:
    # A copy made by other means than ours (a disk's snapshot) may hold what the live files held until they were cleared.
    since = erasure.cleared_at or now
    held = [backup for backup in backups if backup.began_at <= since]
    complete_from = max([since + days, *(backup.expires_at for backup in held)])
    if erasure.completed_at is not None:
        return ErasureStanding(erasure, Erasure.COMPLETE, erasure.completed_at, "")
    left = [path for backup in held for path in (backup.path, backup.partial) if Path(path).exists()]
    waits_for = ""
    if erasure.cleared_at is None:
        waits_for = "the table of keys to be rewritten"
    elif now < complete_from:
        waits_for = f"copies of the database to expire on {complete_from:%Y-%m-%d}"
    elif left:
        waits_for = f"the expired backup {left[0]} to be deleted"
    return ErasureStanding(erasure, Erasure.KEY_DESTROYED, complete_from, waits_for)


async def _check_length(house: House, listed: Listed) -> None:
    least = await least_list(house.store, listed.id)
    if least is None:
        return
    lines, head = least
    if len(listed.lines) < lines or bytes.fromhex(listed.lines[lines - 1].hash) != head:
        raise ConfigurationError(
            f"the list of erasures {house.erasures.path} has {len(listed.lines)} lines and the database knows of {lines}: "
            "it was cut or replaced; restore the file from a copy. If there is none, move it away: with a database that is "
            "not behind the kept checkpoint, Arbiter writes a new list from what the database says"
        )


async def _do_listed(house: House, listed: Listed) -> None:
    intended = listed.intended
    keyed = await with_keys(house.store, listed.done | intended.keys())
    for case in sorted(keyed & listed.done):
        await erase_again(house, case)
        log.warning("case %s was erased before this copy of the database was made, and is again", case)
    for case in sorted(keyed & intended.keys()):
        await erase_intended(house, case, intended[case])
    if keyed:
        await clear_keys(house)


async def _complete(house: House, case: CaseId, now: datetime) -> bool:
    try:
        async with house.store.begin() as transaction:
            await hold_case(transaction, case)
            row = await load_case(transaction, case)
            if row.state.erasure is not Erasure.KEY_DESTROYED:
                return False
            shelved = await house.shelf.fetch(transaction, row.protocol_hash)
            docket = docket_of(row, shelved.protocol.policy_hash)
            docket = advance(house, docket, CompleteErasure(), actor=ARBITER, now=now)
            await write_step(transaction, docket, now)
            await note_completed(transaction, case, now)
    except StaleStateError:
        return False
    log.info("the erasure of case %s is complete", case)
    return True
