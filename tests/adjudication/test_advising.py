"""A panel that nobody on votes: it advises, a clinician decides, and nothing false is said of members it never had."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.adjudication import Bench, Policy, certificate, decide, facets_heard, hear
from arbiter.model import (
    CaseId,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    ReasonCode,
    RuleEffect,
    VerdictKind,
)
from arbiter.question import Facet, Option, Strategy
from tests.adjudication.small import (
    AT,
    FAILS,
    OPTIONS,
    PERMITS,
    SILENCES,
    SILENT,
    abstains,
    always,
    bench,
    codes,
    hit,
    opinion,
    seat,
)

R = ReasonCode
RISKS = ("high", "some", "low")
NOTHING_TO_COUNT: dict[str, Any] = {"least_valid": 0, "least_families": 0, "least_effective": Decimal(0)}
# What would be said of voters, of which there are none.
OF_VOTERS = {
    R.TOO_FEW_VALID, R.TOO_FEW_FAMILIES, R.TOO_FEW_EFFECTIVE, R.MISSING_COULD_CHANGE, R.NO_MAJORITY, R.NEAR_THRESHOLD,
    R.POLICY_SILENT, R.DISAGREEMENT_BETWEEN, R.DISAGREEMENT_WITHIN, R.VETO, R.REQUIRED_MEMBER,
}  # fmt: skip


def advising(**changed: Any) -> Bench:
    return bench(
        seat("a", asks="sepsis-risk"),
        seat("b", asks="sepsis-risk"),
        **({"automatic": False, **NOTHING_TO_COUNT} | changed),
    )


def said(court: Bench, opinions: list[Opinion], policy: Policy) -> list[ReasonCode]:
    verdict = decide(court, opinions, policy)
    assert (verdict.kind, verdict.option, verdict.leading) == (VerdictKind.ESCALATE, None, None)
    assert verdict.wanted == ()
    assert verdict.numbers == ()
    return codes(verdict)


HIGH_LOW = [opinion("a", "high", asks="sepsis-risk"), opinion("b", "low", asks="sepsis-risk")]


def test_it_escalates_because_nothing_here_is_automatic_and_says_no_more() -> None:
    assert said(advising(), HIGH_LOW, always(SILENT)) == [R.NEVER_AUTOMATIC]


def test_a_policy_that_permits_opens_nothing() -> None:
    assert said(advising(), HIGH_LOW, always(PERMITS)) == [R.NEVER_AUTOMATIC]


def test_what_policy_restricts_or_fails_at_is_still_told() -> None:
    denies = replace(SILENT, hits=(hit(RuleEffect.DENY, rule="the-denial"),), failures=FAILS.failures)
    assert said(advising(), HIGH_LOW, always(denies)) == [
        R.NEVER_AUTOMATIC,
        R.POLICY_DENIES,
        R.POLICY_FAILED,
    ]
    assert said(advising(), HIGH_LOW, always(replace(SILENT, permitted=()))) == [
        R.NEVER_AUTOMATIC,
        R.POLICY_EXCLUDES_OPTION,
    ]


def test_policy_hears_the_gravest_answer_to_the_facet_and_no_voters() -> None:
    heard: list[tuple[dict[str, str], int]] = []

    def policy(facets: Mapping[str, str], valid: int) -> PolicyOutcome:
        heard.append((dict(facets), valid))
        return SILENT

    decide(advising(), HIGH_LOW, policy)
    assert heard == [({"sepsis-risk": "high"}, 0)]


def test_facts_that_members_lacked_are_listed_and_not_asked_for() -> None:
    silent = [
        abstains("a", "pulse", asks="sepsis-risk"),
        abstains("b", "pulse", "lactate", asks="sepsis-risk"),
    ]
    for asks in (True, False):
        verdict = decide(advising(asks_for_facts=asks), silent, always(PERMITS))
        assert verdict.kind is VerdictKind.ESCALATE
        assert [(reason.code, reason.detail) for reason in verdict.reasons] == [
            (R.NEVER_AUTOMATIC, ""),
            (R.FACTS_MISSING, "Lactate and Pulse"),
        ]


@pytest.mark.parametrize("status", SILENCES)
def test_a_member_that_failed_is_not_said_to_hold_the_outcome(status: MemberStatus) -> None:
    failed = [HIGH_LOW[0], opinion("b", status=status, asks="sepsis-risk")]
    assert said(advising(), failed, always(SILENT)) == [R.NEVER_AUTOMATIC]


def test_many_missing_members_are_no_more_than_a_human_away() -> None:
    facets = tuple(Facet(f"facet-{n}", "?", tuple(Option(o, o) for o in RISKS)) for n in range(6))
    seats = tuple(seat(f"m{n}", asks=f"facet-{n}") for n in range(6))
    court = advising()
    wide = replace(court, protocol=replace(court.protocol, facets=facets, seats=seats))
    assert said(wide, [], always(SILENT)) == [R.NEVER_AUTOMATIC]


def test_a_panel_that_is_to_decide_and_has_no_voter_is_short_of_members() -> None:
    verdict = decide(advising(automatic=True), HIGH_LOW, always(PERMITS))
    assert verdict.kind is VerdictKind.ESCALATE
    assert codes(verdict) == [R.TOO_FEW_VALID]


def test_a_panel_with_voters_that_is_never_automatic_is_still_measured() -> None:
    court = bench(automatic=False)
    verdict = decide(court, [opinion("a", "urgent"), abstains("b"), abstains("c")], always(SILENT))
    assert codes(verdict) == [R.NEVER_AUTOMATIC, R.TOO_FEW_VALID, R.POLICY_SILENT]
    assert dict(verdict.numbers)["valid"] == "1.000000"


# --- nothing fails open ------------------------------------------------------------------------------------------

STATUSES = st.sampled_from(["valid", "abstained", *SILENCES, "unheard"])


@st.composite
def panels(draw: st.DrawFn) -> list[Opinion]:
    given_opinions: list[Opinion] = []
    for member in ("a", "b"):
        status = draw(STATUSES)
        if status == "valid":
            votes = draw(st.dictionaries(st.sampled_from(RISKS), st.integers(1, 4), min_size=1))
            given_opinions.append(opinion(member, votes, asks="sepsis-risk"))
        elif status == "abstained":
            missing = draw(st.sampled_from([(), ("pulse",), ("pulse", "lactate")]))
            given_opinions.append(abstains(member, *missing, asks="sepsis-risk"))
        elif status != "unheard":
            given_opinions.append(opinion(member, status=MemberStatus(status), asks="sepsis-risk"))
    return given_opinions


OUTCOMES = st.builds(
    PolicyOutcome,
    permitted=st.sampled_from([OPTIONS, ("urgent",), ("watch",), ()]),
    hits=st.lists(st.builds(hit, st.sampled_from(RuleEffect)), max_size=3).map(tuple),
    failures=st.sampled_from([(), FAILS.failures]),
    policy_hash=st.just("b" * 64),
)
SHARES = st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1)])
SETTINGS = st.fixed_dictionaries(
    {
        "automatic": st.booleans(),
        "strategy": st.sampled_from(Strategy),
        "threshold": SHARES,
        "least_valid": st.integers(0, 3),
        "least_families": st.integers(0, 3),
        "least_effective": st.sampled_from([Decimal(0), Decimal(1), Decimal(2)]),
        "greatest_between": SHARES,
        "greatest_within": SHARES,
        "family_correlation": SHARES,
        "asks_for_facts": st.booleans(),
        "human_required": st.booleans(),
    }
)


@settings(deadline=None, max_examples=300)
@given(chosen=SETTINGS, opinions=panels(), outcome=OUTCOMES)
def test_no_setting_answer_or_policy_decides_without_a_voter(
    chosen: dict[str, Any], opinions: list[Opinion], outcome: PolicyOutcome
) -> None:
    verdict = decide(advising(**chosen), opinions, always(outcome))
    assert verdict.kind is VerdictKind.ESCALATE
    assert verdict.option is None
    assert verdict.leading is None
    assert verdict.reasons
    if not chosen["automatic"]:
        assert not OF_VOTERS & set(codes(verdict))


# --- the certificate ---------------------------------------------------------------------------------------------


def certified(opinions: list[Opinion], outcome: PolicyOutcome = SILENT) -> dict[str, Any]:
    court = advising()
    return certificate(
        case=CaseId("case-1"),
        bench=court,
        facts_version=1,
        opinions=opinions,
        outcome=outcome,
        verdict=decide(court, opinions, always(outcome)),
        code_version="1",
        concluded_at=AT,
    )


def test_the_certificate_reads_as_advice_to_whoever_decides() -> None:
    forbids = replace(SILENT, permitted=("urgent",), hits=(hit(RuleEffect.FORBID, "watch"),))
    document = certified(HIGH_LOW, forbids)
    assert document["plain"] == (
        "The question: Does this person need urgent review? No member votes on it; the panel answers questions about "
        "parts of it. On sepsis-risk, A said: \N{LEFT DOUBLE QUOTATION MARK}High\N{RIGHT DOUBLE QUOTATION MARK}. On "
        "sepsis-risk, B said: \N{LEFT DOUBLE QUOTATION MARK}Low\N{RIGHT DOUBLE QUOTATION MARK}. Rule the-rule rules out "
        "\N{LEFT DOUBLE QUOTATION MARK}Watch\N{RIGHT DOUBLE QUOTATION MARK}: Because. The panel advises; a clinician "
        "decides. Nothing under this protocol is decided here without a clinician."
    )
    assert (
        document["facets"] == {"sepsis-risk": "high"} == facets_heard(advising(), hear(advising(), HIGH_LOW))
    )
    assert document["verdict"]["numbers"] == []
    assert "decision" not in document


def test_the_certificate_says_what_was_lacking() -> None:
    plain = certified([abstains("a", "pulse", asks="sepsis-risk"), HIGH_LOW[1]])["plain"]
    assert "On sepsis-risk, A abstained, lacking a usable value of Pulse." in plain
    assert "Facts are missing that would let the panel answer: Pulse." in plain
    assert "valid answer" not in plain
    assert "permits" not in plain


def test_nobody_asked_reads_as_before() -> None:
    assert "No member of the panel was asked. " in certified([])["plain"]
