"""A case with its content opened: the head, the key, and every document its entries commit to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.adjudication.certifying import calibration_read
from arbiter.calibration import Calibration
from arbiter.documents.canonical import decode
from arbiter.documents.context import CONTEXT, Context
from arbiter.documents.opinions import opinion_from
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ErasedError, NotFoundError, VerificationError
from arbiter.identity.principals import Principal
from arbiter.model import CaseId, Opinion
from arbiter.store.cases.contents import load_documents
from arbiter.store.cases.heads import CaseRow, load_case
from arbiter.store.glass import is_glass_broken
from arbiter.store.transaction import Transaction, Where
from arbiter.store.vault import CaseKey
from arbiter.workflow.docket import Docket, docket_of
from arbiter.workflow.house import House
from arbiter.workflow.shelf import Shelved


@dataclass(frozen=True, slots=True)
class Document:
    """A sealed document, opened: the entry that commits to it, its name, salt and content."""

    seq: int
    name: str
    salt: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything kept about one case, oldest document first."""

    row: CaseRow
    shelved: Shelved
    docket: Docket
    key: CaseKey
    documents: tuple[Document, ...]

    def latest(self, name: str) -> Document:
        """Return the newest document of that name.

        Raises:
            NotFoundError: when the case has none.
        """
        for document in reversed(self.documents):
            if document.name == name:
                return document
        raise NotFoundError(f"case {self.row.id} has no {name} yet")

    def taken_facts(self) -> TakenFacts:
        """Return the present facts."""
        taken = TakenFacts.decode(self.latest("facts").content)
        if taken.facts.version != self.row.state.facts_version:
            raise VerificationError(f"case {self.row.id} holds facts of another version than its state says")
        return taken

    def versions_of_facts(self) -> tuple[TakenFacts, ...]:
        """Return the facts of every version, oldest first, the present ones last."""
        return tuple(
            TakenFacts.decode(document.content) for document in self.documents if document.name == "facts"
        )

    def context(self) -> Context:
        """Return what was handed in beside the facts, of all versions together, for people to read."""
        found = Context()
        for document in self.documents:
            if document.name == CONTEXT:
                found = found.joined(Context.decode(document.content))
        return found

    def opinions(self) -> tuple[Opinion, ...]:
        """Return the opinions given about the present facts, in the order they came."""
        since = self.latest("facts").seq
        return tuple(
            opinion_from(decode(document.content))
            for document in self.documents
            if document.name == "opinion" and document.seq > since
        )

    def request(self) -> dict[str, Any]:
        """Return the document `request`: who the case is about, as the requester named them."""
        return decode(self.latest("request").content)


async def calibration_of(house: House, where: Where, certificate: Document) -> Calibration | None:
    """Return the calibration that a certificate's numbers were read from, None where none was.

    Raises:
        NotFoundError: when it is not kept; VerificationError: when what is kept has another hash now.
    """
    named = calibration_read(decode(certificate.content))
    return None if named is None else await house.shelf.fetch_calibration(where, named)


async def load_dossier(house: House, transaction: Transaction, case: CaseId) -> Dossier:
    """Return a case with its content opened.

    Raises:
        NotFoundError: when there is no such case; ErasedError: when its key was destroyed;
        VerificationError: when a document does not open.
    """
    return await open_dossier(house, transaction, await load_case(transaction, case))


async def open_dossier(house: House, transaction: Transaction, row: CaseRow) -> Dossier:
    """Return the same of a case whose head this transaction has read; raises what `load_dossier` does."""
    check_not_erased(row)
    shelved = await house.shelf.fetch(transaction, row.protocol_hash)
    key = house.vault.open_key(row.id, row.kek_id, row.wrapped_key)
    opened = tuple(
        Document(seq, name, *house.vault.open(key, seq, name, ciphertext))
        for seq, name, ciphertext in await load_documents(transaction, row.id)
    )
    return Dossier(row, shelved, docket_of(row, shelved.protocol.policy_hash), key, opened)


def check_not_erased(row: CaseRow) -> None:
    """Raise ErasedError for a case whose content is gone, VerificationError for a key that is gone without an erasure."""
    if row.state.erasure is not None:
        raise ErasedError(
            f"case {row.id} was erased: what it held cannot be read any more; that it was, the log says"
        )
    if not row.wrapped_key:
        raise VerificationError(f"the key of case {row.id} is gone, and nothing says that it was erased")


async def load_seen_case(
    where: Where, principal: Principal, case: CaseId, looking_at: datetime | None = None
) -> CaseRow:
    """Return a case's head if this principal may know of it.

    `looking_at` is given by those who look or judge: at that instant a glass broken by this principal counts. Changes
    of a foreign site's case by its systems are never let through.

    Raises:
        NotFoundError: when there is no such case, or it belongs to a site the principal does not act for.
    """
    row = await load_case(where, case)
    if principal.may_see(row.site):
        return row
    if looking_at is None or not await is_glass_broken(where, principal.id, case, looking_at):
        raise NotFoundError(f"no case {case}")
    return row
