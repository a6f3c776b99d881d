"""Verifies a whole log from its rows: every entry, every case's chain, every checkpoint, to the last leaf.

Shares no state and no tree code with the sealer: leaf hashes are computed anew from the entries' bytes, and the roots
by a stack of its own. What is stored is believed only where it equals what was computed. Reads its input once, in
order; memory grows with the number of cases (about 400 bytes each), not of entries.

Rows are checked a batch at a time, all of everything, as long as nothing is wrong; a batch in which something is wrong
is gone through row by row, which finds the words.

For a log that is being written, read the kept checkpoint first and then rows and checkpoints from one snapshot:
numbering and signing commit together, so rows beyond the newest checkpoint are an insertion and not a delay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from operator import add

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.entry import FIRST_PREV, Entry, Link, check_link
from arbiter.audit.merkle import Part
from arbiter.audit.note import VerifierKey
from arbiter.audit.origins import Opened, OriginTrail
from arbiter.audit.recovery import RECOVERED, Recovery
from arbiter.audit.scan import Scanned, Scanner, link_text
from arbiter.errors import VerificationError

MAX_FINDINGS = 50

_BATCH = 500
_FIRST_LINK = (0, FIRST_PREV)

Row = tuple[int, bytes | None, bytes]


@dataclass(frozen=True, slots=True)
class LogReport:
    """Evidence that a log checks out: what was read and under which checkpoint it stands.

    `chains` counts those of cases and all others alike, `closed_chains` those with a closing entry; `newest` is None for an
    empty log without checkpoints; `kept` is the checkpoint kept outside the database, if one was given. `recoveries` say
    where a new origin began, and what was lost.
    """

    entries: int
    chains: int
    closed_chains: int
    checkpoints: int
    root: bytes
    newest: Checkpoint | None
    kept: Checkpoint | None
    recoveries: tuple[Recovery, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: the log index it concerns (None for a checkpoint's own fault) and a sentence that names it."""

    index: int | None
    detail: str


class LogRefusedError(VerificationError):
    """The log does not check out. The message is the first finding; `findings` are all, up to `MAX_FINDINGS`."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        super().__init__(findings[0].detail + more)
        self.findings = tuple(findings)


def verify_log(
    batches: Iterable[Iterable[Row]],
    checkpoints: Iterable[bytes],
    verifiers: Sequence[VerifierKey],
    *,
    kept: bytes | None = None,
    statements: Mapping[int, Opened] | None = None,
    progress: Callable[[int], None] | None = None,
) -> LogReport:
    """Check a whole log and return the evidence: `LogVerifier` over `batches`, in order.

    `progress` hears the number of entries read after each batch. Raises `LogRefusedError`.
    """
    verifier = LogVerifier(checkpoints, verifiers, kept=kept, statements=statements)
    for batch in batches:
        verifier.feed(batch)
        if progress is not None:
            progress(verifier.entries)
    return verifier.finish()


class _StoppedError(Exception):
    """Enough findings: reading on would add nothing."""


class LogVerifier:
    """One pass over a log, fed a batch of rows at a time so that the reader may be asynchronous.

    Rows are (index, entry bytes or None where the entry is gone, stored leaf hash), from index 0 on. `checkpoints` are
    the stored notes, sizes ascending, read as the rows reach them; `kept` is the note kept outside the database;
    `statements` are what the entries of recoveries commit to (`arbiter.audit.origins`). Of the levels in `node_levels` the
    tree's nodes are kept, for whoever stores them too.
    `finish` raises `LogRefusedError` naming the first place that fails: a flipped, missing, inserted, swapped or
    repeated row, a missing tail, a broken or repeated link of a case's chain, a bad signature, or a checkpoint that
    contradicts the rows (a fork). Findings gather in reading order. The origin may change only where a recovery says so.
    """

    def __init__(
        self,
        checkpoints: Iterable[bytes],
        verifiers: Sequence[VerifierKey],
        *,
        kept: bytes | None = None,
        statements: Mapping[int, Opened] | None = None,
        node_levels: Collection[int] = (),
    ) -> None:
        self._verifiers = verifiers
        self._findings: list[Finding] = []
        self._tree = _Tree(node_levels)
        self._expected = 0
        self._scanner = Scanner()
        # Of each case the seq and prev (in hex) that its next entry must have.
        self._next_links: dict[str, tuple[int, str]] = {}
        self._closed: set[str] = set()
        self._trail = OriginTrail(verifiers, statements)
        self._forks = self._trail.quoted_forks()
        self._opened = 0
        self._newest: Checkpoint | None = None
        # Up to this size the rows are proved by a matching root.
        self._covered = 0
        self._diverged = False
        self._checkpoints = self._ascending(checkpoints)
        self._kept: Checkpoint | None = None
        self._root_at_kept: bytes | None = None
        self._kept_compared = False
        self._next: Checkpoint | None = None
        self._awaited: int | None = None
        with suppress(_StoppedError):
            self._kept = self._open(kept, "kept checkpoint") if kept is not None else None
            self._next = next(self._checkpoints, None)
            self._awaited = self._compare_roots()

    @property
    def entries(self) -> int:
        """The number of rows read."""
        return self._tree.size

    @property
    def nodes(self) -> Mapping[Part, bytes]:
        """The hashes of the perfect subtrees of the kept levels, by (level, index)."""
        return self._tree.kept

    def feed(self, rows: Iterable[Row]) -> None:
        """Check the rows that follow; what is wrong with them is told by `finish`."""
        left = list(rows)
        with suppress(_StoppedError):
            for start in range(0, len(left), _BATCH):
                if len(self._findings) >= MAX_FINDINGS:
                    return
                batch = left[start : start + _BATCH]
                for index, entry, stored in batch[self._pass(batch) :]:
                    self._row(index, entry, stored)
                    if self._tree.size == self._awaited:
                        self._awaited = self._compare_roots()

    def finish(self) -> LogReport:
        """Check that nothing is missing behind the last row and return the evidence, or raise."""
        if len(self._findings) < MAX_FINDINGS:
            with suppress(_StoppedError):
                self._tail()
        if self._findings:
            raise LogRefusedError(self._findings)
        return LogReport(
            entries=self._tree.size,
            chains=len(self._next_links),
            closed_chains=len(self._closed),
            checkpoints=self._opened,
            root=self._tree.root(),
            newest=self._newest,
            kept=self._kept,
            recoveries=tuple(self._trail.recoveries),
        )

    def _pass(self, rows: Sequence[Row]) -> int:
        """Take in the rows that have nothing wrong with them, up to the first that may; return how many."""
        indices, entries, stored = zip(*rows, strict=True)
        if indices != tuple(range(self._expected, self._expected + len(rows))) or None in entries:
            return 0
        leaves = _hash_each(b"\x00", entries)
        scanned = self._scanner.scan(entries) if leaves == list(stored) else None
        passed = 0 if scanned is None else self._follow(scanned, leaves)
        self._grow(entries[:passed], leaves[:passed])
        return passed

    def _follow(self, scanned: Scanned, leaves: Sequence[bytes]) -> int:
        """Put entries at the ends of their chains, up to the first that does not fit; return how many."""
        following = self._next_links
        passed = 0
        for case, link, leaf in zip(scanned.cases, scanned.links, map(bytes.hex, leaves), strict=True):
            seq, prev = following.get(case, _FIRST_LINK)
            if link != f'"prev":"{prev}","seq":{seq}':
                if link != link_text(seq, prev, closes=True):
                    return passed
                self._closed.add(case)
            following[case] = (seq + 1, leaf)
            passed += 1
        return passed

    def _grow(self, entries: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """Take in entries that have nothing wrong with them, by way of each checkpoint that waits among them."""
        at = 0
        while at < len(leaves):
            if self._tree.size == self._trail.due_at:
                self._explain(entries[at])
            wanted = len(leaves) if self._awaited is None else self._awaited - self._tree.size
            part = leaves[at : at + wanted]
            self._tree.extend(part)
            self._expected += len(part)
            at += len(part)
            if self._tree.size == self._awaited:
                self._awaited = self._compare_roots()

    def _explain(self, data: bytes) -> None:
        """Hear why an origin begins, of an entry that has nothing else wrong with it."""
        try:
            self._trail.pass_entry(self._tree.size, Entry.from_bytes(data))
        except VerificationError as error:
            self._found(self._expected, f"entry {self._expected}: {error}")

    def _row(self, index: int, data: bytes | None, stored: bytes) -> None:
        expected, self._expected = self._expected, index + 1
        if index > expected:
            self._found(expected, f"{_span(expected, index)} missing: came entry {index}")
        elif index < expected:
            self._found(
                index, f"entry {index} came where entry {expected} was expected: repeated or out of order"
            )
        if data is None:
            self._found(index, f"entry {index} is gone: its leaf stands alone")
            self._tree.extend([stored])
            return
        leaf = sha256(b"\x00" + data).digest()
        if leaf != stored:
            self._found(index, f"entry {index}: its bytes do not hash to the stored leaf hash")
        self._chain(index, data, leaf)
        self._tree.extend([leaf])

    def _chain(self, index: int, data: bytes, leaf: bytes) -> None:
        try:
            entry = Entry.from_bytes(data)
        except VerificationError as error:
            self._found(index, f"entry {index}: {error}")
            return
        following = self._next_links.get(entry.case)
        before = None if following is None else Link(following[0] - 1, following[1])
        try:
            check_link(entry, before)
            if entry.type == RECOVERED or self._tree.size == self._trail.due_at:
                self._trail.pass_entry(self._tree.size, entry)
        except VerificationError as error:
            self._found(index, f"entry {index}: {error}")
        if entry.count is not None:
            self._closed.add(entry.case)
        self._next_links[entry.case] = (entry.seq + 1, leaf.hex())

    def _compare_roots(self) -> int | None:
        """Compare the checkpoints of the present size; return the next size at which one waits, if any does."""
        size = self._tree.size
        if self._kept is not None and self._kept.size == size:
            self._root_at_kept = self._tree.root()
            if self._is_present(self._kept):
                self._kept_compared = True
                self._compare(self._kept, "kept checkpoint")
        while self._next is not None and self._next.size == size:
            self._compare(self._next, "checkpoint")
            self._newest = self._next
            self._next = next(self._checkpoints, None)
        return min(
            (c.size for c in (self._kept, self._next) if c is not None and c.size > size), default=None
        )

    def _is_present(self, kept: Checkpoint) -> bool:
        """Return whether a kept checkpoint speaks of these rows: not when its origin was left, or quoted as a fork's."""
        return kept not in self._forks and self._trail.current in {None, kept.origin}

    def _compare(self, checkpoint: Checkpoint, what: str) -> None:
        if checkpoint.root == self._tree.root():
            self._covered = checkpoint.size
            self._diverged = False
        elif not self._diverged:
            # Every later root differs too, as long as the rows do; one finding says it.
            self._diverged = True
            where = (
                f"{_span(self._covered, checkpoint.size)} not as signed"
                if checkpoint.size > self._covered
                else "two signed checkpoints of one size differ"
            )
            self._found(
                self._covered, f"{what} of size {checkpoint.size} contradicts the log (a fork): {where}"
            )

    def _tail(self) -> None:
        size = self._tree.size
        awaited = [("checkpoint", c) for c in (self._next, *self._checkpoints) if c is not None]
        newest = awaited[-1][1] if awaited else self._newest
        # A statement that quotes it counts for nothing by now unless an entry did: its origin would have been left.
        kept = self._kept
        if kept is not None and self._trail.current not in {None, kept.origin}:
            kept = None
        if kept is not None and kept.size > size:
            awaited.append(("kept checkpoint", kept))
        if awaited:
            what, furthest = max(awaited, key=lambda item: item[1].size)
            self._found(
                size,
                f"the log ends at size {size}, the {what} has size {furthest.size}: "
                f"{_span(size, furthest.size)} missing",
            )
        signed = newest.size if newest is not None else 0
        if signed < size:
            self._found(signed, f"{_span(signed, size)} under no checkpoint")
        if kept is not None and kept.size > signed:
            self._found(signed, f"the kept checkpoint of size {kept.size} is newer than any stored one")
        if (fault := self._trail.unexplained_change()) is not None:
            self._found(self._trail.due_at, fault)
        if self._kept is not None and not self._kept_compared:
            fault = self._trail.fault_of_kept(self._kept, self._root_at_kept)
            if fault is not None:
                self._found(None, fault)

    def _ascending(self, notes: Iterable[bytes]) -> Iterator[Checkpoint]:
        """Yield the stored checkpoints that open, refusing a descent; ones that do not open are findings."""
        last = 0
        for number, note in enumerate(notes):
            checkpoint = self._open(note, f"stored checkpoint {number}")
            if checkpoint is None:
                continue
            self._opened += 1
            if checkpoint.size < last:
                self._found(
                    None, f"stored checkpoint {number} of size {checkpoint.size} follows one of size {last}"
                )
                continue
            try:
                self._trail.pass_checkpoint(checkpoint, note)
            except VerificationError as error:
                self._found(None, f"stored checkpoint {number}: {error}")
                continue
            last = checkpoint.size
            yield checkpoint

    def _open(self, note: bytes, what: str) -> Checkpoint | None:
        try:
            return open_checkpoint(note, self._verifiers).checkpoint
        except VerificationError as error:
            self._found(None, f"{what}: {error}")
            return None

    def _found(self, index: int | None, detail: str) -> None:
        self._findings.append(Finding(index, detail))
        if len(self._findings) >= MAX_FINDINGS:
            raise _StoppedError


class _Tree:
    """RFC 6962's tree as a stack of perfect subtrees, the largest first: one for each bit set in `size`."""

    def __init__(self, kept_levels: Collection[int]) -> None:
        self.size = 0
        self.kept: dict[Part, bytes] = {}
        self._stack: list[bytes] = []
        self._kept_levels = kept_levels

    def extend(self, leaves: Sequence[bytes]) -> None:
        row, level, odd = list(leaves), 0, []
        while row:
            if level in self._kept_levels:
                self.kept |= {(level, index): node for index, node in enumerate(row, self.size >> level)}
            if self.size >> level & 1:
                row.insert(0, self._stack.pop())
            if len(row) & 1:
                odd.append(row.pop())
            row = _hash_each(b"\x01", map(add, row[::2], row[1::2]))
            level += 1
        self._stack.extend(reversed(odd))
        self.size += len(leaves)

    def root(self) -> bytes:
        if not self._stack:
            return sha256(b"").digest()
        root = self._stack[-1]
        for left in self._stack[-2::-1]:
            root = sha256(b"\x01" + left + root).digest()
        return root


def _hash_each(prefix: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """Return SHA-256(prefix || text) of each; to copy a hash that was begun takes less time than to begin another."""
    begin = sha256(prefix).copy
    hashes = []
    for text in texts:
        begun = begin()
        begun.update(text)
        hashes.append(begun.digest())
    return hashes


def _span(start: int, end: int) -> str:
    return f"entry {start}" if end == start + 1 else f"entries {start} to {end - 1}"
