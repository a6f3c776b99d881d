"""What an export shows of a case beyond its entries: the decrypted documents, what deciding again needs, and a paper."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from arbiter.adjudication.certifying import certificate_again
from arbiter.audit.canonical import canonical_bytes
from arbiter.audit.checkpoint import Checkpoint
from arbiter.audit.entry import Entry
from arbiter.audit.export import layout
from arbiter.audit.export.archive import ExportWriter
from arbiter.audit.export.manifest import Selection
from arbiter.audit.note import encode_base64
from arbiter.calibration import Calibration
from arbiter.documents.calibrations import calibration_bytes
from arbiter.documents.canonical import decode, encode
from arbiter.documents.protocols import ALWAYS_HASHED, HASHED_WHERE_PRESENT, protocol_document
from arbiter.errors import ArbiterError, NotFoundError, RefusedError, VerificationError
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.store.transaction import Transaction
from arbiter.verifying.deciding_again import (
    RecordingRulebook,
    calibration_name,
    protocol_file_name,
    protocol_name,
    replay_name,
)
from arbiter.workflow.dossier import Document, Dossier, calibration_of, load_dossier
from arbiter.workflow.exports.paper import CasePaper, paper_of
from arbiter.workflow.house import House
from arbiter.workflow.shelf import Shelved


@dataclass(slots=True)
class Discloser:
    """Writes the members of one case after another."""

    house: House
    transaction: Transaction
    writer: ExportWriter
    selection: Selection
    checkpoint: Checkpoint
    protocols: set[str] = field(default_factory=set)
    calibrations: set[str] = field(default_factory=set)

    async def disclose(self, case: CaseId) -> int:
        """Write a case's members and return how many documents they show."""
        entries = [
            (index, entry)
            for _, body, index in await load_entries(self.transaction, case)
            if index is not None
            and index < self.checkpoint.size
            and self.selection.admits(entry := Entry.from_bytes(body))
        ]
        documents: tuple[Document, ...] = ()
        if self.selection.payloads:
            dossier = await load_dossier(self.house, self.transaction, case)
            shown = {entry.seq for _, entry in entries}
            documents = tuple(document for document in dossier.documents if document.seq in shown)
            await asyncio.to_thread(self._documents, case, documents)
            read = {
                document: await self._read_from(document)
                for document in documents
                if document.name == "certificate"
            }
            await asyncio.to_thread(self._decisions, dossier, read)
        if self.selection.paper:
            paper = CasePaper(case, self.checkpoint, tuple(entries), documents)
            content = await asyncio.to_thread(paper_of, paper)
            self.writer.add(f"{layout.PAPER_FOLDER}{case}.pdf", content)
        return len(documents)

    async def _read_from(self, certificate: Document) -> Calibration | None:
        try:
            return await calibration_of(self.house, self.transaction, certificate)
        except (NotFoundError, RefusedError, VerificationError):
            # Exported without it: that the certificate cannot be made again, whoever checks it will be told.
            return None

    def _documents(self, case: CaseId, documents: tuple[Document, ...]) -> None:
        salts = {f"{d.seq}-{d.name}": encode_base64(d.salt) for d in documents}
        self.writer.add(layout.salts_name(case), canonical_bytes(salts))
        for document in documents:
            self.writer.add(layout.payload_name(case, document.seq, document.name), document.content)

    def _decisions(self, dossier: Dossier, certificates: Mapping[Document, Calibration | None]) -> None:
        """Write what deciding again needs of the case; `certificates` says by which calibration each was decided."""
        if certificates:
            self._protocol(dossier.shelved)
        for document, calibration in certificates.items():
            if calibration is not None:
                self._calibration(calibration)
            recording = RecordingRulebook(dossier.shelved)
            before = [kept for kept in dossier.documents if kept.seq < document.seq]
            state = dossier.row.state
            try:
                certificate_again(
                    dossier.row.id,
                    state.risk_class,
                    recording,
                    before,
                    decode(document.content),
                    training=state.training,
                    calibration=calibration,
                )
            except (ArbiterError, KeyError, TypeError, ValueError):
                # What cannot be made again is exported as it is: that it cannot, whoever checks it will be told.
                continue
            finally:
                said = encode(recording.document())
                self.writer.add(replay_name(dossier.row.id, document.seq), said)

    def _calibration(self, calibration: Calibration) -> None:
        if calibration.content_hash not in self.calibrations:
            self.calibrations.add(calibration.content_hash)
            self.writer.add(calibration_name(calibration.content_hash), calibration_bytes(calibration))

    def _protocol(self, shelved: Shelved) -> None:
        protocol = shelved.protocol
        if protocol.content_hash in self.protocols:
            return
        self.protocols.add(protocol.content_hash)
        self.writer.add(protocol_name(protocol.content_hash), encode(protocol_document(protocol)))
        for name in (*ALWAYS_HASHED, *HASHED_WHERE_PRESENT):
            if name in shelved.bundle.files:
                content = shelved.bundle.files[name]
                self.writer.add(protocol_file_name(protocol.content_hash, name), content)
