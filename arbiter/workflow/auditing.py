"""An auditor's use cases over the whole database: verify the log, replay a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from arbiter.adjudication.certifying import certificate_again, words_of_recomputing
from arbiter.adjudication.signatures import check_signature
from arbiter.audit.entry import Entry
from arbiter.audit.openings import Disclosed, misfits
from arbiter.audit.verify import MAX_FINDINGS, LogRefusedError, LogReport, LogVerifier
from arbiter.calibration import Calibration
from arbiter.documents.canonical import decode
from arbiter.errors import ArbiterError
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import load_checkpoints
from arbiter.store.log.leaves import stream_leaves
from arbiter.store.log.nodes import STORED_LEVELS, load_stored_nodes
from arbiter.verifying.passkeys import check_passkey
from arbiter.verifying.signing_again import UNREADABLE
from arbiter.workflow.dossier import Document, Dossier, calibration_of, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.log.recoveries import load_statements
from arbiter.workflow.log.stored_tree import misfiled, unfit_nodes

BATCH = 5_000
# Leaf hashes, level 0, are compared with their entries one by one.
NODE_LEVELS = tuple(level for level in STORED_LEVELS if level)


async def verify_log(
    house: House, kept: bytes | None, progress: Callable[[int, int], None] | None = None
) -> LogReport:
    """Verify every entry, chain and checkpoint in the database against each other and against the kept checkpoint.

    Then the tree's stored nodes, which proofs are made from, and the rows that checkpoints are filed in.

    `progress` hears (entries read, entries in all).

    Raises:
        LogRefusedError: naming the place of what does not check out.
    """
    async with house.store.read() as transaction:
        checkpoints = await load_checkpoints(transaction)
        total = checkpoints[-1].size if checkpoints else 0
        verifier = LogVerifier(
            [checkpoint.note.encode("utf-8") for checkpoint in checkpoints],
            house.verifiers,
            kept=kept,
            statements=await load_statements(transaction),
            node_levels=NODE_LEVELS,
        )
        async for batch in stream_leaves(transaction, BATCH):
            verifier.feed(batch)
            if progress is not None:
                progress(verifier.entries, total)
        nodes = await load_stored_nodes(transaction)
    report = verifier.finish()
    beside = (*misfiled(checkpoints), *unfit_nodes(verifier.nodes, nodes))
    if beside:
        raise LogRefusedError(beside[:MAX_FINDINGS])
    return report


@dataclass(frozen=True, slots=True)
class ReplayedStep:
    """What replay says of one entry: its number, whether what is kept is what was recorded and recomputed, in words."""

    seq: int
    same: bool
    said: str


async def replay_case(house: House, case: CaseId) -> tuple[ReplayedStep, ...]:
    """Make every certificate of a case again from its recorded inputs and compare the bytes.

    Before that come the documents that are not those the case's entries commit to: inputs and certificates changed
    together would recompute. That the entries themselves are the log's, `verify_log` says.

    Raises:
        NotFoundError: when there is no such case; VerificationError: when a document does not open.
    """
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
        entries = await load_entries(transaction, case)
        certificates = [
            (document, await calibration_of(house, transaction, document))
            for document in dossier.documents
            if document.name == "certificate"
        ]
    kept = [Disclosed(d.seq, d.name, d.salt, d.content) for d in dossier.documents]
    return (
        *(
            ReplayedStep(misfit.seq, False, f"{misfit.name}: {misfit.detail}")
            for misfit in misfits([Entry.from_bytes(body) for _, body, _ in entries], kept)
        ),
        *(_replay(dossier, document, calibration) for document, calibration in certificates),
        *_bad_signatures(dossier),
    )


def _bad_signatures(dossier: Dossier) -> Iterator[ReplayedStep]:
    """Yield what is wrong with a case's signatures: what they say was shown, and what a passkey signed."""
    for document in dossier.documents:
        if document.name != "signature":
            continue
        try:
            check_signature(dossier.row.id, dossier.documents, document)
            if "passkey" in (signed := decode(document.content)):
                check_passkey(signed)
        except UNREADABLE as error:
            said = str(error) if isinstance(error, ArbiterError) else "the signature cannot be read"
            yield ReplayedStep(document.seq, False, said)


def _replay(dossier: Dossier, document: Document, calibration: Calibration | None) -> ReplayedStep:
    recorded = decode(document.content)
    again = certificate_again(
        dossier.row.id,
        dossier.row.state.risk_class,
        dossier.shelved,
        [kept for kept in dossier.documents if kept.seq < document.seq],
        recorded,
        training=dossier.row.state.training,
        calibration=calibration,
    )
    said = words_of_recomputing(recorded, document.content, again)
    return ReplayedStep(document.seq, again == document.content, said)
