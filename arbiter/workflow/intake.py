"""The door's use case: a case comes in."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from arbiter.documents.canonical import encode
from arbiter.documents.context import CONTEXT, Context
from arbiter.documents.taken import TakenFacts
from arbiter.errors import (
    InvalidCaseError,
    KeyReusedError,
    NotFoundError,
    Problem,
    StillRunningError,
)
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Submit
from arbiter.lifecycle.states import Phase
from arbiter.model import ActorId, CaseId, RiskClass
from arbiter.protocols.context import NO_CONTEXT, RawContext, take_context
from arbiter.protocols.intake import RawFact, take_facts
from arbiter.store.cases.taking_in import Duplicate, NewCase, Repeat, TakenIn, find_repeat, insert_case
from arbiter.store.transaction import UNIQUENESS_ERRORS
from arbiter.store.vault import CaseKey
from arbiter.workflow import figures
from arbiter.workflow.admission import Ticket
from arbiter.workflow.beginning import ask_or_exclude, begin_work
from arbiter.workflow.calling import waits_of
from arbiter.workflow.docket import Docket, advance, fresh_docket
from arbiter.workflow.house import House
from arbiter.workflow.planted import PLANTER, TRUTH
from arbiter.workflow.saving import perform
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.subjects import SubjectRef, subject_id, subject_mac
from arbiter.workflow.superseding import supersede


@dataclass(frozen=True, slots=True)
class Planting:
    """That a case for practice is planted: the option that is right, and who planted it."""

    truth: str
    by: ActorId


@dataclass(frozen=True, slots=True)
class Submission:
    """A case as a hospital system hands it in; facts are checked against the protocol's question here.

    `context` is for the clinician's eyes alone: it makes no other case of the same facts, and no member is given it.
    """

    protocol: str
    site: str
    subject: SubjectRef
    encounter: str | None
    risk_class: RiskClass
    facts: Mapping[str, RawFact]
    supersedes: CaseId | None = None
    training: bool = False
    context: RawContext = NO_CONTEXT
    planting: Planting | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The case; whether this request had been made before; whether another had asked the same about the same facts."""

    case: CaseId
    repeated: bool
    duplicate: bool = False


@figures.counting_refusals
async def glance(house: House, *, routine: bool) -> None:
    """Let a graver case go first, and turn a routine one away before its body is parsed, where it would be afterwards.

    Parsing is most of what turning away costs. What is believed here without it earns a case its turn and no more: it
    still has to be let in.

    Raises:
        ShedError: nothing is kept.
    """
    if not routine:
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
    house.guard.require(house.settings.downtime_advice)
    now = house.clock.now()
    key_mac = house.vault.mac("idempotency-key", principal.id.encode(), idempotency_key.encode())
    body_mac = house.vault.mac("idempotency-body", body)
    try:
        shelved = _protocol_for(house, principal, submission)
        taken = TakenFacts.of(take_facts(shelved.protocol.question, submission.facts, now), now)
        context = take_context(shelved.protocol.question, submission.context, now)
    except InvalidCaseError:
        # What was fit once may not be so any more: facts age and protocols change, and a repeat is still a repeat.
        repeat = await find_repeat(house.store, principal.id, key_mac)
        if repeat is None:
            raise
        return _repeated(repeat, body_mac)
    risk_class = RiskClass.ROUTINE if submission.training else submission.risk_class
    ticket = await house.admission.enter(risk_class, shelved.protocol.timers(submission.risk_class).panel)
    # A routine case may have waited at the door; its times begin now. The hash is of the facts alone.
    taken = replace(taken, taken_at=house.clock.now())
    try:
        submitted, begun = await _take_in(
            house, principal, submission, shelved, taken, context, key_mac, body_mac, ticket
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
    context: Context,
    key_mac: bytes,
    body_mac: bytes,
    ticket: Ticket,
) -> tuple[Submitted, bool]:
    """Write the case; return what became of it, and whether work on it has begun, which then holds the ticket."""
    now = taken.taken_at
    case = CaseId("c_" + _token(house.chance.token(15)))
    key = house.vault.new_key(case)
    docket = _open(
        house, principal, fresh_docket_of(case, shelved, submission), submission, taken, context, key, shelved
    )
    new = _new_case(house, principal, submission, taken, docket, key, key_mac, body_mac, shelved)
    try:
        taken_in, superseded = await _write(house, principal, submission, new, now)
    except UNIQUENESS_ERRORS:
        # The first request committed between our look and our insert: now it is there to be found.
        taken_in, superseded = await insert_case(house.store, new), None
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
            begun = begin_work(house, replace(docket, job=job), key, shelved, taken, ticket)
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
    context: Context,
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
    planting = submission.planting
    if planting is not None:
        request |= {TRUTH: planting.truth, PLANTER: planting.by}
    timers = shelved.protocol.timers(submission.risk_class)
    docket = advance(
        house,
        docket,
        Submit(
            submission.risk_class,
            timers,
            waits_of(house, shelved.protocol, submission.risk_class),
            submission.training,
            planting is not None,
        ),
        actor=principal.id if planting is None else planting.by,
        now=taken.taken_at,
        key=key,
        documents={"request": encode(request), "facts": taken.encode(), **sealed_context(context)},
    )
    return ask_or_exclude(house, docket, taken, key, shelved, taken.taken_at)


def sealed_context(context: Context) -> dict[str, bytes]:
    """Return the document `context` by its name, or nothing where there is no context."""
    return {} if context.empty else {CONTEXT: context.encode()}


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
        step=docket.write(now),
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
        _practice(submission),
        shelved.protocol.content_hash.encode(),
        taken.hash.encode(),
    )


def _practice(submission: Submission) -> bytes:
    if submission.planting is not None:
        return b"planted"
    return b"training" if submission.training else b""


async def _write(
    house: House, principal: Principal, submission: Submission, new: NewCase, now: datetime
) -> tuple[TakenIn | Duplicate | Repeat | None, Docket | None]:
    """Write the new case; with it, in one transaction, the end of the case that it replaces if it names one."""
    if submission.supersedes is None:
        return await insert_case(house.store, new), None
    async with house.store.begin() as transaction:
        taken_in = await insert_case(transaction, new)
        if not isinstance(taken_in, TakenIn):
            return taken_in, None
        return taken_in, await supersede(house, transaction, principal, submission.supersedes, new, now)


def _repeated(first: Repeat, body_mac: bytes) -> Submitted:
    if not hmac.compare_digest(first.body_mac, body_mac):
        raise KeyReusedError(
            "this idempotency key came before with another body; use a new key for a new request"
        )
    return Submitted(first.case, repeated=True)


def _token(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
