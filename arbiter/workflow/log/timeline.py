"""The log read by people: its sealed entries in order, filtered, a page at a time and never all at once.

Entries are numbered in the order in which they were written, but for a transaction that took long or a host whose clock
differs. So a span of time is a span of the log, found by halving, with `OUT_OF_ORDER` to spare on both sides.
Reading changes nothing and shows no content: an entry is opaque ids, a kind and an instant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.audit.entry import Entry
from arbiter.errors import VerificationError
from arbiter.store.cases.heads import sites_of_cases
from arbiter.store.log.chains import load_chain_page
from arbiter.store.log.checkpoints import load_newest_checkpoint
from arbiter.store.log.leaves import load_leaf_body, load_leaves_from
from arbiter.store.transaction import Transaction
from arbiter.workflow.house import House

BATCH = 2_000
"""So many entries are read at once when few of them fit; the first time no more than a page shows."""
LOOKED_AT_MOST = 200_000
"""How many entries one page looks at before it says how far it came: a filter that nothing fits must end."""

OUT_OF_ORDER = timedelta(hours=1)
"""How much later than its successors an entry may say that it was written, and still be found by time."""

_CHAIN_BATCH = 500


@dataclass(frozen=True, slots=True)
class Sought:
    """A filter over entries; None or empty means any. A kind fits itself and, up to a dot, what begins with it.

    `sites` leaves entries of these sites' cases alone, and so none of the chains that belong to no site.
    """

    case: str | None = None
    actors: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()
    site: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sites: frozenset[str] | None = None

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry fits all but the site, which no entry names."""
        return (
            (self.case is None or entry.case == self.case)
            and (not self.actors or entry.actor in self.actors)
            and (not self.kinds or any(_is_kind(entry.type, kind) for kind in self.kinds))
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An entry at its place: `index` None while it waits for its seal, `entry` None where its bytes are gone or none."""

    index: int | None
    entry: Entry | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Entries in reading order, the place to go on from, whether anything is there yet, and how many were looked at."""

    entries: tuple[TimelineEntry, ...]
    next_place: int
    more: bool
    looked_at: int


async def log_size(house: House) -> int:
    """Return how many entries the newest checkpoint covers."""
    async with house.store.read() as transaction:
        return await _size(transaction)


async def read_backwards(
    house: House,
    sought: Sought,
    limit: int,
    before: int | None = None,
    *,
    looking_at_most: int | None = None,
) -> TimelinePage:
    """Return the newest entries that fit, newest first, all below index `before`, among `looking_at_most` looked at."""
    most = LOOKED_AT_MOST if looking_at_most is None else looking_at_most
    async with house.store.read() as transaction:
        first, end = await _span(transaction, sought)
        place = end if before is None else min(before, end)
        found: list[TimelineEntry] = []
        looked_at = 0
        batch = limit
        while place > first and len(found) < limit and looked_at < most:
            start = max(first, place - min(batch, BATCH, most - looked_at))
            rows = await load_leaves_from(transaction, start, place - start)
            looked_at += place - start
            found.extend(await _fitting(transaction, sought, rows[::-1]))
            place, batch = start, 4 * batch
    if len(found) > limit:
        place = _index(found[limit - 1])
    return TimelinePage(tuple(found[:limit]), place, place > first, looked_at)


async def read_forwards(house: House, sought: Sought, limit: int, start: int | None = None) -> TimelinePage:
    """Return the oldest entries that fit, oldest first, from index `start` on."""
    async with house.store.read() as transaction:
        first, end = await _span(transaction, sought)
        place = first if start is None else max(start, first)
        found: list[TimelineEntry] = []
        looked_at = 0
        batch = limit
        while place < end and len(found) < limit and looked_at < LOOKED_AT_MOST:
            most = min(batch, BATCH, end - place, LOOKED_AT_MOST - looked_at)
            rows = await load_leaves_from(transaction, place, most)
            looked_at += len(rows)
            found.extend(await _fitting(transaction, sought, rows))
            place = rows[-1][0] + 1 if rows else end
            batch *= 4
    if len(found) > limit:
        place = _index(found[limit - 1]) + 1
    return TimelinePage(tuple(found[:limit]), place, place < end, looked_at)


async def read_chain(house: House, chain: str, sought: Sought) -> tuple[TimelineEntry, ...]:
    """Return the entries of one chain (a case, a subject, the house) that fit, oldest first, unsealed ones too."""
    found: list[TimelineEntry] = []
    after = -1
    async with house.store.read() as transaction:
        while rows := await load_chain_page(transaction, chain, after, _CHAIN_BATCH):
            places = [(index, body) for _, body, index in rows]
            found.extend(await _fitting(transaction, sought, places))
            after = rows[-1][0]
    return tuple(found)


async def place_of(
    size: int,
    at: Callable[[int], Awaitable[datetime | None]],
    instant: datetime,
    *,
    unreadable_as_earlier: bool,
) -> int:
    """Return the first of `size` places written at `instant` or later, by halving; `at` tells when a place was.

    A place of which that cannot be told counts as asked: so that a span's beginning errs downwards, its end upwards.
    """
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        found = await at(middle)
        if unreadable_as_earlier if found is None else found < instant:
            low = middle + 1
        else:
            high = middle
    return low


async def _span(transaction: Transaction, sought: Sought) -> tuple[int, int]:
    """Return the places between which all that fits the times must stand."""

    async def at(index: int) -> datetime | None:
        entry = _parsed(index, await load_leaf_body(transaction, index)).entry
        return None if entry is None else entry.at

    size = await _size(transaction)
    first, end = 0, size
    if sought.since is not None:
        first = await place_of(size, at, _moved(sought.since, -OUT_OF_ORDER), unreadable_as_earlier=False)
    if sought.until is not None:
        end = await place_of(size, at, _moved(sought.until, OUT_OF_ORDER), unreadable_as_earlier=True)
    return first, end


def _moved(instant: datetime, by: timedelta) -> datetime:
    """Return an instant earlier or later; at either end of the calendar there is none, and nothing was written beyond."""
    try:
        return instant + by
    except OverflowError:
        return instant


async def _size(transaction: Transaction) -> int:
    newest = await load_newest_checkpoint(transaction)
    return 0 if newest is None else newest.size


async def _fitting(
    transaction: Transaction, sought: Sought, rows: Sequence[tuple[int | None, bytes | None]]
) -> list[TimelineEntry]:
    """Return those that fit, and whatever cannot be read: nobody can say that it would not."""
    parsed = [_parsed(index, body) for index, body in rows]
    fitting = [each for each in parsed if each.entry is None or sought.fits(each.entry)]
    wanted = sought.sites if sought.site is None else frozenset({sought.site})
    if wanted is None or not fitting:
        return fitting
    sites = await sites_of_cases(transaction, {each.entry.case for each in fitting if each.entry is not None})
    return [each for each in fitting if each.entry is None or sites.get(each.entry.case) in wanted]


def _parsed(index: int | None, body: bytes | None) -> TimelineEntry:
    if body is None:
        return TimelineEntry(index, None, "gone: its leaf stands alone")
    try:
        return TimelineEntry(index, Entry.from_bytes(body))
    except VerificationError as error:
        return TimelineEntry(index, None, str(error))


def _is_kind(kind: str, wanted: str) -> bool:
    return kind == wanted or kind.startswith(f"{wanted}.")


def _index(each: TimelineEntry) -> int:
    assert each.index is not None
    return each.index
