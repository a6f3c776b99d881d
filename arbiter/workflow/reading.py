"""Looking at cases: status freely, content only with an entry that says who looked."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime

from arbiter.audit.entry import Entry
from arbiter.audit.proof import TlogProof
from arbiter.audit.receipt import Opening, Receipt
from arbiter.documents.canonical import decode
from arbiter.errors import ConflictError, NotSealedError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import ENDS, DecidedBy, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.heads import CaseRow, Wanted
from arbiter.store.cases.heads import list_cases as list_rows
from arbiter.store.log.chains import load_entries
from arbiter.store.log.checkpoints import StoredCheckpoint
from arbiter.store.log.nodes import load_inclusion_proof
from arbiter.store.outbox import note_recipient
from arbiter.store.transaction import Where
from arbiter.workflow.acting import read_dossier
from arbiter.workflow.bell import LOOK_AGAIN_SECONDS
from arbiter.workflow.dossier import Document, Dossier, check_not_erased, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.log.cosigned import shown_covering
from arbiter.workflow.views import (
    CaseContent,
    CasePage,
    CaseStep,
    CaseView,
    DecisionView,
    WantedFacts,
    view_of,
)

SETTLED = frozenset(Phase) - {Phase.RECEIVED, Phase.DELIBERATING, Phase.DECIDED}
"""Phases in which a waiting caller is answered: decided and visible, or somebody else's turn."""


async def view_case(house: House, principal: Principal, case: CaseId) -> CaseView:
    """Return a case's status; safe to poll."""
    principal.require(Permission.CASES_READ)
    row = await load_seen_case(house.store, principal, case, house.clock.now())
    return view_of(row, await house.shelf.fetch(house.store, row.protocol_hash))


async def list_cases(
    house: House,
    principal: Principal,
    *,
    phase: Phase | None = None,
    protocol: str | None = None,
    risk_class: RiskClass | None = None,
    site: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> CasePage:
    """Return a page of the cases this principal may know of, newest first.

    Raises:
        RefusedError: when the cursor is none that a page gave.
    """
    principal.require(Permission.CASES_READ)
    sites = principal.sites if site is None else principal.sites & {site}
    wanted = Wanted(
        sites=sites,
        phases=None if phase is None else (phase,),
        protocol=protocol,
        risk_class=risk_class,
        before=None if cursor is None else parse_cursor(cursor),
    )
    async with house.store.read() as transaction:
        rows = await list_rows(transaction, wanted, limit + 1)
        views = [
            view_of(row, await house.shelf.fetch(transaction, row.protocol_hash)) for row in rows[:limit]
        ]
    return CasePage(tuple(views), cursor_of(rows[limit - 1]) if len(rows) > limit else None)


async def read_content(house: House, principal: Principal, case: CaseId) -> CaseContent:
    """Return what a case holds about its patient."""
    principal.require(Permission.CASES_READ)
    dossier = await read_dossier(house, principal, case)
    request = dossier.request()
    return CaseContent(
        view=view_of(dossier.row, dossier.shelved),
        facts=dossier.taken_facts().facts,
        encounter=request["encounter"] or None,
        subject_system=request["subject"]["system"],
        subject_value=request["subject"]["value"],
    )


async def wanted_facts(house: House, principal: Principal, case: CaseId) -> WantedFacts:
    """Return which facts a case waits for, asked for by its panel or by a reviewer. Raises ConflictError when it waits for none."""
    principal.require(Permission.CASES_READ)
    row = await load_seen_case(house.store, principal, case, house.clock.now())
    check_not_erased(row)
    _check_waits(row)
    dossier = await read_dossier(house, principal, case)
    # They may have come since the first look.
    _check_waits(dossier.row)
    by_reviewer = dossier.row.state.facts_asked_by is not None
    if by_reviewer:
        asked = decode(dossier.latest("wanted").content)
        names, note = asked["facts"], str(asked["note"])
    else:
        names, note = decode(dossier.latest("certificate").content)["verdict"]["wanted"], ""
    question = dossier.shelved.protocol.question
    titled = tuple((name, spec.title) for name in names if (spec := question.spec(name)) is not None)
    return WantedFacts(case, titled, note, by_reviewer, dossier.row.state.due_at)


def _check_waits(row: CaseRow) -> None:
    if row.state.phase is not Phase.AWAITING_FACTS:
        raise ConflictError(f"case {row.id} is {row.state.phase}; it waits for no facts")


async def decision(house: House, principal: Principal, case: CaseId) -> DecisionView:
    """Return a released decision.

    Raises:
        ConflictError: while there is none, or when it was withdrawn, superseded or entered in error.
    """
    principal.require(Permission.CASES_READ)
    await _require_released(house, principal, case)
    await _note_recipient(house, principal, case)
    dossier = await read_dossier(house, principal, case)
    # It may have been taken back since the first look; whoever took it back may not have seen this reader yet.
    _check_released(dossier.row)
    return decision_of(dossier)


async def certificate(house: House, principal: Principal, case: CaseId) -> bytes:
    """Return the newest certificate (of a decision, an escalation or a wish for facts), once sealed, as canonical JSON.

    Raises:
        NotSealedError: while the case's newest is being sealed; ConflictError: when it has none.
    """
    principal.require(Permission.CASES_READ)
    return (await _sealed_certificate(house, principal, case))[0].content


async def receipt(house: House, principal: Principal, case: CaseId) -> bytes:
    """Return the receipt of the newest certificate's entry: the entry, its proof, and the certificate opened."""
    principal.require(Permission.CASES_READ)
    document, body, index = await _sealed_certificate(house, principal, case)
    covering = await shown_covering(house, house.store, index)
    assert covering is not None
    proof = await prove_entry(house.store, index, house.countersigner.countersigned(covering))
    return Receipt(body, proof, (Opening(document.name, document.salt, document.content),)).encode()


async def prove_entry(where: Where, index: int, newest: StoredCheckpoint) -> TlogProof:
    """Return the proof that a leaf stands under a checkpoint."""
    return TlogProof(index, await load_inclusion_proof(where, index, newest), newest.note.encode("utf-8"))


async def wait_until_settled(house: House, principal: Principal, case: CaseId, seconds: float) -> CaseView:
    """Return a case's status as soon as it is no longer in the house's own hands, or after that many seconds."""
    principal.require(Permission.CASES_READ)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    # In this process's hands it will ring, so looking before that would tell nothing.
    look = not house.errands.has(case)
    while True:
        waiter = house.bell.expect(case)
        try:
            remaining = ends_at - loop.time()
            if look or remaining <= 0:
                view = await view_case(house, principal, case)
                if view.phase in SETTLED or remaining <= 0:
                    return view
            await house.bell.wait(case, waiter, min(remaining, LOOK_AGAIN_SECONDS))
            look = True
        finally:
            house.bell.forget(case, waiter)


async def follow(
    house: House, principal: Principal, case: CaseId, after: int = -1
) -> AsyncIterator[CaseStep]:
    """Yield a case's sealed steps after entry `after` as they come; end when the case has ended and all are told."""
    principal.require(Permission.CASES_READ)
    while True:
        waiter = house.bell.expect(case)
        try:
            async with house.store.read() as transaction:
                row = await load_seen_case(transaction, principal, case, house.clock.now())
                entries = await load_entries(transaction, case, after)
            for seq, body, index in entries:
                if index is None:
                    break
                after = seq
                entry = Entry.from_bytes(body)
                yield CaseStep(seq, entry.type, entry.at)
            if row.state.phase in ENDS and after == row.seq:
                return
            await house.bell.wait(case, waiter, LOOK_AGAIN_SECONDS / 2)
        finally:
            house.bell.forget(case, waiter)


def decision_of(dossier: Dossier) -> DecisionView:
    """Return the decision a released case's dossier holds."""
    document = next(
        document
        for document in reversed(dossier.documents)
        if document.name == "certificate" and document.seq == dossier.row.decided_seq
    )
    content = decode(document.content)
    decided = content["decision"]
    return DecisionView(
        case=dossier.row.id,
        option=decided["option"],
        title=decided["title"],
        decided_by=DecidedBy(decided["by"]),
        decided_at=datetime.fromisoformat(content["concluded_at"]),
        certificate_sha256=hashlib.sha256(document.content).hexdigest(),
        plain=content["plain"],
        training=dossier.row.state.training,
        unwitnessed=dossier.row.state.unwitnessed,
    )


async def _require_released(house: House, principal: Principal, case: CaseId) -> None:
    row = await load_seen_case(house.store, principal, case, house.clock.now())
    _refuse_training(row)
    _check_released(row)


def _check_released(row: CaseRow) -> None:
    check_not_erased(row)
    if row.state.phase is not Phase.RELEASED:
        raise ConflictError(f"case {row.id} is {row.state.phase}; a decision can be read once it is released")


async def _note_recipient(house: House, principal: Principal, case: CaseId) -> None:
    """Remember that this client gets the case's decision, before it does: whatever changes it must reach the client."""
    if principal.kind == "client":
        await note_recipient(house.store, case, principal.id, house.clock.now())


def _refuse_training(row: CaseRow) -> None:
    if row.state.training:
        raise ConflictError(f"case {row.id} is for training: what comes of it never leaves this house")


async def _sealed_certificate(
    house: House, principal: Principal, case: CaseId
) -> tuple[Document, bytes, int]:
    """Return the newest sealed certificate with its entry's bytes and leaf index, after noting the read."""
    async with house.store.read() as transaction:
        row = await load_seen_case(transaction, principal, case, house.clock.now())
        entries = {seq: (body, index) for seq, body, index in await load_entries(transaction, case)}
    _refuse_training(row)
    if row.state.phase is Phase.DECIDED:
        raise NotSealedError(
            f"case {case} is {row.state.phase}; its certificate can be read once it is released"
        )
    await _note_recipient(house, principal, case)
    dossier = await read_dossier(house, principal, case)
    for document in reversed(dossier.documents):
        if document.name != "certificate" or document.seq not in entries:
            continue
        body, index = entries[document.seq]
        if index is None:
            raise NotSealedError(f"the certificate of case {case} is being sealed; ask again in a moment")
        return document, body, index
    raise ConflictError(f"case {case} is {row.state.phase}; it has no certificate yet")


def cursor_of(row: CaseRow) -> str:
    """Return the cursor of the page that follows this row."""
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()} {row.id}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> tuple[datetime, CaseId]:
    """Return the place that a page's cursor names; raise RefusedError for anything else."""
    problem = Problem("/cursor", "unknown-cursor", "expected a cursor that a page of this list gave")
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, case = text.split(" ")
        instant = datetime.fromisoformat(at)
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise RefusedError("the cursor is not one of this list's", (problem,)) from error
    if instant.tzinfo is None or not case.isprintable():
        raise RefusedError("the cursor is not one of this list's", (problem,))
    return instant, CaseId(case)
