"""Turns the checked parts of a bundle into the frozen values that travel inward."""

from __future__ import annotations

from arbiter.model import MemberId, ReasonCode, RiskClass
from arbiter.protocols.schema import (
    AdjudicationPart,
    FactPart,
    ModelPart,
    OptionPart,
    PolicyFile,
    ProtocolFile,
    QuestionPart,
    RulePart,
    RuleTestPart,
    SeatPart,
    TimersPart,
)
from arbiter.question import (
    Adjudication,
    Exclusion,
    Facet,
    FactSpec,
    Guarantee,
    ModelSpec,
    Option,
    Protocol,
    Question,
    Reference,
    Rule,
    RuleTest,
    Seat,
    Timers,
    UnitConversion,
)


def freeze(protocol: ProtocolFile, policy: PolicyFile, content_hash: str, policy_hash: str) -> Protocol:
    """Return the protocol of two files that passed every check."""
    return Protocol(
        id=protocol.id,
        version=protocol.version,
        title=protocol.title,
        question=freeze_question(protocol.question),
        facets=tuple(Facet(facet.id, facet.text, _options(facet.options)) for facet in protocol.facets),
        seats=tuple(_seat(seat) for seat in protocol.panel),
        adjudication=_adjudication(protocol.adjudication),
        rules=tuple(_rule(rule) for rule in policy.rules),
        duty_group=protocol.duty_group,
        content_hash=content_hash,
        policy_hash=policy_hash,
    )


def freeze_question(part: QuestionPart) -> Question:
    """Return the question of a `protocol.yaml` that passed every check."""
    return Question(
        text=part.text,
        options=_options(part.options),
        facts=tuple(_fact(fact) for fact in part.facts),
        timers=tuple((risk_class, _timers(part.timers[risk_class])) for risk_class in RiskClass),
        exclusions=tuple(Exclusion(item.id, item.when, item.rationale) for item in part.exclusions),
        duplicate_window=part.duplicate_window,
    )


def _options(parts: list[OptionPart]) -> tuple[Option, ...]:
    return tuple(Option(part.id, part.title) for part in parts)


def _fact(part: FactPart) -> FactSpec:
    return FactSpec(
        name=part.name,
        title=part.title,
        kind=part.kind,
        unit=part.unit,
        conversions=tuple(
            UnitConversion(item.unit, item.factor, item.offset) for item in part.conversions or ()
        ),
        low=part.low,
        high=part.high,
        decimals=part.decimals or 0,
        codes=tuple((item.code, item.title) for item in part.codes or ()),
        greatest_age=part.greatest_age,
        reference=None
        if part.reference is None
        else Reference(part.reference.low, part.reference.high, part.reference.source),
    )


def _timers(part: TimersPart) -> Timers:
    return Timers(panel=part.panel, facts=part.facts, review=part.review, release=part.release)


def _seat(part: SeatPart) -> Seat:
    return Seat(
        member=MemberId(part.member),
        title=part.title,
        asks=part.asks,
        backend=part.backend,
        # A model's own name stands in its part, so that it is written once.
        implementation=part.model.name if part.model is not None else part.implementation or "",
        family=part.family,
        weight=part.weight,
        required=part.required,
        veto=tuple(part.veto),
        model=None if part.model is None else _model(part.model),
        role=part.role,
    )


def _model(part: ModelPart) -> ModelSpec:
    return ModelSpec(
        server=part.server,
        name=part.name,
        revision=part.revision,
        weights_sha256=part.weights_sha256,
        adapter=part.adapter,
        dtype=part.dtype.value,
        prompt=part.prompt,
        samples=part.samples,
        temperature=part.temperature,
        top_p=part.top_p,
        max_tokens=part.max_tokens,
        quantisation=part.quantisation,
    )


def _adjudication(part: AdjudicationPart) -> Adjudication:
    return Adjudication(
        strategy=part.strategy,
        automatic=part.automatic,
        threshold=part.threshold,
        least_valid=part.least_valid,
        least_families=part.least_families,
        least_effective=part.least_effective,
        greatest_between=part.greatest_between,
        greatest_within=part.greatest_within,
        family_correlation=part.family_correlation,
        asks_for_facts=part.asks_for_facts,
        guarantee=None
        if part.guarantee is None
        else Guarantee(part.guarantee.delta, tuple(sorted(part.guarantee.error_rates.items()))),
        facts_on=tuple(sorted(set(map(ReasonCode, part.facts_on)))) or None,
    )


def _rule(part: RulePart) -> Rule:
    return Rule(
        id=part.id,
        when=part.when,
        effect=part.effect,
        options=tuple(part.options),
        rationale=part.rationale,
        owner=part.owner,
        tests=tuple(_test(test) for test in part.tests),
    )


def _test(part: RuleTestPart) -> RuleTest:
    return RuleTest(
        title=part.title,
        facts=tuple(sorted(part.facts.items())),
        facets=tuple(sorted(part.facets.items())),
        risk_class=part.risk_class,
        hits=part.hits,
    )
