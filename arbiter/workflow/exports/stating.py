"""What an export carries so that the log's key can be followed: every statement about keys that the log records."""

from __future__ import annotations

from collections.abc import Sequence

from arbiter.audit.checkpoint import Checkpoint, LogKey
from arbiter.audit.export.believing import Trust, believed_keys
from arbiter.audit.export.statements import StatedInLog
from arbiter.audit.note import VerifierKey
from arbiter.audit.recovery import RECOVERY_CHAIN
from arbiter.audit.recovery import STATEMENT as RECOVERY
from arbiter.audit.rotation import STATEMENT as ROTATION
from arbiter.errors import ConflictError
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.store.log.chains import load_chain_entry
from arbiter.store.transaction import Transaction
from arbiter.workflow.house import House


async def statements_under(transaction: Transaction, checkpoint: Checkpoint) -> tuple[StatedInLog, ...]:
    """Return the statements that the log records under a checkpoint, in its order, without their audit paths.

    They are few, whatever the log's size: one for each act of a rotation, one for each recovery.
    """
    found = []
    for chain, name in ((HOUSE_CHAIN, ROTATION), (RECOVERY_CHAIN, RECOVERY)):
        for document in await load_house_documents_named(transaction, chain, name):
            placed = await load_chain_entry(transaction, chain, document.seq)
            if placed is None:
                continue
            body, index = placed
            if index is not None and index < checkpoint.size:
                found.append(StatedInLog(index, body, (), document.salt, document.content))
    return tuple(sorted(found, key=lambda stated: stated.index))


def check_signs(house: House, checkpoint: Checkpoint, statements: Sequence[StatedInLog]) -> None:
    """Raise ConflictError where this process's key may not sign at this size: nobody would believe the export."""
    signer = VerifierKey.parse(house.signer.verifier_key)
    known = believed_keys(Trust((signer,)), house.verifiers, statements)
    for key in known:
        if key == signer and isinstance(key, LogKey) and not key.may_sign(checkpoint.size):
            raise ConflictError(
                f"this process signs with key {key.key_id.hex()}, which may not sign {checkpoint.size} entries: the log's key "
                "was rotated; restart it with the present folder `keys`"
            )
