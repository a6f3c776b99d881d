"""What the log is made of, in figures: entries by type and day, how long they waited for their seal, what they cost.

Looks at the newest entries, as many as asked for, a batch at a time. Changes nothing and shows no case.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from arbiter.audit.entry import Entry
from arbiter.errors import VerificationError
from arbiter.store.log.checkpoints import load_newest_checkpoint, load_seals
from arbiter.store.log.leaves import load_leaves_from
from arbiter.store.log.sealing import count_pending, measure_tables
from arbiter.store.transaction import Transaction
from arbiter.workflow.house import House

BATCH = 2_000
NEWEST = 100_000
"""How many entries are looked at unless more are asked for."""

DELAY_BOUNDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds in seconds of the delays' classes; the last class has none."""


@dataclass(frozen=True, slots=True)
class LogFigures:
    """Figures over the entries from index `start` on; `size` and `table_bytes` are the whole log's.

    `delays` are p50, p90, p99 and the greatest delay in seconds from writing to sealing, None without an entry;
    `delay_classes` counts entries up to each of `DELAY_BOUNDS`, and beyond. `unreadable` counts what is no entry.
    """

    size: int
    start: int
    pending: int
    pending_since: datetime | None
    by_type: tuple[tuple[str, int], ...]
    by_day: tuple[tuple[date, int], ...]
    checkpoints: int
    delays: tuple[float, float, float, float] | None
    delay_classes: tuple[int, ...]
    unreadable: int
    table_bytes: tuple[tuple[str, int], ...]

    @property
    def entries(self) -> int:
        """How many entries were looked at."""
        return self.size - self.start

    @property
    def bytes_an_entry(self) -> float | None:
        """What an entry takes in the log's tables, indexes included."""
        return sum(taken for _, taken in self.table_bytes) / self.size if self.size else None


async def measure_log(
    house: House,
    zone: tzinfo | None,
    most: int | None = NEWEST,
    progress: Callable[[int, int], None] | None = None,
) -> LogFigures:
    """Count over the newest `most` entries, None for all; days are those of `zone`, None the machine's."""
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
        size = 0 if newest is None else newest.size
        start = 0 if most is None else max(0, size - most)
        counted = _Counted(zone)
        await counted.read(transaction, start, size, progress)
        pending, since = await count_pending(transaction)
        tables = await measure_tables(transaction)
    return LogFigures(
        size=size,
        start=start,
        pending=pending,
        pending_since=since,
        by_type=tuple(counted.types.most_common()),
        by_day=tuple(sorted(counted.days.items())),
        checkpoints=counted.checkpoints,
        delays=_percentiles(counted.delays),
        delay_classes=_classes(counted.delays),
        unreadable=counted.unreadable,
        table_bytes=tables,
    )


class _Counted:
    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self.types: Counter[str] = Counter()
        self.days: Counter[date] = Counter()
        self.delays = array("d")
        self.checkpoints = 0
        self.unreadable = 0

    async def read(
        self, transaction: Transaction, start: int, size: int, progress: Callable[[int, int], None] | None
    ) -> None:
        seals = _seals(transaction, start + 1)
        covered, sealed_at = 0, None
        place = start
        while place < size and (rows := await load_leaves_from(transaction, place, min(BATCH, size - place))):
            for index, body in rows:
                while index >= covered:
                    covered, sealed_at = await anext(seals)
                    self.checkpoints += 1
                assert sealed_at is not None
                self._count(body, sealed_at)
            place = rows[-1][0] + 1
            if progress is not None:
                progress(place - start, size - start)
        await seals.aclose()

    def _count(self, body: bytes | None, sealed_at: datetime) -> None:
        try:
            entry = Entry.from_bytes(body or b"")
        except VerificationError:
            self.unreadable += 1
            return
        self.types[entry.type] += 1
        self.days[entry.at.astimezone(self._zone).date()] += 1
        self.delays.append((sealed_at - entry.at).total_seconds())


async def _seals(transaction: Transaction, size: int) -> AsyncGenerator[tuple[int, datetime]]:
    while rows := await load_seals(transaction, size, BATCH):
        for row in rows:
            yield row
        size = rows[-1][0] + 1


def _percentiles(delays: array[float]) -> tuple[float, float, float, float] | None:
    """Return p50, p90, p99 and the greatest, each the smallest delay that so many do not exceed (nearest rank)."""
    if not delays:
        return None
    ordered = sorted(delays)
    p50, p90, p99 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 90, 99))
    return p50, p90, p99, ordered[-1]


def _classes(delays: array[float]) -> tuple[int, ...]:
    counts = [0] * (len(DELAY_BOUNDS) + 1)
    for delay in delays:
        counts[next((i for i, bound in enumerate(DELAY_BOUNDS) if delay <= bound), len(DELAY_BOUNDS))] += 1
    return tuple(counts)
