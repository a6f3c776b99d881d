"""A small panel, its opinions and a policy that permits, to be bent by each test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from arbiter.adjudication import Bench, Policy, decide
from arbiter.model import (
    MemberId,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    ReasonCode,
    RiskClass,
    RuleEffect,
    RuleFailure,
    RuleHit,
    Verdict,
    VerdictKind,
)
from arbiter.question import (
    QUESTION,
    Adjudication,
    Facet,
    FactKind,
    FactSpec,
    Guarantee,
    Option,
    Protocol,
    Question,
    Seat,
    Strategy,
    Timers,
)
from tests.adjudication.calibrations import calibration, identity

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
FACTS_HASH = "f" * 64
OPTIONS = ("urgent", "watch")
VALID, ABSTAINED = MemberStatus.VALID, MemberStatus.ABSTAINED
SILENCES = (MemberStatus.INVALID, MemberStatus.TIMED_OUT, MemberStatus.DOWN)

SETTINGS = Adjudication(
    strategy=Strategy.MAJORITY,
    automatic=True,
    threshold=Decimal("0.6"),
    least_valid=2,
    least_families=1,
    least_effective=Decimal(1),
    greatest_between=Decimal(1),
    greatest_within=Decimal(1),
    family_correlation=Decimal("0.5"),
    asks_for_facts=False,
)
"""Settings that let every majority pass: a test tightens the one it is about."""


def seat(
    member: str,
    asks: str = QUESTION,
    family: str | None = None,
    weight: str = "1",
    required: bool = False,
    veto: tuple[str, ...] = (),
) -> Seat:
    return Seat(
        MemberId(member),
        member.upper(),
        asks,
        "score",
        member,
        family or member,
        Decimal(weight),
        required,
        veto,
    )


def fact(name: str) -> FactSpec:
    return FactSpec(name, name.capitalize(), FactKind.FLAG, None, (), None, None, 0, (), None)


def bench(
    *seats: Seat, options: Sequence[str] = OPTIONS, human_required: bool = False, **settings: Any
) -> Bench:
    """Return a bench of three members, or of these; under the strategy of the posterior it has a calibration."""
    wait = timedelta(minutes=1)
    question = Question(
        "Does this person need urgent review?",
        tuple(Option(option, option.capitalize()) for option in options),
        (fact("lactate"), fact("pulse")),
        tuple((risk, Timers(wait, wait, wait, wait)) for risk in RiskClass),
        (),
    )
    protocol = Protocol(
        id="small",
        version="1.0.0",
        title="Small",
        question=question,
        facets=(
            Facet(
                "sepsis-risk",
                "How likely is sepsis?",
                tuple(Option(o, o.capitalize()) for o in ("high", "some", "low")),
            ),
        ),
        seats=seats or (seat("a"), seat("b"), seat("c")),
        adjudication=replace(SETTINGS, **settings),
        rules=(),
        duty_group="outreach",
        content_hash="c" * 64,
        policy_hash="b" * 64,
    )
    if protocol.adjudication.strategy is not Strategy.POSTERIOR:
        return Bench(protocol, FACTS_HASH, RiskClass.ROUTINE, human_required)
    if protocol.adjudication.guarantee is None:
        rates = tuple((option, Decimal("0.05")) for option in options)
        stated = replace(protocol.adjudication, guarantee=Guarantee(Decimal("0.05"), rates))
        protocol = replace(protocol, adjudication=stated)
    known = calibration(protocol)
    return Bench(protocol, FACTS_HASH, RiskClass.ROUTINE, human_required, known)


def opinion(
    member: str,
    votes: str | Mapping[str, int] = "",
    status: MemberStatus = VALID,
    missing: tuple[str, ...] = (),
    asks: str = QUESTION,
    facts_hash: str = FACTS_HASH,
) -> Opinion:
    counted = {votes: 1} if isinstance(votes, str) else votes
    cast = tuple(sorted(counted.items())) if votes else ()
    return Opinion(
        member=MemberId(member),
        asks=asks,
        status=status,
        facts_hash=facts_hash,
        votes=cast,
        samples=max(1, sum(count for _, count in cast)),
        evidence=(),
        missing=missing,
        rationale="",
        identity=identity(member),
        asked_at=AT,
        answered_at=AT,
    )


def opinions(*votes: str | Mapping[str, int], members: str = "abcdefgh") -> list[Opinion]:
    """Return valid opinions of members a, b, c and so on."""
    return [opinion(member, vote) for member, vote in zip(members, votes, strict=False)]


def abstains(member: str, *missing: str, asks: str = QUESTION) -> Opinion:
    return opinion(member, status=ABSTAINED, missing=missing, asks=asks)


def hit(effect: RuleEffect, *options: str, rule: str = "the-rule") -> RuleHit:
    return RuleHit(rule, effect, options, "Because.")


PERMITS = PolicyOutcome(OPTIONS, (hit(RuleEffect.PERMIT),), (), "b" * 64)
SILENT = replace(PERMITS, hits=())
DENIES = replace(PERMITS, hits=(hit(RuleEffect.PERMIT), hit(RuleEffect.DENY, rule="the-denial")))
FAILS = replace(PERMITS, failures=(RuleFailure("the-failure", "its condition gave an error"),))


def always(outcome: PolicyOutcome) -> Policy:
    def policy(facets: Mapping[str, str], valid: int) -> PolicyOutcome:
        return outcome

    return policy


def permitting(test: Callable[[Mapping[str, str], int], bool]) -> Policy:
    """Return a policy that permits where the test says so and is silent elsewhere."""

    def policy(facets: Mapping[str, str], valid: int) -> PolicyOutcome:
        return PERMITS if test(facets, valid) else SILENT

    return policy


def codes(verdict: Verdict) -> list[ReasonCode]:
    return [reason.code for reason in verdict.reasons]


AGREED = opinions("urgent", "urgent", "urgent")
SAFETY = (seat("a"), seat("b"), seat("c"), seat("s", veto=("urgent",)))
NEEDY = (seat("a"), seat("b"), seat("c", required=True))


def decided(court: Bench, given: Sequence[Opinion], policy: Policy | None = None) -> str | None:
    return decide(court, given, policy or always(PERMITS)).option


def reasons(court: Bench, given: Sequence[Opinion], policy: Policy | None = None) -> list[ReasonCode]:
    verdict = decide(court, given, policy or always(PERMITS))
    assert verdict.kind is VerdictKind.ESCALATE
    assert verdict.option is None
    return codes(verdict)
