"""The door's use cases: a case comes in, or new facts for one that is open."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from arbiter.documents.canonical import encode
from arbiter.errors import (
    ConflictError,
    InvalidCaseError,
    KeyReusedError,
    NotFoundError,
    Problem,
    StaleStateError,
    StillRunningError,
)
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.effects import AskPanel
from arbiter.lifecycle.events import Amend, Ask, Exclude, Submit, Supersede
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactSet, Reason, RiskClass
from arbiter.protocols.intake import RawFact, take_facts
from arbiter.store.cases.heads import CaseRow
from arbiter.store.cases.taking_in import Duplicate, NewCase, Repeat, TakenIn, find_repeat, insert_case
from arbiter.store.subjects import root_of
from arbiter.store.transaction import UNIQUENESS_ERRORS, Transaction
from arbiter.store.vault import CaseKey
from arbiter.workflow import figures
from arbiter.workflow.acting import TRIES
from arbiter.workflow.admission import Ticket
from arbiter.workflow.calling import waits_of
from arbiter.workflow.certifying import circumstances, escalation_certificate, exclusion_reasons
from arbiter.workflow.deliberation import InHand, deliberate
from arbiter.workflow.docket import ARBITER, Docket, advance, fresh_docket, write_step
from arbiter.workflow.dossier import TakenFacts, load_dossier, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.saving import perform, with_safety_net, without_safety_net
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.subjects import SubjectRef, subject_id, subject_mac
from arbiter.workflow.views import CaseView, view_of

KEY_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Submission:
    """A case as a hospital system hands it in; facts are checked against the protocol's question here."""

    protocol: str
    site: str
    subject: SubjectRef
    encounter: str | None
    risk_class: RiskClass
    facts: Mapping[str, RawFact]
    supersedes: CaseId | None = None
    training: bool = False


@dataclass(frozen=True, slots=True)
class Submitted:
    """The case; whether this request had been made before; whether another had asked the same about the same facts."""

    case: CaseId
    repeated: bool
    duplicate: bool = False


_ROUTINE = re.compile(rb'"risk_class"\s*:\s*"routine"')


async def glance(house: House, body: bytes) -> None:
    """Let a graver case go first, and turn a routine one away before its body is read, where it would be afterwards.

    Reading is most of what turning away costs. What is believed here without reading earns no more than a moment's
    precedence.

    Raises:
        ShedError: nothing is kept.
    """
    if _ROUTINE.search(body) is None:
        house.admission.way.take()
        return
    await house.admission.way.give()
    if house.admission.door_is_full:
        raise house.admission.turned_away()


@figures.counting_refusals
async def submit(
    house: House, principal: Principal, submission: Submission, idempotency_key: str, body: bytes
) -> Submitted:
    """Take a case in and begin to work on it.

    `body` is the request's exact bytes, fingerprinted to tell a repeat from a reuse of its key.

    Raises:
        ForbiddenError, InvalidCaseError: nothing is kept.
        ShedError, OverloadedError: there is no room now, nothing is kept.
        KeyReusedError: the key came before with another body; StillRunningError: the first request is not done.
    """
    principal.require(Permission.CASES_SUBMIT)
    now = house.clock.now()
    key_mac = house.vault.mac("idempotency-key", principal.id.encode(), idempotency_key.encode())
    body_mac = house.vault.mac("idempotency-body", body)
    try:
        shelved = _protocol_for(house, principal, submission)
        taken = TakenFacts.of(take_facts(shelved.protocol.question, submission.facts, now), now)
    except InvalidCaseError:
        # What was fit once may not be so any more: facts age and protocols change, and a repeat is still a repeat.
        repeat = await find_repeat(house.store, principal.id, key_mac)
        if repeat is None:
            raise
        return _repeated(repeat, body_mac)
    risk_class = RiskClass.ROUTINE if submission.training else submission.risk_class
    ticket = await house.admission.enter(risk_class, shelved.protocol.timers(submission.risk_class).panel)
    try:
        submitted, begun = await _take_in(
            house, principal, submission, shelved, taken, key_mac, body_mac, ticket
        )
    except BaseException:
        ticket.give_back()
        raise
    if not begun:
        ticket.give_back()
    return submitted


async def _take_in(
    house: House,
    principal: Principal,
    submission: Submission,
    shelved: Shelved,
    taken: TakenFacts,
    key_mac: bytes,
    body_mac: bytes,
    ticket: Ticket,
) -> tuple[Submitted, bool]:
    """Write the case; return what became of it, and whether work on it has begun, which then holds the ticket."""
    now = taken.taken_at
    case = CaseId("c_" + _token(house.chance.token(15)))
    key = house.vault.new_key(case)
    docket = _open(
        house, principal, fresh_docket_of(case, shelved, submission), submission, taken, key, shelved
    )
    new = _new_case(house, principal, submission, taken, docket, key, key_mac, body_mac, shelved)
    try:
        taken_in, superseded = await _write(house, principal, submission, new, now)
    except UNIQUENESS_ERRORS:
        # The first request committed between our look and our insert: now it is there to be found.
        taken_in, superseded = await insert_case(house.store, new, now), None
    match taken_in:
        case None:
            raise StillRunningError("the first request with this idempotency key has not finished")
        case Repeat():
            return _repeated(taken_in, body_mac), False
        case Duplicate(case=first):
            return Submitted(first, repeated=False, duplicate=True), False
        case TakenIn(job=job):
            if superseded is not None:
                perform(house, superseded.case, superseded.effects)
            figures.taken_in(shelved, submission.risk_class)
            begun = _begin_work(house, replace(docket, job=job), key, shelved, taken, ticket)
            return Submitted(case, repeated=False), begun
        case _:
            assert_never(taken_in)


async def repeat_of(
    house: House, principal: Principal, idempotency_key: str, body: bytes
) -> Submitted | None:
    """Return the case that a request with this key made before, or None.

    For doors that turn a request into a submission and may no longer be able to: a repeat is still a repeat.

    Raises:
        KeyReusedError: the key came before with another body.
    """
    key_mac = house.vault.mac("idempotency-key", principal.id.encode(), idempotency_key.encode())
    repeat = await find_repeat(house.store, principal.id, key_mac)
    return None if repeat is None else _repeated(repeat, house.vault.mac("idempotency-body", body))


async def amend(house: House, principal: Principal, case: CaseId, facts: Mapping[str, RawFact]) -> CaseView:
    """Replace or add facts of an open case; everyone is asked again.

    Raises:
        NotFoundError, InvalidCaseError, ConflictError: nothing is changed.
    """
    principal.require(Permission.CASES_AMEND)
    if not facts:
        raise InvalidCaseError(
            "an amendment names at least one fact",
            (Problem("/facts", "empty", "expected facts, none came"),),
        )
    for _ in range(TRIES - 1):
        # An opinion that comes in between moves the case too, and is no reason to turn the amendment away.
        with suppress(StaleStateError):
            return await _amend(house, principal, case, facts)
    return await _amend(house, principal, case, facts)


async def _amend(house: House, principal: Principal, case: CaseId, facts: Mapping[str, RawFact]) -> CaseView:
    now = house.clock.now()
    # Read as of one instant: another amendment between head and documents would make them contradict each other.
    async with house.store.read() as transaction:
        await load_seen_case(transaction, principal, case)
        dossier = await load_dossier(house, transaction, case)
    fresh = take_facts(dossier.shelved.protocol.question, facts, now)
    taken = TakenFacts.of(_merged(dossier.taken_facts().facts, fresh), now)
    docket = advance(
        house,
        dossier.docket,
        Amend(),
        actor=principal.id,
        now=now,
        key=dossier.key,
        documents={"facts": taken.encode()},
    )
    docket = _ask_or_exclude(house, docket, taken, dossier.key, dossier.shelved, now)
    async with house.store.begin() as transaction:
        docket = await with_safety_net(house, transaction, docket, now)
        await write_step(transaction, docket, now)
    _begin_work(house, docket, dossier.key, dossier.shelved, taken)
    row = replace(dossier.row, state=docket.standing, seq=docket.seq, changed_at=now)
    return view_of(row, dossier.shelved)


def fresh_docket_of(case: CaseId, shelved: Shelved, submission: Submission) -> Docket:
    """Return the docket of a new case under a protocol."""
    protocol = shelved.protocol
    return fresh_docket(case, protocol.content_hash, protocol.policy_hash, training=submission.training)


def _protocol_for(house: House, principal: Principal, submission: Submission) -> Shelved:
    problems = []
    if not principal.may_see(submission.site):
        problems.append(
            Problem("/site", "unknown-site", f"client {principal.id} does not act for such a site")
        )
    shelved = None
    try:
        shelved = house.shelf.in_force(submission.protocol)
    except NotFoundError as error:
        problems.append(Problem("/protocol", "unknown-protocol", str(error)))
    if problems or shelved is None:
        raise InvalidCaseError("the case does not fit any question asked here", tuple(problems))
    return shelved


def _open(
    house: House,
    principal: Principal,
    docket: Docket,
    submission: Submission,
    taken: TakenFacts,
    key: CaseKey,
    shelved: Shelved,
) -> Docket:
    request = {
        "subject": {"system": submission.subject.system, "value": submission.subject.value},
        "encounter": submission.encounter or "",
        "site": submission.site,
        "protocol": submission.protocol,
        "risk_class": submission.risk_class.value,
        "supersedes": submission.supersedes or "",
    }
    timers = shelved.protocol.timers(submission.risk_class)
    docket = advance(
        house,
        docket,
        Submit(
            submission.risk_class,
            timers,
            waits_of(house, shelved.protocol, submission.risk_class),
            submission.training,
        ),
        actor=principal.id,
        now=taken.taken_at,
        key=key,
        documents={"request": encode(request), "facts": taken.encode()},
    )
    return _ask_or_exclude(house, docket, taken, key, shelved, taken.taken_at)


def _ask_or_exclude(
    house: House, docket: Docket, taken: TakenFacts, key: CaseKey, shelved: Shelved, now: datetime
) -> Docket:
    reasons: tuple[Reason, ...] = exclusion_reasons(shelved, taken)
    if not reasons:
        seats = tuple(seat.member for seat in shelved.protocol.seats)
        return advance(house, docket, Ask(seats), actor=ARBITER, now=now)
    certificate = escalation_certificate(circumstances(house, docket, now), shelved, taken, (), reasons)
    return advance(
        house, docket, Exclude(), actor=ARBITER, now=now, key=key, documents={"certificate": certificate}
    )


def _begin_work(
    house: House,
    docket: Docket,
    key: CaseKey,
    shelved: Shelved,
    taken: TakenFacts,
    ticket: Ticket | None = None,
) -> bool:
    """Perform the step's effects; return whether the panel is being asked, at whose end the ticket is given back."""
    perform(house, docket.case, docket.effects)
    if not any(isinstance(effect, AskPanel) for effect in docket.effects):
        figures.escalated(shelved, docket.standing, exclusion_reasons(shelved, taken))
        return False
    hand = InHand(docket.written(), key, shelved, taken, ())
    house.errands.start(docket.case, _counted(house, hand, ticket))
    return True


async def _counted(house: House, hand: InHand, ticket: Ticket | None) -> None:
    try:
        await deliberate(house, hand)
    finally:
        if ticket is not None:
            ticket.give_back(concluded=True)


def _merged(before: FactSet, fresh: FactSet) -> FactSet:
    by_name = {fact.name: fact for fact in (*before, *fresh)}
    return FactSet(before.version + 1, tuple(by_name[name] for name in sorted(by_name)))


def _new_case(
    house: House,
    principal: Principal,
    submission: Submission,
    taken: TakenFacts,
    docket: Docket,
    key: CaseKey,
    key_mac: bytes,
    body_mac: bytes,
    shelved: Shelved,
) -> NewCase:
    encounter = submission.encounter
    now = taken.taken_at
    asked = docket.standing.phase is Phase.DELIBERATING
    job = house.safety_net.job(submission.risk_class, now) if asked else None
    return NewCase(
        step=docket.write(),
        site=submission.site,
        client=principal.id,
        subject=subject_id(house, submission.subject),
        subject_mac=subject_mac(house, submission.subject),
        encounter_mac=None if encounter is None else house.vault.mac("encounter", encounter.encode()),
        protocol_id=shelved.protocol.id,
        protocol_hash=shelved.protocol.content_hash,
        kek_id=key.kek_id,
        wrapped_key=key.wrapped,
        idempotency_mac=key_mac,
        body_mac=body_mac,
        job=job,
        likeness_mac=_likeness(house, submission, taken, shelved),
        like_since=now - shelved.protocol.question.duplicate_window,
    )


def _likeness(house: House, submission: Submission, taken: TakenFacts, shelved: Shelved) -> bytes | None:
    """Return the fingerprint of what is asked about whom; None for a case that replaces another on purpose."""
    if submission.supersedes is not None:
        return None
    return house.vault.mac(
        "likeness",
        subject_id(house, submission.subject).encode(),
        (submission.encounter or "").encode(),
        submission.site.encode(),
        submission.risk_class.value.encode(),
        b"training" if submission.training else b"",
        shelved.protocol.content_hash.encode(),
        taken.hash.encode(),
    )


async def _write(
    house: House, principal: Principal, submission: Submission, new: NewCase, now: datetime
) -> tuple[TakenIn | Duplicate | Repeat | None, Docket | None]:
    """Write the new case; with it, in one transaction, the end of the case that it replaces if it names one."""
    if submission.supersedes is None:
        return await insert_case(house.store, new, now), None
    async with house.store.begin() as transaction:
        taken_in = await insert_case(transaction, new, now)
        if not isinstance(taken_in, TakenIn):
            return taken_in, None
        return taken_in, await _supersede(house, transaction, principal, submission.supersedes, new, now)


async def _supersede(
    house: House, transaction: Transaction, principal: Principal, old: CaseId, new: NewCase, now: datetime
) -> Docket:
    try:
        row = await load_seen_case(transaction, principal, old)
        await _check_replaces(transaction, row, new)
        dossier = await load_dossier(house, transaction, old)
        docket = advance(house, dossier.docket, Supersede(new.step.case), actor=principal.id, now=now)
    except (NotFoundError, ConflictError) as error:
        # What was named may be no case's id at all, so it is not repeated.
        unknown = isinstance(error, NotFoundError)
        says = "expected a case that this client may know of" if unknown else str(error)
        problem = Problem("/supersedes", "not-supersedable", says)
        raise InvalidCaseError("the case named cannot be superseded", (problem,)) from error
    await write_step(transaction, without_safety_net(docket), now)
    return docket


async def _check_replaces(transaction: Transaction, old: CaseRow, new: NewCase) -> None:
    """Refuse that a case is taken off the list by one about somebody else, about something else, or for practice.

    Raises:
        ConflictError: naming what does not fit.
    """
    if old.state.training != new.step.state.training:
        raise ConflictError("a case for training and a real one never replace each other")
    if (old.site, old.protocol_id) != (new.site, new.protocol_id):
        raise ConflictError("expected a case of the same site and protocol")
    if await root_of(transaction, old.subject) != await root_of(transaction, new.subject):
        raise ConflictError("expected a case about the same patient")


def _repeated(first: Repeat, body_mac: bytes) -> Submitted:
    if not hmac.compare_digest(first.body_mac, body_mac):
        raise KeyReusedError(
            "this idempotency key came before with another body; use a new key for a new request"
        )
    return Submitted(first.case, repeated=True)


def _token(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
