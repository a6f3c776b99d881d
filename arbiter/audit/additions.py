"""What a log gained between two checkpoints, counted from the entries' own bytes and held against both signatures.

The older tree is grown by the entries as they come; only when that ends at the newer root are the counts worth telling.
Memory grows with the kinds of entries and the cases that are remembered, not with the entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.merkle import Frontier, leaf_hash
from arbiter.errors import VerificationError

CASES_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Additions:
    """Entries by type, most first; the span of their own times; the first cases with each followed type, in order."""

    entries: int
    by_type: tuple[tuple[str, int], ...]
    earliest: datetime | None
    latest: datetime | None
    cases: tuple[tuple[str, tuple[str, ...]], ...]


class AddedEntries:
    """Counts the entries from the end of `old` on, fed in order; `frontier` is the tree of `old`.

    Raises `VerificationError` when the frontier is of another tree, or for bytes that are no entry.
    """

    def __init__(self, old: Checkpoint, frontier: Frontier, followed: Iterable[str] = ()) -> None:
        if frontier.size != old.size or frontier.root() != old.root:
            raise VerificationError(
                f"the tree at hand does not have the root of the checkpoint of size {old.size}"
            )
        self._frontier = frontier
        self._start = old.size
        self._types: Counter[str] = Counter()
        self._earliest: datetime | None = None
        self._latest: datetime | None = None
        # Dictionaries, for the order in which the cases came.
        self._cases: dict[str, dict[str, None]] = {kind: {} for kind in followed}

    def feed(self, entries: Iterable[bytes]) -> None:
        """Count the entries that follow."""
        leaves = []
        for body in entries:
            leaves.append(leaf_hash(body))
            self._count(Entry.from_bytes(body))
        self._frontier = self._frontier.extend(leaves).frontier

    def finish(self, new: Checkpoint) -> Additions:
        """Return what was counted; raise `VerificationError` unless it is exactly what `new` signs."""
        if self._frontier.size != new.size or self._frontier.root() != new.root:
            raise VerificationError(
                f"the entries {self._start} to {new.size - 1} at hand are not those that the checkpoint of size "
                f"{new.size} signs"
            )
        return Additions(
            entries=new.size - self._start,
            by_type=tuple(self._types.most_common()),
            earliest=self._earliest,
            latest=self._latest,
            cases=tuple((kind, tuple(cases)) for kind, cases in self._cases.items()),
        )

    def _count(self, entry: Entry) -> None:
        self._types[entry.type] += 1
        self._earliest = entry.at if self._earliest is None else min(self._earliest, entry.at)
        self._latest = entry.at if self._latest is None else max(self._latest, entry.at)
        cases = self._cases.get(entry.type)
        if cases is not None and len(cases) < CASES_REMEMBERED:
            cases[entry.case] = None
