"""Reads, as of a checkpoint, what is known of every case of a protocol: the labels, with what the panel saw and said then.

It takes a policy author at the installation itself, who acts for every site where the protocol has cases: what is gathered at some
sites is no sample of all. A case is opened only where its entries say that it may have a label, and each opening is an entry of it.
The same log up to the same checkpoint gives the same, but for what was erased since, which nobody can read any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from arbiter.adjudication.certifying import verdict_in
from arbiter.audit.checkpoint import Checkpoint
from arbiter.documents.canonical import decode
from arbiter.documents.opinions import opinion_from
from arbiter.documents.taken import TakenFacts
from arbiter.errors import ConflictError, ErasedError, ForbiddenError, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.entries import EntryType
from arbiter.model import CaseId, Opinion, RiskClass, Verdict
from arbiter.store.cases.heads import CaseRow, Wanted, list_cases, sites_of_protocol
from arbiter.store.erasures import erased_among
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import StoredCheckpoint, load_checkpoint_from, load_newest_checkpoint
from arbiter.store.transaction import Transaction
from arbiter.workflow.acting import read_dossier
from arbiter.workflow.dossier import Document, Dossier
from arbiter.workflow.house import House
from arbiter.workflow.labels.choosing import Label, label_of, was_disputed_alone
from arbiter.workflow.labels.story import Story, story_under
from arbiter.workflow.log.chronicle import note_in_house
from arbiter.workflow.shelf import Shelved

GATHERED: Final = "labels.gathered"
_PAGE = 200


class LeftOut(StrEnum):
    """Why a case of the protocol gives no labelled case here."""

    OTHER_VERSION = "other-version"
    TRAINING = "training"
    ERASED = "erased"
    ENTERED_IN_ERROR = "entered-in-error"
    SUPERSEDED = "superseded"
    """The case that took its place counts in its stead."""
    UNLABELLED = "unlabelled"
    DISPUTED = "disputed-and-not-drawn"
    """Its decision was judged because somebody disputed it, and no draw had chosen it."""
    UNCONCLUDED = "unconcluded"
    """The panel is still at the facts that stand."""


@dataclass(frozen=True, slots=True)
class Found:
    """A case with its label, and what the panel saw, said and came to on the facts that stand."""

    case: CaseId
    risk_class: RiskClass
    taken: TakenFacts
    opinions: tuple[Opinion, ...]
    verdict: Verdict
    label: Label


@dataclass(frozen=True, slots=True)
class Gathered:
    """Every labelled case of a protocol version under a checkpoint, by id, and how many others there are by what they lack."""

    shelved: Shelved
    checkpoint: Checkpoint
    found: tuple[Found, ...]
    left_out: Mapping[LeftOut, int]


def _quiet(_done: int) -> None:
    pass


async def gather(
    house: House,
    principal: Principal,
    protocol: str,
    until: int | None = None,
    tell: Callable[[int], None] = _quiet,
) -> Gathered:
    """Return what is known of the cases of the version in force, as of the newest checkpoint or of that of size `until`.

    `tell` hears how many cases were looked at.

    Raises:
        ForbiddenError: for who is no policy author, or acts for some of the sites alone; NotFoundError: for no protocol in force;
        ConflictError: while nothing is sealed; RefusedError: where no checkpoint has that size; VerificationError: for a log or
            case that is damaged.
    """
    principal.require(Permission.POLICY_AUTHOR)
    shelved = house.shelf.in_force(protocol)
    await house.sealer.round()
    async with house.store.read() as transaction:
        await _require_every_site(transaction, principal, protocol)
        stored = await _checkpoint(transaction, until)
    found: list[Found] = []
    left_out: Counter[LeftOut] = Counter()
    done = 0
    async for row in _cases(house, principal, protocol):
        came = await _look(house, principal, row, shelved, stored.size)
        if isinstance(came, LeftOut):
            left_out[came] += 1
        elif came is not None:
            found.append(came)
        done += 1
        tell(done)
    checkpoint = Checkpoint(house.signer.name, stored.size, stored.root)
    ordered = tuple(sorted(found, key=lambda each: each.case))
    return Gathered(shelved, checkpoint, ordered, left_out)


async def note_gathered(
    house: House, principal: Principal, cases: tuple[CaseId, ...], manifest: bytes
) -> int:
    """Enter that these cases were taken out, with the manifest that says so; return the entry's number in the house's chain.

    INVARIANT: an erasure and this exclude each other, as an erasure and an export do.

    Raises:
        ErasedError: where one of them was erased meanwhile: then none of it may be kept.
    """
    async with house.store.begin() as transaction:
        if gone := await erased_among(transaction, cases):
            raise ErasedError(
                f"{', '.join(gone)}: erased while labels were gathered, so nothing is kept; gather again"
            )
        seq = await note_in_house(house, transaction, GATHERED, principal.id, {"manifest": manifest})
    await house.sealer.round()
    return seq


async def _require_every_site(transaction: Transaction, principal: Principal, protocol: str) -> None:
    strange = await sites_of_protocol(transaction, protocol) - principal.sites
    if strange:
        raise ForbiddenError(
            f"{principal.kind} {principal.login or principal.id} does not act for {', '.join(sorted(strange))}, where {protocol} "
            "has cases too: what some sites' cases show is no sample of all"
        )


async def _checkpoint(transaction: Transaction, until: int | None) -> StoredCheckpoint:
    newest = await load_newest_checkpoint(transaction)
    if newest is None:
        raise ConflictError("nothing has been sealed yet, so there is no case to learn from")
    if until is None:
        return newest
    found = await load_checkpoint_from(transaction, until)
    if found is None or found.size != until:
        near = newest.size if found is None else found.size
        raise RefusedError(
            f"expected the size of a checkpoint of this log, {until} came; the nearest from there is {near}"
        )
    return found


async def _cases(house: House, principal: Principal, protocol: str) -> AsyncIterator[CaseRow]:
    """Yield every case of the protocol, whatever its version, a page at a time."""
    wanted = Wanted(sites=principal.sites, protocol=protocol)
    while True:
        async with house.store.read() as transaction:
            page = await list_cases(transaction, wanted, _PAGE)
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        wanted = Wanted(sites=principal.sites, protocol=protocol, before=(page[-1].created_at, page[-1].id))


async def _look(
    house: House, principal: Principal, row: CaseRow, shelved: Shelved, size: int
) -> Found | LeftOut | None:
    """Return what is known of a case, why nothing is, or None for one that came after the checkpoint."""
    async with house.store.read() as transaction:
        story = story_under(await load_entries(transaction, row.id), size)
    if story is None:
        return None
    reason = _without_opening(row, story, shelved)
    if reason is not None:
        return reason
    try:
        dossier = await read_dossier(house, principal, row.id)
    except ErasedError:
        return LeftOut.ERASED
    return _found(story, dossier)


def _without_opening(row: CaseRow, story: Story, shelved: Shelved) -> LeftOut | None:
    """Return why a case gives no label, as far as that shows without reading it."""
    reasons = (
        (row.protocol_hash != shelved.protocol.content_hash, LeftOut.OTHER_VERSION),
        (row.state.training, LeftOut.TRAINING),
        (row.state.erasure is not None, LeftOut.ERASED),
        (story.has(EntryType.RETRACTED), LeftOut.ENTERED_IN_ERROR),
        (story.has(EntryType.SUPERSEDED), LeftOut.SUPERSEDED),
        (not story.may_have_label, LeftOut.UNLABELLED),
        (story.conclusion is None, LeftOut.UNCONCLUDED),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _found(story: Story, dossier: Dossier) -> Found | LeftOut:
    concluded = story.conclusion
    assert concluded is not None
    documents = tuple(document for document in dossier.documents if document.seq < len(story.entries))
    verdict = verdict_in(decode(_named(documents, "certificate", concluded.seq).content))
    decided = verdict.option if story.is_decided_alone else None
    label = label_of(story, documents, decided)
    if label is None:
        disputed = story.came_of_dispute or (decided is not None and was_disputed_alone(story, documents))
        return LeftOut.DISPUTED if disputed else LeftOut.UNLABELLED
    facts = next(document for document in reversed(documents) if document.name == "facts")
    return Found(
        case=dossier.row.id,
        risk_class=dossier.row.state.risk_class,
        taken=TakenFacts.decode(facts.content),
        opinions=tuple(
            opinion_from(decode(document.content))
            for document in documents
            if document.name == "opinion" and document.seq > facts.seq
        ),
        verdict=verdict,
        label=label,
    )


def _named(documents: tuple[Document, ...], name: str, seq: int) -> Document:
    return next(document for document in documents if (document.seq, document.name) == (seq, name))
