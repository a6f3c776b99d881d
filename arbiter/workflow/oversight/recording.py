"""Keeps what came of a review in the very transaction that signs it, and what is told of it later in the one that records it.

So no review is lost or measured twice, and no page has to read the log. A case that is erased keeps its rows: they hold its opaque
id, instants, and whether answers were the same, nothing that tells of a patient.
"""

from __future__ import annotations

from datetime import datetime

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.errors import NotFoundError
from arbiter.identity.principals import Principal
from arbiter.store.log.chains import load_entries
from arbiter.store.review_figures import ReviewOutcome, add_review, add_review_outcome
from arbiter.workflow.acting import Saving, save_alone
from arbiter.workflow.docket import Docket, write_step
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.oversight.review_rows import review_figure, review_outcome
from arbiter.workflow.own_opinion import committed_by
from arbiter.workflow.planted import truth_of
from arbiter.workflow.saving import go_in_order, perform
from arbiter.workflow.told_outcomes import newest

PLANTED = "planted"


def measuring_review(principal: Principal, option: str) -> Saving:
    """Return how a signature for an option is saved with its figure."""

    async def saving(house: House, before: Dossier, docket: Docket, now: datetime) -> Docket:
        async with house.store.read() as transaction:
            placed = await load_entries(transaction, docket.case)
        own = committed_by(before, principal)
        own_option = None if own is None else own.option
        shown = decode(before.latest("certificate").content)
        figure = review_figure(
            before.row,
            [Entry.from_bytes(body) for _, body, _ in placed],
            shown,
            principal.id,
            own_option,
            option,
            now,
        )
        known = [
            review_outcome(source, right, shown, own_option, option, now)
            for source, right in _known(before).items()
        ]
        async with house.store.begin() as transaction:
            written = await write_step(transaction, docket, now)
            await add_review(transaction, figure)
            for told in known:
                await add_review_outcome(transaction, docket.case, told)
        # As every step that a round of the sealer follows: graver cases go first.
        await go_in_order(house, docket)
        perform(house, docket.case, docket.effects)
        return written

    return saving


def measuring_outcome(told: KnownOutcome) -> Saving:
    """Return how an outcome is saved, with what it says of the case's newest signed review where there is one."""

    async def saving(house: House, before: Dossier, docket: Docket, now: datetime) -> Docket:
        said = _said_of_review(before, told, now)
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


def _said_of_review(dossier: Dossier, told: KnownOutcome, now: datetime) -> ReviewOutcome | None:
    try:
        signed = dossier.latest("signature")
    except NotFoundError:
        return None
    signature = decode(signed.content)
    shown = [each for each in dossier.documents if each.name == "certificate" and each.seq < signed.seq]
    if not shown:
        return None
    own, final = signature["own_option"] or None, signature["option"]
    return review_outcome(told.kind.value, told.option, decode(shown[-1].content), own, final, now)
