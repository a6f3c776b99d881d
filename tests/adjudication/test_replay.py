"""Recorded inputs give the same bytes again, through the real policy and the shipped protocol."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from arbiter.adjudication import Bench, certificate, facets_heard, hear, recompute
from arbiter.documents.canonical import decode, encode
from arbiter.documents.facts import facts_document, facts_from, facts_hash
from arbiter.documents.opinions import opinion_document, opinion_from
from arbiter.errors import UndecidableError
from arbiter.model import (
    CaseId,
    Fact,
    FactSet,
    FactStatus,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    ReasonCode,
    RiskClass,
    VerdictKind,
)
from arbiter.policy import compile_policy, evaluate
from arbiter.protocols.loader import read_shipped
from tests.adjudication.calibrations import calibration
from tests.adjudication.small import PERMITS, abstains, bench, opinion, opinions, seat

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
SHIPPED = read_shipped("deterioration").protocol
EVALUATE = partial(evaluate, compile_policy(SHIPPED))


def shipped_facts(**values: Decimal | str | bool) -> FactSet:
    specs = {spec.name: spec for spec in SHIPPED.question.facts}
    return FactSet(
        1,
        tuple(
            Fact(name, value, specs[name].unit, AT, FactStatus.FINAL, "ward")
            for name, value in sorted(values.items())
        ),
    )


CALM = shipped_facts(
    respiratory_rate=Decimal(14),
    heart_rate=Decimal(72),
    systolic_bp=Decimal(124),
    consciousness="alert",
    age=Decimal(61),
)


def said(facts: FactSet, **votes: str | None) -> list[Opinion]:
    """Return the votes of the shipped panel by member; None abstains for want of the respiratory rate."""
    asks = {str(place.member): place.asks for place in SHIPPED.seats}
    hashed = facts_hash(facts)
    return [
        opinion(member, option, asks=asks[member], facts_hash=hashed)
        if option is not None
        else opinion(
            member,
            status=MemberStatus.ABSTAINED,
            missing=("respiratory_rate",),
            asks=asks[member],
            facts_hash=hashed,
        )
        for member, option in votes.items()
    ]


WATCH, URGENT = "continue-monitoring", "urgent-review"


@pytest.mark.parametrize(
    ("votes", "kind", "option", "codes"),
    [
        (
            {"news2": WATCH, "mews": WATCH, "cart": WATCH, "qsofa": "not-high", "sirs": "not-high"},
            VerdictKind.DECIDE,
            WATCH,
            set(),
        ),
        (
            {"news2": URGENT, "mews": URGENT, "cart": URGENT, "qsofa": "not-high", "sirs": "not-high"},
            VerdictKind.DECIDE,
            URGENT,
            set(),
        ),
        (
            {"news2": WATCH, "mews": WATCH, "cart": WATCH, "qsofa": None, "sirs": None},
            VerdictKind.ESCALATE,
            None,
            {ReasonCode.POLICY_EXCLUDES_OPTION},
        ),
        (
            {"news2": WATCH, "mews": WATCH, "cart": WATCH, "qsofa": "not-high"},
            VerdictKind.ESCALATE,
            None,
            {ReasonCode.MISSING_COULD_CHANGE},
        ),
        (
            {"news2": None, "mews": WATCH, "cart": WATCH, "qsofa": "not-high", "sirs": "not-high"},
            VerdictKind.ASK_FACTS,
            None,
            {ReasonCode.REQUIRED_MEMBER, ReasonCode.FACTS_MISSING},
        ),
    ],
)
def test_recorded_bytes_give_the_same_bytes_again(
    votes: Mapping[str, str | None], kind: VerdictKind, option: str | None, codes: set[ReasonCode]
) -> None:
    def concluded(facts: FactSet, given: list[Opinion]) -> bytes:
        court = Bench(SHIPPED, facts_hash(facts), RiskClass.ROUTINE, calibration=calibration(SHIPPED))
        outcome, verdict = recompute(court, facts, given, EVALUATE)
        assert (verdict.kind, verdict.option) == (kind, option)
        assert {reason.code for reason in verdict.reasons} == codes
        return encode(
            certificate(
                case=CaseId("case-1"),
                bench=court,
                facts_version=facts.version,
                opinions=given,
                outcome=outcome,
                verdict=verdict,
                code_version="0.1.0",
                concluded_at=AT,
            )
        )

    given = said(CALM, **votes)
    recorded = [encode(opinion_document(each)) for each in given]
    again = [opinion_from(decode(content)) for content in reversed(recorded)]
    facts_again = facts_from(decode(encode(facts_document(CALM))))
    assert concluded(CALM, given) == concluded(facts_again, again)


def test_facts_other_than_the_bench_is_bound_to_are_refused() -> None:
    with pytest.raises(UndecidableError):
        recompute(bench(), CALM, [], EVALUATE)


def test_policy_is_asked_once_for_each_combination_of_facets_and_members() -> None:
    facts = FactSet(1, ())
    asked: list[tuple[Any, ...]] = []

    def policy(seen: FactSet, facets: Mapping[str, str], risk: RiskClass, valid: int) -> PolicyOutcome:
        assert seen is facts
        asked.append((tuple(facets.items()), risk, valid))
        return PERMITS

    court = bench(seat("a"), seat("b"), seat("c"), seat("q", asks="sepsis-risk"))
    court = Bench(court.protocol, facts_hash(facts), RiskClass.URGENT)
    given = [opinion(member, "urgent", facts_hash=facts_hash(facts)) for member in "ab"]
    outcome, verdict = recompute(court, facts, given, policy)
    assert outcome == PERMITS
    assert verdict.option == "urgent"
    answers = [(), *((("sepsis-risk", option),) for option in ("high", "some", "low"))]
    assert sorted(asked) == sorted(
        (answer, RiskClass.URGENT, valid) for answer in answers for valid in (2, 3)
    )


# --- facets ------------------------------------------------------------------------------------------------------


def facet_cases() -> Iterator[tuple[list[Opinion], dict[str, str]]]:
    def says(member: str, votes: str | dict[str, int]) -> Opinion:
        return opinion(member, votes, asks="sepsis-risk")

    yield [], {}
    yield [says("q", "low")], {"sepsis-risk": "low"}
    yield [says("q", "low"), says("r", "high")], {"sepsis-risk": "high"}
    yield [says("q", "some"), says("r", "low")], {"sepsis-risk": "some"}
    yield [says("q", {"high": 2, "low": 3}), says("r", "low")], {"sepsis-risk": "low"}
    yield [says("q", {"high": 3, "low": 3})], {"sepsis-risk": "high"}
    yield [abstains("q", asks="sepsis-risk"), says("r", "low")], {"sepsis-risk": "low"}
    yield [abstains("q", asks="sepsis-risk")], {}
    yield (
        [opinion("q", "high", MemberStatus.TIMED_OUT, asks="sepsis-risk"), says("r", "low")],
        {"sepsis-risk": "low"},
    )
    yield opinions("urgent"), {}


@pytest.mark.parametrize(("given", "expected"), list(facet_cases()))
def test_a_facets_answer_is_the_gravest_that_a_valid_member_gives(
    given: list[Opinion], expected: dict[str, str]
) -> None:
    court = bench(seat("a"), seat("b"), seat("q", asks="sepsis-risk"), seat("r", asks="sepsis-risk"))
    for order in (given, given[::-1]):
        assert facets_heard(court, hear(court, order)) == expected
