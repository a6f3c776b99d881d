"""One entry of the log looked at closely: where it stands, what proves it, and what it commits to.

Commitments are opened in memory and compared; nothing of what they hold is returned, so this is no read of a case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from arbiter.audit.checkpoint import MAX_SIZE
from arbiter.audit.entry import Entry, commit
from arbiter.audit.merkle import leaf_hash
from arbiter.audit.proof import TlogProof, verify_proof
from arbiter.errors import ConfigurationError, NotFoundError, VerificationError
from arbiter.model import CaseId
from arbiter.store.cases.contents import load_documents
from arbiter.store.cases.heads import load_case
from arbiter.store.house_chain import load_house_documents
from arbiter.store.log.chains import load_chain_entry
from arbiter.store.log.checkpoints import StoredCheckpoint, load_checkpoint_from
from arbiter.store.log.leaves import load_leaves_from
from arbiter.store.subjects import load_merger
from arbiter.store.transaction import Transaction
from arbiter.workflow.house import House
from arbiter.workflow.log.proving import prove_leaf


class Standing(StrEnum):
    """What became of the content that an entry commits to."""

    OPENS = "kept, and is what the entry commits to"
    LOCKED = "kept sealed, and does not open: its key is gone or another one"
    GONE = "not kept any more"
    OTHER = "NOT what the entry commits to"


@dataclass(frozen=True, slots=True)
class Inspected:
    """An entry with its bytes, its place (None while it waits for its seal), its proof and what covers it.

    `first_covered_by` is the checkpoint that sealed it; `fault` says what does not check out, None for nothing.
    """

    entry: Entry
    body: bytes
    index: int | None
    proof: TlogProof | None
    covered_size: int | None
    first_covered_by: StoredCheckpoint | None
    commitments: tuple[tuple[str, str, Standing], ...]
    fault: str | None

    @property
    def waited(self) -> timedelta | None:
        """How long the entry waited for its seal, by the clocks of those who wrote and sealed it."""
        return None if self.first_covered_by is None else self.first_covered_by.sealed_at - self.entry.at


async def inspect_leaf(house: House, index: int) -> Inspected:
    """Return the entry at an index of the log.

    Raises:
        NotFoundError: when the log is shorter; VerificationError: when the entry's bytes are gone or none.
    """
    async with house.store.read() as transaction:
        rows = await load_leaves_from(transaction, min(index, MAX_SIZE), 1)
        if not rows or rows[0][0] != index:
            raise NotFoundError(f"the log has no entry at index {index}")
        body = rows[0][1]
        if body is None:
            raise VerificationError(f"entry {index} is gone: its leaf stands alone")
        return await _inspected(house, transaction, body, index)


async def inspect_chain_entry(house: House, chain: str, seq: int) -> Inspected:
    """Return an entry of a case, or of another chain. Raises NotFoundError when there is none."""
    async with house.store.read() as transaction:
        found = await load_chain_entry(transaction, chain, seq)
        if found is None:
            raise NotFoundError(f"the log has no entry {seq} of a case {chain}")
        return await _inspected(house, transaction, *found)


async def _inspected(house: House, transaction: Transaction, body: bytes, index: int | None) -> Inspected:
    entry = Entry.from_bytes(body)
    standing = await _standing(house, transaction, entry)
    if index is None:
        return Inspected(entry, body, None, None, None, None, standing, None)
    proof = await prove_leaf(transaction, index, f"entry {index}")
    fault, covered_size = None, None
    try:
        covered_size = verify_proof(proof, leaf_hash(body), house.verifiers).checkpoint.size
    except VerificationError as error:
        fault = str(error)
    first = await load_checkpoint_from(transaction, index + 1)
    return Inspected(entry, body, index, proof, covered_size, first, standing, fault)


async def _standing(
    house: House, transaction: Transaction, entry: Entry
) -> tuple[tuple[str, str, Standing], ...]:
    if not entry.commits:
        return ()
    kept = await _kept(house, transaction, entry)
    return tuple((name, commitment, _compared(kept, name, commitment)) for name, commitment in entry.commits)


def _compared(kept: Mapping[str, tuple[bytes, bytes] | None], name: str, commitment: str) -> Standing:
    if name not in kept:
        return Standing.GONE
    opened = kept[name]
    if opened is None:
        return Standing.LOCKED
    return Standing.OPENS if commit(name, *opened) == commitment else Standing.OTHER


async def _kept(
    house: House, transaction: Transaction, entry: Entry
) -> dict[str, tuple[bytes, bytes] | None]:
    """Return (salt, content) by name of what is kept for an entry, None for what does not open."""
    sealed = {
        name: ciphertext
        for seq, name, ciphertext in await load_documents(transaction, CaseId(entry.case))
        if seq == entry.seq
    }
    if sealed:
        return await _opened(house, transaction, entry, sealed)
    merger = await load_merger(transaction, entry.case, entry.seq)
    if merger is not None:
        return {name: merger for name, _ in entry.commits}
    return {
        document.name: (document.salt, document.content)
        for document in await load_house_documents(transaction, entry.case)
        if document.seq == entry.seq
    }


async def _opened(
    house: House, transaction: Transaction, entry: Entry, sealed: Mapping[str, bytes]
) -> dict[str, tuple[bytes, bytes] | None]:
    try:
        row = await load_case(transaction, CaseId(entry.case))
        key = house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
    except (NotFoundError, VerificationError, ConfigurationError):
        return dict.fromkeys(sealed)
    opened: dict[str, tuple[bytes, bytes] | None] = {}
    for name, ciphertext in sealed.items():
        try:
            opened[name] = house.vault.open(key, entry.seq, name, ciphertext)
        except VerificationError:
            opened[name] = None
    return opened
