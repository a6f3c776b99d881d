"""Makes an export: one pass over the log for each kind of member, on one state of the database, in constant memory.

Before a case's documents are opened the case gets its entry `content.read`; once the archive is whole the house gets
its entry `log.exported`, with the archive's hash, and only then may anybody have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import TypeAlias

from arbiter import __version__
from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.export import layout
from arbiter.audit.export.archive import ExportWriter, Sink
from arbiter.audit.export.events import EXPORTED, event_line
from arbiter.audit.export.manifest import Manifest, Member, Selection
from arbiter.audit.export.statements import StatedInLog
from arbiter.audit.merkle import prove_inclusion
from arbiter.audit.proof import TlogProof
from arbiter.audit.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileNodes,
    encode_bundle,
    tile_from_nodes,
    tile_width,
    tiles_for_proof,
    tiles_of,
)
from arbiter.documents.canonical import encode
from arbiter.documents.scalars import instant_text
from arbiter.errors import ConflictError, ErasedError, NotFoundError, RefusedError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.events import Read
from arbiter.model import CaseId
from arbiter.store.erasures import erased_among
from arbiter.store.log.checkpoints import load_newest_checkpoint, stream_checkpoints
from arbiter.store.log.nodes import load_nodes
from arbiter.store.transaction import Transaction
from arbiter.workflow.acting import act
from arbiter.workflow.exports.disclosing import Discloser
from arbiter.workflow.exports.readme import README
from arbiter.workflow.exports.selecting import MOST_CASES, Shown, narrowed, selected
from arbiter.workflow.exports.source import source_members
from arbiter.workflow.exports.stating import check_signs, statements_under
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.log.cosigned import shown_newest

Progress: TypeAlias = Callable[[int, int], None]
"""Hears how many entries were done, and of how many."""

CHECKPOINTS_AT_ONCE = 1_000
_PASSES = 4


@dataclass(frozen=True, slots=True)
class Made:
    """An export as it was written: its manifest, size in bytes and SHA-256 in hex, and the entry that tells of it."""

    manifest: Manifest
    size: int
    sha256: str
    seq: int


class _Tallied:
    """Passes bytes on and keeps count of them."""

    def __init__(self, out: Sink) -> None:
        self._out = out
        self.digest = sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._out.write(data)


async def make_export(
    house: House,
    principal: Principal,
    asked: Selection,
    out: Sink,
    progress: Progress = lambda _done, _all: None,
) -> Made:
    """Write what was asked for to `out`, as far as this principal may take it.

    Raises:
        ForbiddenError, NotFoundError, RefusedError, ConflictError: nothing was written or opened.
        VerificationError: the log itself is not whole.
    """
    selection = await narrowed(house, house.store, principal, asked)
    await house.sealer.round()
    cases = await _cases(house, selection) if selection.payloads or selection.paper else ()
    unopened = await _read_all(house, principal, cases) if selection.payloads else ()
    await house.sealer.round()
    tallied = _Tallied(out)
    now = house.clock.now()
    async with house.store.read() as transaction:
        newest = await shown_newest(house, transaction)
        if newest is None:
            raise ConflictError("nothing has been sealed yet, so there is nothing that could be proved")
        checkpoint = Checkpoint(house.signer.name, newest.size, newest.root)
        note = house.countersigner.countersigned(newest).note.encode("utf-8")
        short = newest.note.encode("utf-8")
        statements = await statements_under(transaction, checkpoint)
        check_signs(house, checkpoint, statements)
        with ExportWriter(tallied, now) as writer:
            making = _Making(house, transaction, selection, checkpoint, note, short, writer, progress)
            making.unopened.update(unopened)
            await making.write(cases, statements)
            manifest = await asyncio.to_thread(making.finish, principal, now)
    seq = await _tell(house, principal, manifest, tallied, making.opened)
    return Made(manifest, tallied.size, tallied.digest.hexdigest(), seq)


async def _cases(house: House, selection: Selection) -> tuple[CaseId, ...]:
    """Return the cases whose documents are to be opened."""
    found: set[str] = set()
    async with house.store.read() as transaction:
        newest = await load_newest_checkpoint(transaction)
        async for _, shown in selected(transaction, selection, 0 if newest is None else newest.size):
            # Only a case's chain begins so: the others of the house hold no documents of a patient.
            found.update(one.entry.case for one in shown if one.entry.case.startswith("c_"))
            if len(found) > MOST_CASES:
                raise RefusedError(
                    f"documents of at most {MOST_CASES} cases are shown in one export; narrow it"
                )
    return tuple(CaseId(case) for case in sorted(found))


async def _read_all(house: House, principal: Principal, cases: Iterable[CaseId]) -> tuple[str, ...]:
    """Write for each case that its content is read; return those whose content does not open any more."""
    unopened = []
    for case in cases:
        try:
            await act(house, principal, case, lambda _dossier, _now: (Read(), {}))
        except (ErasedError, NotFoundError, VerificationError):
            # Each was there a moment ago: what does not open was erased, or is damaged. The manifest says which.
            unopened.append(str(case))
    return tuple(unopened)


async def _tell(
    house: House, principal: Principal, manifest: Manifest, tallied: _Tallied, opened: Iterable[CaseId]
) -> int:
    """Write that the export was taken; raise ErasedError where a case in it was erased before that.

    INVARIANT: an erasure and this exclude each other. One that commits first ends the export; one that comes later
    finds in the log that its case was taken before.
    """
    told = {
        "selection": manifest.selection.document(),
        "checkpoint_size": manifest.checkpoint.size,
        "entries": manifest.entries,
        "chains": manifest.chains,
        "payloads": manifest.payloads,
        "bytes": tallied.size,
        "sha256": tallied.digest.hexdigest(),
    }
    async with house.store.begin() as transaction:
        if gone := await erased_among(transaction, opened):
            raise ErasedError(
                f"{', '.join(gone)}: erased while the documents were being exported, so nothing of this export may be kept; "
                "ask for it again"
            )
        return await note_in_house(house, transaction, EXPORTED, principal.id, {"export": encode(told)})


@dataclass(slots=True)
class _Making:
    house: House
    transaction: Transaction
    selection: Selection
    checkpoint: Checkpoint
    note: bytes
    short: bytes
    writer: ExportWriter
    progress: Progress
    entries: int = 0
    chains: int = 0
    payloads: int = 0
    shelf: dict[Tile, bytes] = field(default_factory=dict)
    tiles: set[Tile] = field(default_factory=set)
    passes: int = 0
    unopened: set[str] = field(default_factory=set)
    opened: list[CaseId] = field(default_factory=list)

    async def write(self, cases: Iterable[CaseId], statements: Iterable[StatedInLog]) -> None:
        """Write every member but the manifest."""
        await asyncio.to_thread(self._add, source_members())
        self.writer.add(layout.README, README.encode("utf-8"))
        keys = "".join(f"{key.encode()}\n" for key in self.house.verifiers)
        self.writer.add(layout.KEYS, keys.encode("utf-8"))
        self.writer.add(layout.CHECKPOINT, self.note)
        await self._statements(statements)
        await self._entries()
        await self._table()
        await self._proofs()
        await self._events()
        await self._tiles()
        if self.selection.is_everything:
            await self._whole()
        if self.selection.payloads or self.selection.paper:
            await self._disclose(case for case in cases if case not in self.unopened)

    async def _disclose(self, cases: Iterable[CaseId]) -> None:
        discloser = Discloser(self.house, self.transaction, self.writer, self.selection, self.checkpoint)
        for case in cases:
            try:
                self.payloads += await discloser.disclose(case)
            except ErasedError:
                # Between the entry of the read and the state of the database that is exported; nothing is written yet.
                self.unopened.add(case)
            else:
                if self.selection.payloads:
                    self.opened.append(case)

    async def _statements(self, statements: Iterable[StatedInLog]) -> None:
        size = self.checkpoint.size
        nodes = TileNodes(size, lambda tile: self.shelf[tile])
        with self.writer.member(layout.STATEMENTS) as sink:
            for stated in statements:
                needed = set(tiles_for_proof(stated.index, size))
                # Their proofs stand beside them: no tile is carried for them.
                self.shelf = {tile: await self._tile(tile) for tile in needed}
                sink.write(replace(stated, hashes=prove_inclusion(stated.index, size, nodes)).line())
        self.shelf.clear()

    def finish(self, principal: Principal, now: datetime) -> Manifest:
        """Write the manifest and the notes."""

        def describe(members: tuple[Member, ...]) -> Manifest:
            return Manifest(
                made_at=instant_text(now),
                made_by=principal.id,
                code_version=__version__,
                selection=self.selection,
                checkpoint=self.checkpoint,
                whole=self.selection.is_everything,
                entries=self.entries,
                chains=self.chains,
                payloads=self.payloads,
                unopened=tuple(sorted(self.unopened)),
                members=members,
            )

        return self.writer.finish(describe, self.house.signer)

    def _add(self, members: Iterable[tuple[str, bytes]]) -> None:
        for name, content in members:
            self.writer.add(name, content)

    async def _selected(self) -> AsyncIterator[list[Shown]]:
        """Yield the selected entries once more, telling how far this is of all the passes."""
        size = self.checkpoint.size
        async for looked, shown in selected(self.transaction, self.selection, size):
            await asyncio.sleep(0)
            yield shown
            total = self.entries if self.selection.cases and self.passes else size
            self.progress((self.passes * total + min(looked, total)) // _PASSES, total)
        self.passes += 1

    async def _entries(self) -> None:
        picked: set[str] = set()
        with self.writer.member(layout.ENTRIES) as sink:
            async for shown in self._selected():
                await _write(sink, (one.exported.line() for one in shown))
                self.entries += len(shown)
                if self.selection.picks:
                    picked.update(one.entry.case for one in shown)
                else:
                    self.chains += sum(one.entry.seq == 0 for one in shown)
        self.chains += len(picked)

    async def _table(self) -> None:
        with self.writer.member(layout.TABLE) as sink:
            sink.write(layout.table_head())
            async for shown in self._selected():
                await _write(sink, (layout.table_row(one.exported, one.entry) for one in shown))

    async def _proofs(self) -> None:
        if self.entries <= layout.MOST_PROOF_FILES:
            async for proved in self._proved():
                files = ((layout.proof_name(proof.index), proof.encode()) for _, proof in proved)
                await asyncio.to_thread(self._add, files)
            return
        with self.writer.member(layout.PROOFS) as sink:
            async for proved in self._proved():
                await _write(sink, (layout.proof_line(proof) for _, proof in proved))

    async def _events(self) -> None:
        origin = self.checkpoint.origin
        with self.writer.member(layout.EVENTS) as sink:
            async for proved in self._proved():
                lines = (event_line(one.exported, one.entry, proof, origin) for one, proof in proved)
                await _write(sink, lines)

    async def _proved(self) -> AsyncIterator[list[tuple[Shown, TlogProof]]]:
        """Yield the selected entries with their proofs, made from tiles read ahead of each batch.

        A proof in a file of its own carries both signatures of the log. Where there are too many for that, each carries
        Ed25519's, and the newest checkpoint alone the other, which is seventeen times as long.
        """
        size = self.checkpoint.size
        nodes = TileNodes(size, lambda tile: self.shelf[tile])
        async for shown in self._selected():
            await self._fetch({t for one in shown for t in tiles_for_proof(one.exported.index, size)})
            yield await asyncio.to_thread(self._prove, shown, nodes)

    def _prove(self, shown: list[Shown], nodes: TileNodes) -> list[tuple[Shown, TlogProof]]:
        size = self.checkpoint.size
        indices = [one.exported.index for one in shown]
        note = self.note if self.entries <= layout.MOST_PROOF_FILES else self.short
        proofs = [TlogProof(i, prove_inclusion(i, size, nodes), note) for i in indices]
        return list(zip(shown, proofs, strict=True))

    async def _fetch(self, needed: set[Tile]) -> None:
        self.tiles |= needed
        self.shelf = {tile: content for tile, content in self.shelf.items() if tile in needed}
        for tile in needed - self.shelf.keys():
            self.shelf[tile] = await self._tile(tile)

    async def _tile(self, tile: Tile) -> bytes:
        assert tile.level is not None
        start = tile.index * TILE_WIDTH
        wanted = [(TILE_HEIGHT * tile.level, start + i) for i in range(tile.width)]
        return tile_from_nodes(tile, await load_nodes(self.transaction, wanted))

    async def _tiles(self) -> None:
        self.shelf.clear()
        whole = self.selection.is_everything
        ordered = sorted(self.tiles, key=lambda tile: (tile.level or 0, tile.index))
        for tile in tiles_of(self.checkpoint.size) if whole else ordered:
            content = await self._tile(tile)
            await asyncio.to_thread(self.writer.add, tile.path, content)

    async def _whole(self) -> None:
        """Write what only an export of everything has: all checkpoints, and the entries as bundles."""
        with self.writer.member(layout.ALL_CHECKPOINTS) as sink:
            pages = stream_checkpoints(self.transaction, CHECKPOINTS_AT_ONCE, self.checkpoint.size)
            async for page in pages:
                await _write(sink, (layout.note_line(stored.note.encode("utf-8")) for stored in page))
        waiting: list[bytes] = []
        index = 0
        async for _, shown in selected(self.transaction, self.selection, self.checkpoint.size):
            waiting += [one.exported.body for one in shown]
            while len(waiting) >= min(TILE_WIDTH, width := tile_width(None, index, self.checkpoint.size)) > 0:
                content, waiting = encode_bundle(waiting[:width]), waiting[width:]
                await asyncio.to_thread(self.writer.add, Tile(None, index, width).path, content)
                index += 1


async def _write(sink: Sink, lines: Iterable[bytes]) -> None:
    """Write lines beside the loop: making and compressing them is work for the processor."""
    await asyncio.to_thread(lambda: sink.write(b"".join(lines)))
