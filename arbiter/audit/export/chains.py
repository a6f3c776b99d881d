"""What an export shows of each case's chain: complete up to the last entry shown, or picked out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from arbiter.audit.entry import Entry, Link, check_count, check_link
from arbiter.audit.export.layout import ExportedEntry


@dataclass(frozen=True, slots=True)
class ChainShown:
    """A case's chain as far as it is shown: how many entries, the last one's number, and whether one closes it.

    `complete` means that every entry from the first to the last shown is there, unaltered and in order.
    """

    case: str
    entries: int
    last: int
    complete: bool
    closed: bool

    def said(self) -> str:
        """Return what can be said of it, in words."""
        if not self.complete:
            return (
                f"{self.case}: {self.entries} entries picked out of its chain; what lies between is not shown"
            )
        closing = ", one of which closes the case with its count" if self.closed else ""
        return (
            f"{self.case}: complete up to entry {self.last} ({self.entries} entries{closing}); "
            "nothing can be said beyond"
        )


@dataclass(slots=True)
class _Shown:
    link: Link
    entries: int
    complete: bool
    closed: bool


class Chains:
    """The chains of the entries that come, in the log's order. `picked` lets entries between be absent."""

    def __init__(self, *, picked: bool) -> None:
        self._picked = picked
        self._shown: dict[str, _Shown] = {}

    def __len__(self) -> int:
        return len(self._shown)

    def __contains__(self, case: str) -> bool:
        return case in self._shown

    def add(self, entry: Entry, exported: ExportedEntry) -> None:
        """Take the next entry. Raises `VerificationError` when it does not follow its case's last one shown."""
        shown = self._shown.get(entry.case)
        before = None if shown is None else shown.link
        follows = entry.seq == (0 if before is None else before.seq + 1)
        try:
            if follows or not self._picked or (before is not None and entry.seq <= before.seq):
                check_link(entry, before)
            else:
                check_count(entry)
        finally:
            # One break is one finding: what follows is compared with what came.
            self._shown[entry.case] = _Shown(
                Link(entry.seq, exported.hash.hex()),
                1 if shown is None else shown.entries + 1,
                follows and (shown is None or shown.complete),
                entry.count is not None or (shown is not None and shown.closed),
            )

    def shown(self) -> Iterator[ChainShown]:
        """Yield what is shown of each chain, by name."""
        for case in sorted(self._shown):
            shown = self._shown[case]
            yield ChainShown(case, shown.entries, shown.link.seq, shown.complete, shown.closed)
