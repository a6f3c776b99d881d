"""A small protocol around whatever conditions a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from arbiter.model import Fact, FactSet, FactStatus, FactValue, MemberId, RiskClass, RuleEffect
from arbiter.policy import CompiledPolicy, compile_policy
from arbiter.question import (
    QUESTION,
    Adjudication,
    Exclusion,
    Facet,
    FactKind,
    FactSpec,
    Option,
    Protocol,
    Question,
    Rule,
    RuleTest,
    Seat,
    Strategy,
    Timers,
)

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
OPTIONS = ("urgent", "watch", "discharge")


def spec(name: str, kind: FactKind, codes: Sequence[str] = ()) -> FactSpec:
    return FactSpec(
        name=name,
        title=name.capitalize(),
        kind=kind,
        unit="1" if kind is FactKind.NUMBER else None,
        conversions=(),
        low=Decimal(0) if kind is FactKind.NUMBER else None,
        high=Decimal(500) if kind is FactKind.NUMBER else None,
        decimals=1,
        codes=tuple((code, code.capitalize()) for code in codes),
        greatest_age=None,
    )


def rule(
    when: str,
    effect: RuleEffect = RuleEffect.DENY,
    options: tuple[str, ...] = (),
    identity: str = "the-rule",
    tests: tuple[RuleTest, ...] = (),
) -> Rule:
    return Rule(identity, when, effect, options, f"Because of {identity}.", "Ward lead", tests)


def protocol(rules: Sequence[Rule] = (), exclusions: Sequence[str] = ()) -> Protocol:
    wait = timedelta(minutes=1)
    question = Question(
        text="Does this person need urgent review?",
        options=tuple(Option(option, option.capitalize()) for option in OPTIONS),
        facts=(
            spec("pulse", FactKind.NUMBER),
            spec("temp", FactKind.NUMBER),
            spec("avpu", FactKind.CODE, ("alert", "voice", "pain")),
            spec("oxygen", FactKind.FLAG),
        ),
        timers=tuple((risk, Timers(wait, wait, wait, wait)) for risk in RiskClass),
        exclusions=tuple(
            Exclusion(f"exclusion-{place}", when, "It does not apply.")
            for place, when in enumerate(exclusions)
        ),
    )
    seats = tuple(
        Seat(MemberId(member), member.upper(), QUESTION, "score", member, "one", Decimal(1), False, ())
        for member in ("a", "b", "c")
    )
    return Protocol(
        id="small",
        version="1.0.0",
        title="Small",
        question=question,
        facets=(
            Facet("sepsis-risk", "How likely is sepsis?", (Option("high", "High"), Option("low", "Low"))),
        ),
        seats=seats,
        adjudication=Adjudication(
            strategy=Strategy.MAJORITY,
            automatic=True,
            threshold=Decimal("0.5"),
            least_valid=2,
            least_families=1,
            least_effective=Decimal(1),
            greatest_between=Decimal("0.5"),
            greatest_within=Decimal("0.5"),
            family_correlation=Decimal("0.5"),
            asks_for_facts=False,
        ),
        rules=tuple(rules),
        duty_group="outreach",
        content_hash="c" * 64,
        policy_hash="b" * 64,
    )


def compiled(*conditions: str, effect: RuleEffect = RuleEffect.DENY) -> CompiledPolicy:
    rules = [rule(when, effect, identity=f"rule-{place}") for place, when in enumerate(conditions)]
    return compile_policy(protocol(rules))


def facts(**values: FactValue) -> FactSet:
    return FactSet(
        1,
        tuple(
            Fact(name, value, "1" if isinstance(value, Decimal) else None, AT, FactStatus.FINAL, "ward")
            for name, value in sorted(values.items())
        ),
    )
