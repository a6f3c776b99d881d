"""A request's body, read once: its media type, its size, its JSON, its form, in that order."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel

from arbiter.api.schemas.incoming import CaseIn, ContextIn, FactIn, OutcomeIn, read
from arbiter.api.strict_json import check_media_type, parse, read_body
from arbiter.documents.context import RecordText
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.model import CaseId, RiskClass
from arbiter.protocols.context import NO_CONTEXT, RawContext
from arbiter.protocols.intake import RawFact
from arbiter.workflow.intake import Submission
from arbiter.workflow.subjects import SubjectRef

_GRAVE = re.compile(rb'"risk_class"\s*:\s*"(?:urgent|emergency)"')
_PRACTICE = re.compile(rb'"training"\s*:\s*true')

_Model = TypeVar("_Model", bound=BaseModel)


async def read_request(
    request: Request, model: type[_Model], glance: Callable[[bytes], Awaitable[None]] | None = None
) -> tuple[_Model, bytes]:
    """Return the body as `model`, and its exact bytes; `glance` may refuse those bytes before the work of reading them.

    Raises:
        RefusedError: in one of the forms that `arbiter.api.problems` answers with a 4xx.
    """
    headers = request.headers
    check_media_type(headers.getlist("content-type"), headers.getlist("content-encoding"))
    body = await read_body(request.receive, headers.get("content-length"), unsent="expect" in headers)
    if glance is not None:
        await glance(body)
    return read(model, parse(body)), body


def looks_routine(body: bytes) -> bool:
    """Return whether a case's bytes do not say, at a glance, that it is graver than routine; practice never is."""
    return _GRAVE.search(body) is None or _PRACTICE.search(body) is not None


def raw_facts(facts: dict[str, FactIn]) -> dict[str, RawFact]:
    """Return the facts as they came, for the question to judge."""
    return {name: _raw_fact(fact) for name, fact in facts.items()}


def raw_context(context: ContextIn | None) -> RawContext:
    """Return what came beside the facts, for the question to judge."""
    if context is None:
        return NO_CONTEXT
    return RawContext(
        history=tuple((each.name, _raw_fact(each)) for each in context.history),
        documents=tuple(
            RecordText(each.title, each.kind, each.written_at, each.author, each.text)
            for each in context.documents
        ),
    )


def _raw_fact(fact: FactIn) -> RawFact:
    return RawFact(
        value=fact.value,
        unit=fact.unit,
        observed_at=fact.observed_at,
        status=fact.status,
        source=fact.source,
    )


def submission(case: CaseIn) -> Submission:
    """Return what the use case takes in."""
    return Submission(
        protocol=case.protocol,
        site=case.site,
        subject=SubjectRef(case.subject.system, case.subject.value),
        encounter=case.encounter,
        risk_class=RiskClass(case.risk_class),
        facts=raw_facts(case.facts),
        training=case.training,
        context=raw_context(case.context),
        supersedes=None if case.supersedes is None else CaseId(case.supersedes),
    )


def known_outcome(told: OutcomeIn) -> KnownOutcome:
    """Return what the use case keeps."""
    return KnownOutcome(told.option, OutcomeKind(told.kind), told.observed_at, told.source, told.note or "")
