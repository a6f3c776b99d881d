"""Protocols over REST: what a hospital system must know to ask a question, and what stands behind the answer."""

from __future__ import annotations

import functools
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from arbiter.api.documentation import replies
from arbiter.api.headers import content_digests
from arbiter.api.replies import bytes_reply, json_reply
from arbiter.api.schemas.protocols import (
    AdjudicationOut,
    ExclusionOut,
    FacetOut,
    FactSpecOut,
    GuaranteeOut,
    ModelOut,
    OptionOut,
    ProtocolOut,
    ProtocolsOut,
    ProtocolSummaryOut,
    ReferenceOut,
    RuleOut,
    SeatOut,
    TimersOut,
    UnitOut,
    decimal_text,
)
from arbiter.api.security import house_of, requires
from arbiter.errors import NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.question import FactKind, FactSpec, Guarantee, ModelSpec, Option, Protocol, Reference
from arbiter.workflow import publishing

router = APIRouter(prefix="/v1/protocols", tags=["protocols"])

Reader = Annotated[Principal, requires(Permission.PROTOCOLS_READ)]


@router.get("", responses=replies({200: {"model": ProtocolsOut}}))
async def list_protocols(request: Request, _: Reader) -> Response:
    """List the protocols in force."""
    found = publishing.protocols(house_of(request))
    return json_reply(ProtocolsOut(protocols=tuple(_summary(protocol) for protocol in found)))


@router.get(
    "/{protocol}",
    responses=replies({200: {"model": ProtocolOut}, 304: {"description": "Not changed"}}, 404),
)
async def view_protocol(
    request: Request, _: Reader, protocol: Annotated[str, Path(max_length=64)]
) -> Response:
    """Show a protocol in force: question, facts with units and bounds, options, seats and rules."""
    found = next((known for known in publishing.protocols(house_of(request)) if known.id == protocol), None)
    if found is None:
        raise NotFoundError("no protocol of that id is in force")
    content = _document(found)
    return bytes_reply(content, "application/json", {"ETag": content_digests(content)["ETag"]}, request)


@functools.lru_cache(maxsize=64)
def _document(protocol: Protocol) -> bytes:
    # A protocol is frozen and its hash covers all of it, so its document is made once.
    return protocol_out(protocol).model_dump_json().encode()


def _summary(protocol: Protocol) -> ProtocolSummaryOut:
    return ProtocolSummaryOut(
        id=protocol.id,
        version=protocol.version,
        title=protocol.title,
        question=protocol.question.text,
        content_hash=protocol.content_hash,
    )


def _options(options: tuple[Option, ...]) -> tuple[OptionOut, ...]:
    return tuple(OptionOut(id=option.id, title=option.title) for option in options)


def _spec(spec: FactSpec) -> FactSpecOut:
    age = spec.greatest_age
    return FactSpecOut(
        name=spec.name,
        title=spec.title,
        kind=spec.kind.value,
        unit=spec.unit,
        also_accepts=tuple(
            UnitOut(unit=known.unit, factor=format(known.factor, "f"), offset=format(known.offset, "f"))
            for known in spec.conversions
        ),
        low=decimal_text(spec.low),
        high=decimal_text(spec.high),
        decimals=spec.decimals if spec.kind is FactKind.NUMBER else None,
        codes=tuple(OptionOut(id=code, title=title) for code, title in spec.codes),
        greatest_age_seconds=None if age is None else int(age.total_seconds()),
        reference=None if spec.reference is None else _reference(spec.reference),
    )


def _reference(reference: Reference) -> ReferenceOut:
    return ReferenceOut(
        low=decimal_text(reference.low), high=decimal_text(reference.high), source=reference.source
    )


def _guarantee(guarantee: Guarantee) -> GuaranteeOut:
    return GuaranteeOut(
        delta=format(guarantee.delta, "f"),
        error_rates={option: format(rate, "f") for option, rate in guarantee.error_rates},
    )


def _model(spec: ModelSpec) -> ModelOut:
    return ModelOut(
        name=spec.name,
        revision=spec.revision,
        weights_sha256=spec.weights_sha256,
        adapter=spec.adapter,
        dtype=spec.dtype,
        quantisation=spec.quantisation,
        prompt=spec.prompt,
        samples=spec.samples,
        temperature=format(spec.temperature, "f"),
        top_p=format(spec.top_p, "f"),
        max_tokens=spec.max_tokens,
    )


def protocol_out(protocol: Protocol) -> ProtocolOut:
    """Return the reply form of a protocol."""
    question, adjudication = protocol.question, protocol.adjudication
    return ProtocolOut(
        **_summary(protocol).model_dump(),
        options=_options(question.options),
        facts=tuple(_spec(spec) for spec in question.facts),
        timers=tuple(
            TimersOut(
                risk_class=risk_class.value,
                panel_seconds=timers.panel.total_seconds(),
                facts_seconds=timers.facts.total_seconds(),
                review_seconds=timers.review.total_seconds(),
                release_seconds=timers.release.total_seconds(),
            )
            for risk_class, timers in question.timers
        ),
        duplicate_window_seconds=int(question.duplicate_window.total_seconds()),
        exclusions=tuple(
            ExclusionOut(id=item.id, when=item.when, rationale=item.rationale) for item in question.exclusions
        ),
        facets=tuple(
            FacetOut(id=facet.id, text=facet.text, options=_options(facet.options))
            for facet in protocol.facets
        ),
        seats=tuple(
            SeatOut(
                member=seat.member,
                title=seat.title,
                role=seat.role,
                asks=seat.asks,
                backend=seat.backend,
                model=None if seat.model is None else _model(seat.model),
                family=seat.family,
                weight=format(seat.weight, "f"),
                required=seat.required,
                veto=seat.veto,
            )
            for seat in protocol.seats
        ),
        adjudication=AdjudicationOut(
            strategy=adjudication.strategy.value,
            automatic=adjudication.automatic,
            threshold=None if adjudication.threshold is None else format(adjudication.threshold, "f"),
            least_valid=adjudication.least_valid,
            least_families=adjudication.least_families,
            least_effective=format(adjudication.least_effective, "f"),
            greatest_between=format(adjudication.greatest_between, "f"),
            greatest_within=format(adjudication.greatest_within, "f"),
            asks_for_facts=adjudication.asks_for_facts,
            guarantee=None if adjudication.guarantee is None else _guarantee(adjudication.guarantee),
        ),
        rules=tuple(
            RuleOut(
                id=rule.id,
                when=rule.when,
                effect=rule.effect.value,
                options=rule.options,
                rationale=rule.rationale,
                owner=rule.owner,
            )
            for rule in protocol.rules
        ),
        duty_group=protocol.duty_group,
        policy_hash=protocol.policy_hash,
    )
