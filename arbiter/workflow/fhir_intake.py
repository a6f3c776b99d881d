"""A case, or new facts for one, out of a FHIR Bundle: the protocol's mapping first, then the same door as for all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from arbiter.errors import InvalidCaseError, NotFoundError, Problem
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId, RiskClass
from arbiter.protocols.fhir.context import context_of
from arbiter.protocols.fhir.mapping import FhirMapping
from arbiter.protocols.fhir.taking import LEFT_OUT_LIMIT, TakenBundle, take_bundle
from arbiter.workflow import amending, intake
from arbiter.workflow.dossier import load_seen_case, open_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submission, Submitted
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.subjects import SubjectRef


@dataclass(frozen=True, slots=True)
class BundleSubmission:
    """A Bundle with what it does not say itself; `subject_systems` are preferred to the mapping's own."""

    protocol: str
    site: str
    risk_class: RiskClass
    document: object
    subject_systems: tuple[str, ...] = ()
    supersedes: CaseId | None = None
    training: bool = False


@dataclass(frozen=True, slots=True)
class SubmittedBundle:
    """The case, and what of the Bundle was left out and why (nothing is told again for a repeat that fits no more)."""

    submitted: Submitted
    left_out: tuple[Problem, ...]


async def submit_bundle(
    house: House, principal: Principal, wanted: BundleSubmission, idempotency_key: str, request: bytes
) -> SubmittedBundle:
    """Take in the case that a Bundle describes.

    `request` is fingerprinted to tell a repeat from a reuse of its key: the exact body and the parameters beside it.

    Raises:
        ForbiddenError, InvalidCaseError: nothing is kept. Problems point into the Bundle, or name a `query:` parameter.
        KeyReusedError, StillRunningError: as `arbiter.workflow.intake.submit`.
    """
    principal.require(Permission.CASES_SUBMIT)
    try:
        taken = await _take(house, principal, wanted)
    except InvalidCaseError:
        # Age and mapping change with time, so what was fit once may not be so any more.
        repeat = await intake.repeat_of(house, principal, idempotency_key, request)
        if repeat is None:
            raise
        return SubmittedBundle(repeat, ())
    context, beside = context_of(
        taken, house.shelf.in_force(wanted.protocol).protocol.question, house.clock.now()
    )
    submission = Submission(
        protocol=wanted.protocol,
        site=wanted.site,
        subject=SubjectRef(*taken.subject),
        encounter=taken.encounter,
        risk_class=wanted.risk_class,
        facts=taken.facts,
        supersedes=wanted.supersedes,
        training=wanted.training,
        context=context,
    )
    try:
        submitted = await intake.submit(house, principal, submission, idempotency_key, request)
    except InvalidCaseError as error:
        raise _located(taken, error) from error
    return SubmittedBundle(submitted, _told(taken, beside))


async def amend_by_bundle(
    house: House, principal: Principal, case: CaseId, document: object
) -> tuple[Problem, ...]:
    """Replace or add the facts that a Bundle about the case's own patient gives; return what was left out and why.

    Raises:
        NotFoundError, InvalidCaseError, ConflictError: nothing is changed.
    """
    principal.require(Permission.CASES_AMEND)
    async with house.store.read() as transaction:
        head = await load_seen_case(transaction, principal, case)
        dossier = await open_dossier(house, transaction, head)
    subject = dossier.request()["subject"]
    # A thread, because a Bundle may hold thousands of resources, and other cases must not wait for them.
    taken = await asyncio.to_thread(
        take_bundle,
        document,
        _mapping_of(dossier.shelved, "query:case"),
        house.clock.now(),
        about=(subject["system"], subject["value"]),
    )
    context, beside = context_of(
        taken, dossier.shelved.protocol.question, house.clock.now(), dossier.context()
    )
    try:
        await amending.amend(house, principal, case, taken.facts, context)
    except InvalidCaseError as error:
        raise _located(taken, error) from error
    return _told(taken, beside)


async def _take(house: House, principal: Principal, wanted: BundleSubmission) -> TakenBundle:
    problems = []
    if not principal.may_see(wanted.site):
        detail = f"client {principal.id} does not act for such a site"
        problems.append(Problem("query:site", "unknown-site", detail))
    try:
        mapping = _mapping_of(house.shelf.in_force(wanted.protocol), "query:protocol")
    except NotFoundError as error:
        problems.append(Problem("query:protocol", "unknown-protocol", str(error)))
    if problems:
        raise InvalidCaseError("the case does not fit any question asked here", tuple(problems))
    return await asyncio.to_thread(
        take_bundle, wanted.document, mapping, house.clock.now(), systems=wanted.subject_systems
    )


def _mapping_of(shelved: Shelved, place: str) -> FhirMapping:
    if shelved.bundle.fhir is None:
        detail = "expected a protocol that says what of a Bundle gives which fact (fhir.yaml)"
        raise InvalidCaseError("the protocol takes no Bundles", (Problem(place, "no-mapping", detail),))
    return shelved.bundle.fhir


def _told(taken: TakenBundle, beside: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return what was left out of facts and context together, as much as is told at once."""
    return (*taken.left_out, *beside)[:LEFT_OUT_LIMIT]


def _located(taken: TakenBundle, error: InvalidCaseError) -> InvalidCaseError:
    problems = [
        replace(problem, pointer="query:supersedes") if problem.pointer == "/supersedes" else problem
        for problem in error.problems
    ]
    return InvalidCaseError(str(error), taken.located(problems))
