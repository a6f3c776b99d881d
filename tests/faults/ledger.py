"""What must hold of a log after whatever happened: nothing left before its commit, no gap, no duplicate, none missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arbiter.audit.checkpoint import Checkpoint, open_checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.receipt import verify_receipt
from arbiter.audit.verify import LogReport
from arbiter.identity.principals import Principal
from arbiter.lifecycle.entries import EntryType
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import StoredCheckpoint, load_checkpoints
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.house import House
from arbiter.workflow.log.evidence_folder import EvidenceFolder
from arbiter.workflow.log.guard import LogGuard
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.sealing import Sealer
from arbiter.workflow.reading import receipt
from arbiter.workflow.releasing import release_sealed
from tests.houses import settle


def a_fresh_sealer(house: House, folder: Path) -> Sealer:
    """Return a sealer that remembers nothing, as in a process that has just been started."""
    kept = KeptCheckpoint(folder)
    evidence = EvidenceFolder(folder)
    guard = LogGuard(house.store, kept, evidence, house.signer.name, house.verifiers, house.clock.now)
    sealer = Sealer(house.store, house.log_keys.signers, house.clock, kept, guard)
    sealer.then(lambda: release_sealed(house))
    return sealer


async def all_sealed(house: House) -> None:
    """Wait until nothing is in hand, all is released, and the releases' own entries are sealed too."""
    await settle(house, 30)
    await settle(house, 30)


@dataclass
class Ledger:
    """What a test had committed, to be found in the log; `house` looks, and `kept` is the kept checkpoint's file."""

    house: House
    client: Principal
    kept: Path
    cases: list[CaseId] = field(default_factory=list)
    chains: set[str] = field(default_factory=set)

    async def stored(self) -> tuple[StoredCheckpoint, ...]:
        """Return the committed checkpoints, smallest first."""
        async with self.house.store.read() as transaction:
            return await load_checkpoints(transaction)

    def kept_checkpoint(self) -> Checkpoint:
        return open_checkpoint(self.kept.read_bytes(), self.house.verifiers).checkpoint

    async def check_what_left(self, newest_cases: int = 3, *, of_all: bool = True) -> LogReport | None:
        """The kept checkpoint is a committed one, a released decision stands under it, and the entries support all of it.

        Writes nothing, so that it hides nothing. Not `of_all`, it believes what is stored.
        """
        kept_note = self.kept.read_bytes()
        stored = await self.stored()
        sizes = [checkpoint.size for checkpoint in stored]
        assert sizes == sorted(set(sizes)), "a size was signed twice"
        kept = open_checkpoint(kept_note, self.house.verifiers).checkpoint
        if kept.size:
            assert kept_note.decode() in {checkpoint.note for checkpoint in stored}, "kept and not committed"
        released = [await self._released_at(case) for case in self.cases[-newest_cases:]]
        # Read again, behind the cases: others may be sealing at this moment.
        bound = self.kept_checkpoint().size
        assert all(index < bound for index in released), "released under a checkpoint that is not kept"
        return await verify_log(self.house, kept_note) if of_all else None

    async def _released_at(self, case: CaseId) -> int:
        """Return where the log holds the decision of a case that is released; -1 for another case."""
        decided: int | None = None
        for _, body, index in await self.entries(case):
            match Entry.from_bytes(body).type:
                case EntryType.DECIDED:
                    decided = index
                case EntryType.RELEASED:
                    assert decided is not None, "released and not sealed"
                    return decided
        return -1

    async def check_each_is_there_once(self) -> None:
        """Every entry of every case and chain that was committed stands in the log exactly once; the log verifies.

        Receipts verify; asking for one is an entry, so this comes last.
        """
        report = await self.check_what_left(len(self.cases))
        assert report is not None
        assert report.newest == self.kept_checkpoint(), "the newest checkpoint is not kept"
        found: list[int] = []
        for chain in (*self.cases, *self.chains):
            entries = await self.entries(chain)
            assert entries, f"{chain} is not in the log"
            assert [seq for seq, _, _ in entries] == list(range(len(entries)))
            indices = [index for _, _, index in entries if index is not None]
            assert len(indices) == len(entries), f"{chain} has entries that nobody sealed"
            found += indices
        assert len(set(found)) == len(found)
        assert max(found) < report.entries
        for case in self.cases[-3:]:
            given = await receipt(self.house, self.client, case)
            assert verify_receipt(given, self.house.verifiers).checkpoint.size >= report.entries

    async def entries(self, chain: str) -> Sequence[tuple[int, bytes, int | None]]:
        """Return a chain's entries: number in the chain, bytes, index in the log while sealed."""
        async with self.house.store.read() as transaction:
            return await load_entries(transaction, CaseId(chain))
