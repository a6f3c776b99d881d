"""The log as an auditor looks at it on the pages: a case's trail, entries by time and kind, how the log stands.

Entries hold opaque ids and commitments, never content, so showing them is no read of a case and leaves no entry (as at the REST
door, `arbiter.workflow.log.proving`). An auditor sees the chains of the cases of the sites they act for; those that belong to no
site are for who acts for every one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from arbiter.audit.entry import Entry
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.note import SignatureType
from arbiter.errors import NotFoundError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId
from arbiter.store.log.chains import load_chain_page
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.store.log.sealing import count_pending
from arbiter.workflow.dossier import load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.log.timeline import Sought, TimelineEntry, read_backwards
from arbiter.workflow.log.witness_standings import Standing, standings_of

LoggedEntry: TypeAlias = Entry
"""An entry as pages have it."""

TRAIL_PAGE = 100
FOUND_PAGE = 100
LOOKED_AT = 20_000
"""Entries that one search looks at before it says how far it came: a page is answered among others."""


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """An entry of a case: its place in the log (None while it waits for its seal) and its leaf's hash in hex."""

    seq: int
    index: int | None
    hash: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Trail:
    """A case's entries, oldest first; `next_after` goes on behind them. `names` are those of who acted, by id, as far as known."""

    case: CaseId
    site: str
    entries: tuple[TrailEntry, ...]
    names: Mapping[str, str]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """Entries that fit, newest first; `before` goes on behind them, None where nothing is left to look at."""

    entries: tuple[TimelineEntry, ...]
    names: Mapping[str, str]
    before: int | None
    looked_at: int


@dataclass(frozen=True, slots=True)
class LogStatus:
    """How the log stands: its newest checkpoint (None before the first), what waits for its seal, the keys, the witnesses.

    `keys` are the labels of all keys of the log, `offline_keys` what `arbiter audit verify-receipt` wants of them.
    """

    size: int
    sealed_at: datetime | None
    pending: int
    pending_since: datetime | None
    keys: tuple[str, ...]
    offline_keys: tuple[str, ...]
    witnesses: tuple[Standing, ...]


async def case_trail(house: House, principal: Principal, case: CaseId, after: int = -1) -> Trail:
    """Return a page of a case's entries.

    Raises:
        NotFoundError: for a foreign site's case too, and where nothing comes after `after`.
    """
    principal.require(Permission.AUDIT_READ)
    async with house.store.read() as transaction:
        row = await load_seen_case(transaction, principal, case, house.clock.now())
        rows = await load_chain_page(transaction, case, after, TRAIL_PAGE + 1)
    if not rows:
        raise NotFoundError(f"case {case} has no entry after {after}")
    entries = tuple(
        TrailEntry(seq, index, leaf_hash(body).hex(), _read(body)) for seq, body, index in rows[:TRAIL_PAGE]
    )
    names = await _names(house, (each.entry for each in entries))
    return Trail(case, row.site, entries, names, rows[TRAIL_PAGE - 1][0] if len(rows) > TRAIL_PAGE else None)


async def find_entries(
    house: House, principal: Principal, sought: Sought, before: int | None = None
) -> Found:
    """Return the newest entries that fit and that this auditor may see, below index `before`.

    Raises:
        NotFoundError: for a site that the auditor does not act for.
    """
    principal.require(Permission.AUDIT_READ)
    if sought.site is not None and not principal.may_see(sought.site):
        raise NotFoundError(f"no site {sought.site}")
    everywhere = {site for site, _ in await house.identities.sites()} <= principal.sites
    mine = replace(sought, sites=None if everywhere else principal.sites)
    page = await read_backwards(house, mine, FOUND_PAGE, before, looking_at_most=LOOKED_AT)
    names = await _names(house, (each.entry for each in page.entries))
    return Found(page.entries, names, page.next_place if page.more else None, page.looked_at)


async def log_status(house: House, principal: Principal) -> LogStatus:
    """Return how the log stands."""
    principal.require(Permission.AUDIT_READ)
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
        pending, since = await count_pending(transaction)
        witnesses = await standings_of(house.circle, transaction, house.clock.now())
    return LogStatus(
        size=0 if newest is None else newest.size,
        sealed_at=None if newest is None else newest.sealed_at,
        pending=pending,
        pending_since=since,
        keys=tuple(key.label for key in house.verifiers),
        # A receipt is verified by these alone; the log's second key is too long to be read off a page.
        offline_keys=tuple(key.encode() for key in house.verifiers if key.type is SignatureType.ED25519),
        witnesses=witnesses,
    )


async def _names(house: House, entries: Iterable[Entry | None]) -> Mapping[str, str]:
    return await house.identities.names({entry.actor for entry in entries if entry is not None})


def _read(body: bytes) -> Entry | None:
    try:
        return Entry.from_bytes(body)
    except VerificationError:
        return None
