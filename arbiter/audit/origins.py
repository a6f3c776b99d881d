"""Follows a log from origin to origin: where it may change, and what a checkpoint of a former origin still says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import Entry, commit
from arbiter.audit.note import VerifierKey
from arbiter.audit.recovery import RECOVERED, RECOVERY_CHAIN, STATEMENT, Loss, Recovery, verify_recovery
from arbiter.errors import VerificationError

Opened = tuple[bytes, bytes]
"""A salt and the content that it opens."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What the entry at a change of origin must say. `old` is None where the database had no checkpoint at all."""

    old: str | None
    new: str
    stored: bytes | None


class OriginTrail:
    """Takes in stored checkpoints and entries in their order, as a verifier reads them.

    `statements` are what the recovery chain's entries commit to as `STATEMENT`, by the entry's number in that chain.
    INVARIANT: the origin changes only at a `log.recovered` that is the first entry beyond the old one's last checkpoint,
    and no `log.recovered` stands anywhere else.
    """

    def __init__(
        self, verifiers: Iterable[VerifierKey], statements: Mapping[int, Opened] | None = None
    ) -> None:
        self.current: str | None = None
        self.recoveries: list[Recovery] = []
        self.due_at = 0
        self._verifiers = tuple(verifiers)
        self._statements = statements or {}
        self._due: _Change | None = None
        self._former: set[str] = set()
        self._newest: tuple[int, bytes] | None = None

    def pass_checkpoint(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Take in the next stored checkpoint; raises `VerificationError` for an origin that may not stand here."""
        origin, before = checkpoint.origin, self._newest
        if before is not None and self.current is not None and origin != self.current:
            if origin in self._former:
                raise VerificationError(f"origin {origin} was left and comes back after {self.current}")
            if checkpoint.size <= before[0]:
                raise VerificationError(
                    f"origin {origin} signs {checkpoint.size} entries, and {self.current} had signed {before[0]}"
                )
            self._due, self.due_at = _Change(self.current, origin, before[1]), before[0]
            self._former.add(self.current)
        self.current = origin
        self._newest = (checkpoint.size, note)

    def pass_entry(self, position: int, entry: Entry) -> None:
        """Take in the entry at `position`: any at `due_at`, elsewhere those of type `RECOVERED`; raises as above."""
        due = self._due if position == self.due_at else None
        if due is not None:
            self._due = None
        if entry.type != RECOVERED:
            if due is not None:
                raise VerificationError(
                    f"the origin changes from {due.old} to {due.new} here, and the entry is {entry.type}, not {RECOVERED}"
                )
            return
        if due is None and position == 0 and self.current is not None:
            due = _Change(None, self.current, None)
        if due is None:
            raise VerificationError(f"{RECOVERED} where no origin begins")
        recovery = self._stated(entry)
        said = recovery.statement
        if (recovery.index, said.new, said.stored) != (position, due.new, due.stored):
            raise VerificationError(
                "the recovery does not quote the stored checkpoint before it, or not the origin after it"
            )
        if due.old is not None and said.old != due.old:
            raise VerificationError(
                f"the recovery speaks of origin {said.old}, and {due.old} stands before it"
            )
        if said.new in {said.old, *self._former} or said.old in self._former - {due.old}:
            raise VerificationError("the recovery speaks of an origin that was left before")
        self._former.add(said.old)
        self.recoveries.append(recovery)

    def unexplained_change(self) -> str | None:
        """Return what is wrong when every entry has been read and a change of origin was never explained."""
        if self._due is None:
            return None
        return (
            f"the origin changes from {self._due.old} to {self._due.new}, and no entry {RECOVERED} says why"
        )

    def quoted_forks(self) -> frozenset[Checkpoint]:
        """Return the kept checkpoints that statements given beforehand quote as a fork's: for whoever reads them first."""
        quoted = set()
        for _, content in self._statements.values():
            with suppress(VerificationError):
                recovery = verify_recovery(content, self._verifiers)
                if recovery.statement.kind is Loss.FORKED:
                    quoted.add(recovery.kept)
        return frozenset(quoted)

    def fault_of_kept(self, kept: Checkpoint, root: bytes | None) -> str | None:
        """Return what is wrong with a checkpoint kept outside, once all is read.

        `root` is that of the rows at its size, None where they end before: that is told otherwise.
        """
        recovery = next((r for r in self.recoveries if r.statement.old == kept.origin), None)
        if recovery is None and self.current not in {None, kept.origin}:
            return f"kept checkpoint is of origin {kept.origin}, another is of {self.current}"
        if recovery is not None and kept == recovery.kept:
            return None
        if recovery is None or kept.size <= recovery.index:
            if root is None or root == kept.root:
                return None
            return f"kept checkpoint of size {kept.size} contradicts the log (a fork)"
        if recovery.statement.kind is Loss.BEHIND and kept.size < recovery.kept.size:
            return None
        return (
            f"the kept checkpoint of {kept.size} entries of {kept.origin} is not covered by the recovery, which quotes "
            f"one of {recovery.kept.size}: more was lost than it says"
        )

    def _stated(self, entry: Entry) -> Recovery:
        if entry.case != RECOVERY_CHAIN:
            raise VerificationError(f"{RECOVERED} in the chain {entry.case}, expected {RECOVERY_CHAIN}")
        opened = self._statements.get(entry.seq)
        if opened is None:
            raise VerificationError(f"the statement of recovery {entry.seq} is not there to be read")
        salt, content = opened
        try:
            committed = commit(STATEMENT, salt, content)
        except ValueError as error:
            raise VerificationError(f"the statement of recovery {entry.seq}: {error}") from error
        if dict(entry.commits) != {STATEMENT: committed}:
            raise VerificationError(
                f"the statement of recovery {entry.seq} is not the one that the entry commits to"
            )
        return verify_recovery(content, self._verifiers)
