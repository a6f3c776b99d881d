"""Guards the lower bound: the database's log must extend the kept checkpoint, at start, before each seal and every minute.

The newest stored checkpoint must be signed by this log, cover no fewer entries than the kept one, and the stored tree
must have the kept root at the kept size. The file must be what this process last saw of it, or a newer one. Once one of
these fails nothing more is sealed or released and no case is taken in until the process is started again, which looks
at everything anew. The absence of the database is no such failure: it is waited for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from arbiter.audit.contradiction import Evidence, PrefixProof
from arbiter.audit.merkle import EMPTY_ROOT, consistency_parts, prove_consistency
from arbiter.audit.note import VerifierKey
from arbiter.errors import LogUnfitError, UnavailableError, VerificationError
from arbiter.ports import Signer
from arbiter.store.log.checkpoints import StoredCheckpoint, load_newest_checkpoint
from arbiter.store.log.nodes import load_nodes
from arbiter.store.transaction import DATABASE_ERRORS, Store, Transaction
from arbiter.telemetry import Safe
from arbiter.workflow.log.evidence_folder import EvidenceFolder
from arbiter.workflow.log.faults import Fault, with_advice
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.stored_tree import load_frontier

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was found wrong. `told` has the advice with it; `evidence` proves a fork."""

    fault: Fault
    found: str
    told: str
    evidence: Evidence | None = None

    @property
    def said(self) -> str:
        """What anybody may know of it."""
        return f"refused: {self.fault.value}; operators were told"


class LogGuard:
    """The guard of one process. `refusal` is None as long as the log may be worked on."""

    def __init__(
        self,
        store: Store,
        kept: KeptCheckpoint,
        evidence: EvidenceFolder,
        origin: str,
        verifiers: tuple[VerifierKey, ...],
        now: Callable[[], datetime],
    ) -> None:
        self.refusal: Refusal | None = None
        self._store = store
        self._kept = kept
        self._evidence = evidence
        self._origin = origin
        self._verifiers = verifiers
        self._now = now
        self._seen: tuple[bytes, Checkpoint] | None = None
        self._passed: tuple[int, bytes, bytes] | None = None
        self._opened = False
        # Keeping happens in a thread of its own; between the file and what was seen of it nobody else may look.
        self._looking = threading.RLock()

    def require(self, advice: str) -> None:
        """Raise LogUnfitError, in words for callers, once the log was refused."""
        if self.refusal is not None:
            raise LogUnfitError(
                "no case is taken in or told of: the log in the database is not the one that was signed last, and "
                f"operators were told; {advice}"
            )

    async def open(self, empty: bytes) -> None:
        """Check at the start; in a new installation keep `empty`, the empty log's note, before anything is sealed.

        Raises:
            LogUnfitError: with advice.
        """
        # Kept is read first: whoever seals commits before keeping.
        if self._kept.note() is None:
            newest = await self._newest()
            with self._kept.alone():
                # Another process that starts beside this one may have kept the first.
                if self._kept.note() is None:
                    if newest is not None:
                        self._refuse(
                            Fault.KEPT_MISSING,
                            f"the database holds a log of {newest.size} entries and {self._kept.path} is missing; "
                            "restore that file",
                        )
                    self._kept.replace(empty)
            self._kept.sync()
        await self.check()
        self._opened = True

    async def watch(self) -> None:
        """Check every minute, until cancelled. A refusal is told once, and then there is nothing left to check."""
        while self.refusal is None:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.check()
            except LogUnfitError:
                break
            except (UnavailableError, *DATABASE_ERRORS, OSError) as error:
                log.warning("the log could not be looked at: %s", type(error))
        await asyncio.Event().wait()

    async def check(self) -> None:
        """Look at the file and the whole of the bound.

        Raises:
            LogUnfitError: with advice, this time and from then on; UnavailableError: nothing is known.
        """
        kept = self.look()
        await self._check_extends(kept, "a look at the whole bound")

    async def check_newest(self, newest: StoredCheckpoint | None) -> None:
        """Check, while the log is held, that what is to be sealed on extends what was kept; brings the file up to it.

        What was found to hold is not looked at again until file or checkpoint change. Raises as `check`.
        """
        kept = self.look()
        passed = None if newest is None else (newest.size, newest.root, self._seen_note)
        if newest is not None and passed == self._passed:
            return
        await self._check_extends(kept, "a look before sealing")
        if newest is not None and newest.size > kept.size:
            self.keep(newest.note.encode("utf-8"), Checkpoint(self._origin, newest.size, newest.root))
        else:
            self._passed = passed

    def keep(self, note: bytes, checkpoint: Checkpoint) -> None:
        """Put the note of a committed checkpoint in the place of the kept one, unless a newer one is kept.

        Raises:
            LogUnfitError: when the file is not what it was: it is told, and not written over.
        """
        with self._looking:
            with self._kept.alone():
                if checkpoint.size <= self.look().size:
                    return
                self._kept.replace(note)
            self._seen = (note, checkpoint)
            self._passed = (checkpoint.size, checkpoint.root, note)

    @property
    def _seen_note(self) -> bytes:
        return b"" if self._seen is None else self._seen[0]

    def look(self) -> Checkpoint:
        """Return the kept checkpoint as the file has it.

        Raises:
            LogUnfitError: when the file is gone, garbled, another log's, or older than this process has seen it.
        """
        with self._looking:
            return self._look()

    def _look(self) -> Checkpoint:
        if self.refusal is not None:
            raise LogUnfitError(self.refusal.told)
        note = self._kept.note()
        if self._seen is not None and note == self._seen[0]:
            return self._seen[1]
        path = self._kept.path
        if note is None:
            self._refuse(Fault.KEPT_MISSING, f"the kept checkpoint {path} is missing; restore that file")
        try:
            checkpoint = open_checkpoint(note, self._verifiers).checkpoint
        except VerificationError as error:
            self._refuse(
                Fault.KEPT_UNFIT,
                f"the kept checkpoint {path} is not one that this log signed ({error})",
            )
        if checkpoint.origin != self._origin:
            self._refuse(
                Fault.KEPT_OF_FORMER_ORIGIN,
                f"the kept checkpoint {path} is of the former origin {checkpoint.origin}, this log is {self._origin}",
            )
        if self._seen is not None:
            self._compare_with_seen(note, checkpoint, *self._seen)
        self._seen = (note, checkpoint)
        return checkpoint

    def _compare_with_seen(
        self, note: bytes, checkpoint: Checkpoint, seen: bytes, before: Checkpoint
    ) -> None:
        if checkpoint.size < before.size:
            self._refuse(
                Fault.KEPT_OLDER,
                f"the kept checkpoint {self._kept.path} has {checkpoint.size} entries, and had {before.size}: "
                "somebody put an older file back",
            )
        if checkpoint.size == before.size and checkpoint.root != before.root:
            self._refuse(
                Fault.FORKED,
                f"the kept checkpoint {self._kept.path} was replaced by one of as many entries ({before.size}) and "
                "another root: the log's key has signed two histories",
                Evidence((seen, note), "the kept checkpoint's file with itself, earlier", self._now()),
            )

    async def _newest(self) -> StoredCheckpoint | None:
        async with self._store.read() as transaction:
            return await load_newest_checkpoint(transaction)

    async def _check_extends(self, kept: Checkpoint, when: str) -> None:
        async with self._store.read() as transaction:
            newest = await load_newest_checkpoint(transaction)
            size = 0 if newest is None else newest.size
            if newest is not None:
                self._check_signed(newest)
            if size < kept.size:
                self._refuse(
                    Fault.BEHIND,
                    f"the database's log has {size} sealed entries, the kept checkpoint {self._kept.path} has "
                    f"{kept.size}: the database was rolled back or is another one; restore a newer copy",
                )
            if newest is not None:
                await self._check_tree(transaction, newest, kept, when)

    def _check_signed(self, newest: StoredCheckpoint) -> None:
        try:
            signed = open_checkpoint(newest.note.encode("utf-8"), self._verifiers).checkpoint
        except VerificationError as error:
            self._refuse(
                Fault.FOREIGN,
                f"the database's newest checkpoint, of {newest.size} entries, is not this log's: {error}",
            )
        if signed.origin != self._origin:
            self._refuse(
                Fault.FOREIGN,
                f"the database's newest checkpoint is of origin {signed.origin}, this log is {self._origin}",
            )
        if (signed.size, signed.root) != (newest.size, newest.root):
            self._refuse(
                Fault.DAMAGED,
                f"the database's newest checkpoint, of {newest.size} entries, is not the one that was signed",
            )

    async def _check_tree(
        self, transaction: Transaction, newest: StoredCheckpoint, kept: Checkpoint, when: str
    ) -> None:
        if await self._root(transaction, newest.size) != newest.root:
            self._refuse(
                Fault.DAMAGED,
                f"the stored tree of {newest.size} leaves does not have the root of its checkpoint",
            )
        root = await self._root(transaction, kept.size)
        if root == kept.root:
            return
        compared = f"the kept checkpoint's file with the database's newest checkpoint: {when}"
        notes = (self._seen_note, newest.note.encode("utf-8"))
        prefix = None
        if kept.size != newest.size:
            parts = {part for parts in consistency_parts(kept.size, newest.size) for part in parts}
            nodes = await load_nodes(transaction, parts)
            prefix = PrefixProof(root, prove_consistency(kept.size, newest.size, nodes))
        self._refuse(
            Fault.FORKED,
            f"the database's log and the kept checkpoint {self._kept.path} have different roots for {kept.size} entries: "
            "the log's key has signed two histories",
            Evidence(notes, compared, self._now(), prefix),
        )

    async def _root(self, transaction: Transaction, size: int) -> bytes:
        try:
            return (await load_frontier(transaction, size)).root()
        except VerificationError as error:
            self._refuse(Fault.DAMAGED, str(error))

    def _refuse(self, fault: Fault, found: str, evidence: Evidence | None = None) -> NoReturn:
        """Refuse the log from now on. While the house is open it is told once, loudly; at the start raising tells it."""
        told = with_advice(fault, found, self._kept.path)
        self.refusal = Refusal(fault, found, told, evidence)
        if self._opened:
            self._tell(fault, told)
        if evidence is not None:
            self._keep_evidence(evidence)
        raise LogUnfitError(told)

    def _tell(self, fault: Fault, told: str) -> None:
        log.critical(
            "THE LOG IS REFUSED (%s): nothing is sealed or released and no case is taken in until this is put right and "
            "the process started again. %s",
            fault,
            Safe(told),
        )

    def _keep_evidence(self, evidence: Evidence) -> None:
        try:
            self._evidence.keep(evidence)
        except OSError:
            log.exception("the contradictory checkpoints could not be kept as evidence")


def empty_log(signers: Sequence[Signer]) -> bytes:
    """Return the signed checkpoint of a log of no entries, which a new installation keeps first."""
    return sign_checkpoint(Checkpoint(signers[-1].name, 0, EMPTY_ROOT), signers)
