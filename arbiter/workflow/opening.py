"""Opening one commitment of a case's entry to somebody outside: the salt and content from which its hash is computed anew."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.audit.entry import Entry, commit
from arbiter.audit.receipt import Opening, Receipt
from arbiter.errors import NotFoundError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId
from arbiter.store.log.chains import load_chain_entry
from arbiter.workflow.acting import read_dossier
from arbiter.workflow.house import House
from arbiter.workflow.log.proving import prove_leaf


@dataclass(frozen=True, slots=True)
class OpenedCommitment:
    """A commitment with what opens it, and the receipt that carries both with the log's proof of the entry."""

    entry: Entry
    commitment: str
    opening: Opening
    receipt: bytes


async def open_commitment(
    house: House, principal: Principal, case: CaseId, seq: int, name: str
) -> OpenedCommitment:
    """Return what a case's entry commits to under `name`; the look is an entry, as every read of content is.

    Raises:
        ForbiddenError: for who is no auditor; NotFoundError: when there is no such case, entry or name;
        ErasedError: when the case was erased; NotSealedError: while no checkpoint covers the entry;
        VerificationError: when what is kept is not what the entry commits to.
    """
    principal.require(Permission.AUDIT_READ)
    principal.require(Permission.CASES_READ)
    dossier = await read_dossier(house, principal, case)
    async with house.store.read() as transaction:
        found = await load_chain_entry(transaction, case, seq)
        if found is None:
            raise NotFoundError(f"case {case} has no entry {seq}")
        body, index = found
        entry = Entry.from_bytes(body)
        commitment = dict(entry.commits).get(name)
        document = next(
            (document for document in dossier.documents if (document.seq, document.name) == (seq, name)), None
        )
        if commitment is None or document is None:
            raise NotFoundError(f"entry {seq} of case {case} commits to nothing of that name")
        if commit(name, document.salt, document.content) != commitment:
            raise VerificationError(f"what is kept is not what entry {seq} of case {case} commits to")
        proof = await prove_leaf(transaction, index, f"entry {seq} of case {case}")
    opening = Opening(name, document.salt, document.content)
    return OpenedCommitment(entry, commitment, opening, Receipt(body, proof, (opening,)).encode())
