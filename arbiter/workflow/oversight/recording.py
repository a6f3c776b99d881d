"""Keeps what came of a review in the very transaction that signs it, and what is told of it later in the one that records it.

So no review is lost or measured twice, and no page has to read the log. A case that is erased keeps its rows: they hold its opaque
id, instants, and whether answers were the same, nothing that tells of a patient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.identity.principals import Principal
from arbiter.lifecycle.entries import EntryType
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.store.review_figures import ReviewFigure, ReviewOutcome, add_review, add_review_outcome
from arbiter.store.transaction import Transaction
from arbiter.workflow.acting import Saving, save_alone
from arbiter.workflow.docket import Docket, write_step
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.oversight.review_rows import review_figure, review_outcome
from arbiter.workflow.own_opinion import committed_by
from arbiter.workflow.planted import truth_of
from arbiter.workflow.saving import perform
from arbiter.workflow.told_outcomes import newest

PLANTED = "planted"


@dataclass(frozen=True, slots=True)
class MeasuredReview:
    """What is kept of a review beside its signature: its figure, and what is known already of what was right."""

    figure: ReviewFigure
    known: tuple[ReviewOutcome, ...]


async def measure_review(
    house: House, before: Dossier, principal: Principal, option: str, now: datetime
) -> MeasuredReview:
    """Return what comes of a review that is about to be signed for an option."""
    async with house.store.read() as transaction:
        placed = await load_entries(transaction, before.row.id)
    own = committed_by(before, principal)
    own_option = None if own is None else own.option
    shown = decode(before.latest("certificate").content)
    entries = [Entry.from_bytes(body) for _, body, _ in placed]
    return MeasuredReview(
        review_figure(before.row, entries, shown, own_option, option, now),
        tuple(
            review_outcome(source, right, shown, own_option, option, now)
            for source, right in _known(before).items()
        ),
    )


async def keep_review(transaction: Transaction, case: CaseId, measured: MeasuredReview) -> None:
    """Write it down, in the transaction that writes the signature's step."""
    await add_review(transaction, measured.figure)
    for told in measured.known:
        await add_review_outcome(transaction, case, told)


def measuring_outcome(told: KnownOutcome) -> Saving:
    """Return how an outcome is saved, with what it says of the case's newest signed review where there is one."""

    async def saving(house: House, before: Dossier, docket: Docket, now: datetime) -> Docket:
        async with house.store.read() as transaction:
            placed = await load_entries(transaction, docket.case)
        said = _said_of_review(
            before, _reviewed([Entry.from_bytes(body) for _, body, _ in placed]), told, now
        )
        if said is None:
            return await save_alone(house, before, docket, now)
        async with house.store.begin() as transaction:
            written = await write_step(transaction, docket, now)
            await add_review_outcome(transaction, docket.case, said)
        perform(house, docket.case, docket.effects)
        return written

    return saving


def _known(dossier: Dossier) -> dict[str, str]:
    """Return which option is known to be right, by where that comes from."""
    if dossier.row.state.planted:
        return {PLANTED: truth_of(dossier)}
    told = ((kind, newest(dossier, kind)) for kind in OutcomeKind)
    return {kind.value: known.option for kind, known in told if known is not None}


def _reviewed(entries: Iterable[Entry]) -> int | None:
    """Return the entry by which the newest review was signed; a correction is none."""
    found, correcting = None, False
    for entry in entries:
        if entry.type in {EntryType.CORRECTED, EntryType.CLAIMED}:
            correcting = entry.type == EntryType.CORRECTED
        elif entry.type == EntryType.SIGNED and not correcting:
            found = entry.seq
    return found


def _said_of_review(
    dossier: Dossier, seq: int | None, told: KnownOutcome, now: datetime
) -> ReviewOutcome | None:
    signed = next((each for each in dossier.documents if each.name == "signature" and each.seq == seq), None)
    if signed is None:
        return None
    signature = decode(signed.content)
    shown = [each for each in dossier.documents if each.name == "certificate" and each.seq < signed.seq]
    if not shown:
        return None
    own, final = signature["own_option"] or None, signature["option"]
    return review_outcome(told.kind.value, told.option, decode(shown[-1].content), own, final, now)
