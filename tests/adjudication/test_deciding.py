"""Every reason for which a panel does not decide, and the little that is left for it to decide."""

from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.adjudication import decide
from arbiter.errors import UndecidableError
from arbiter.model import PolicyOutcome, Reason, ReasonCode, RuleEffect, Verdict, VerdictKind
from arbiter.question import Strategy
from tests.adjudication.small import (
    AGREED,
    DENIES,
    FAILS,
    OPTIONS,
    PERMITS,
    SILENT,
    abstains,
    always,
    bench,
    codes,
    decided,
    hit,
    opinion,
    opinions,
    reasons,
    seat,
)

R = ReasonCode
SPLIT = {"urgent": 1, "watch": 1}

# --- deciding ----------------------------------------------------------------------------------------------------


def test_an_agreed_panel_that_policy_permits_decides() -> None:
    assert decide(bench(), AGREED, always(PERMITS)) == Verdict(
        kind=VerdictKind.DECIDE,
        option="urgent",
        leading="urgent",
        reasons=(),
        wanted=(),
        numbers=(
            ("valid", "3.000000"),
            ("families", "3.000000"),
            ("effective", "3.000000"),
            ("share.urgent", "1.000000"),
            ("share.watch", "0.000000"),
            ("total", "0.000000"),
            ("between", "0.000000"),
            ("within", "0.000000"),
            ("weight.a", "0.333333"),
            ("consistency.a", "1.000000"),
            ("weight.b", "0.333333"),
            ("consistency.b", "1.000000"),
            ("weight.c", "0.333333"),
            ("consistency.c", "1.000000"),
        ),
    )


@pytest.mark.parametrize("strategy", Strategy)
def test_every_strategy_decides_what_all_agree_on(strategy: Strategy) -> None:
    assert decided(bench(strategy=strategy), opinions("watch", "watch", "watch")) == "watch"


def test_a_majority_decides_over_a_dissenter_within_the_bounds() -> None:
    assert decided(bench(), opinions("urgent", "watch", "urgent")) == "urgent"


def test_an_abstention_is_no_missing_member_and_a_quorum_without_it_decides() -> None:
    assert decided(bench(), [*opinions("urgent", "urgent"), abstains("c", "lactate")]) == "urgent"


# --- disagreement and majorities ---------------------------------------------------------------------------------


def test_too_much_disagreement_between_members_escalates() -> None:
    """One of three dissents: (ln 3 - 2/3 ln 2) / ln 2 = 0.918296."""
    verdict = decide(
        bench(greatest_between=Decimal("0.9")), opinions("urgent", "watch", "urgent"), always(PERMITS)
    )
    assert verdict.reasons == (Reason(R.DISAGREEMENT_BETWEEN, "0.918296, at most 0.900000 allowed"),)
    assert verdict.leading == "urgent"


def test_too_much_indecision_within_members_escalates() -> None:
    """The binary entropy of 0.1 is 0.468996 bits."""
    unsure = {"urgent": 9, "watch": 1}
    verdict = decide(bench(greatest_within=Decimal("0.4")), opinions(unsure, unsure, unsure), always(PERMITS))
    assert verdict.reasons == (Reason(R.DISAGREEMENT_WITHIN, "0.468996, at most 0.400000 allowed"),)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("0.918298", []),
        ("0.9182965", [R.NEAR_THRESHOLD]),
        ("0.918295", [R.DISAGREEMENT_BETWEEN, R.NEAR_THRESHOLD]),
        ("0.918294", [R.DISAGREEMENT_BETWEEN]),
    ],
)
def test_disagreement_within_a_millionth_of_its_bound_is_not_decided(
    bound: str, expected: list[ReasonCode]
) -> None:
    verdict = decide(
        bench(greatest_between=Decimal(bound)), opinions("urgent", "watch", "urgent"), always(PERMITS)
    )
    assert codes(verdict) == expected


def test_no_disagreement_at_all_is_within_a_bound_of_zero() -> None:
    strict = bench(greatest_between=Decimal(0), greatest_within=Decimal(0))
    assert decided(strict, AGREED) == "urgent"
    assert R.DISAGREEMENT_BETWEEN in reasons(strict, opinions("urgent", "urgent", "watch"))


def test_a_tie_escalates_under_every_strategy() -> None:
    for strategy in Strategy:
        court = bench(seat("a"), seat("b"), strategy=strategy, threshold=Decimal("0.4"))
        verdict = decide(court, opinions("urgent", "watch"), always(PERMITS))
        assert R.NO_MAJORITY in codes(verdict)
        assert verdict.leading is None


def test_a_share_at_the_threshold_is_not_decided() -> None:
    court = bench(seat("a"), seat("b"), strategy=Strategy.WEIGHTED, threshold=Decimal("0.75"))
    verdict = decide(court, opinions("urgent", SPLIT), always(PERMITS))
    assert verdict.reasons == (
        Reason(R.NEAR_THRESHOLD, "“Urgent” has 0.750000 of the weight, more than 0.750000 needed"),
    )


# --- settings and policy -----------------------------------------------------------------------------------------


def test_a_protocol_that_is_never_automatic_never_decides() -> None:
    assert reasons(bench(automatic=False), AGREED) == [R.NEVER_AUTOMATIC]


def test_once_a_human_is_required_the_panel_no_longer_decides() -> None:
    assert reasons(bench(human_required=True), AGREED) == [R.HUMAN_REQUIRED]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (SILENT, [R.POLICY_SILENT]),
        (DENIES, [R.POLICY_DENIES]),
        (FAILS, [R.POLICY_FAILED]),
        (replace(DENIES, failures=FAILS.failures), [R.POLICY_DENIES, R.POLICY_FAILED]),
        (replace(PERMITS, permitted=("watch",)), [R.POLICY_EXCLUDES_OPTION]),
        (replace(PERMITS, permitted=()), [R.POLICY_EXCLUDES_OPTION]),
        (replace(PERMITS, hits=(hit(RuleEffect.REQUIRE, "urgent"),)), [R.POLICY_SILENT]),
    ],
)
def test_policy_that_does_not_plainly_permit_escalates(
    outcome: PolicyOutcome, expected: list[ReasonCode]
) -> None:
    verdict = decide(bench(), AGREED, always(outcome))
    assert codes(verdict) == expected
    assert verdict.option is None
    assert verdict.leading == "urgent"


def test_the_rules_that_deny_or_fail_are_named() -> None:
    outcome = replace(DENIES, failures=FAILS.failures)
    details = [reason.detail for reason in decide(bench(), AGREED, always(outcome)).reasons]
    assert details == ["the-denial", "the-failure"]


@pytest.mark.parametrize("permitted", [("urgent",), ("watch",), OPTIONS, ()])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_rule_never_decides_against_the_panel(permitted: tuple[str, ...], option: str) -> None:
    verdict = decide(bench(), opinions(option, option, option), always(replace(PERMITS, permitted=permitted)))
    assert verdict.option in {None, option}
    assert (verdict.option is None) == (option not in permitted)


def test_policy_that_speaks_of_unknown_options_is_not_weighed() -> None:
    with pytest.raises(UndecidableError):
        decide(bench(), AGREED, always(replace(PERMITS, permitted=("urgent", "surgery"))))


def test_all_reasons_are_collected_and_stand_in_one_order() -> None:
    court = bench(
        seat("a", family="x"),
        seat("b", family="x"),
        seat("s", family="x", veto=("watch",)),
        seat("r", required=True),
        automatic=False,
        human_required=True,
        least_valid=4,
        least_families=2,
        least_effective=Decimal(3),
        greatest_between=Decimal("0.1"),
        greatest_within=Decimal("0.1"),
    )
    unsure = {"urgent": 3, "watch": 2}
    given = [*opinions(unsure, unsure), opinion("s", "watch"), abstains("r")]
    outcome = replace(DENIES, hits=DENIES.hits[1:], failures=FAILS.failures, permitted=("watch",))
    assert reasons(court, given, always(outcome)) == [
        R.NEVER_AUTOMATIC,
        R.HUMAN_REQUIRED,
        R.REQUIRED_MEMBER,
        R.TOO_FEW_VALID,
        R.TOO_FEW_FAMILIES,
        R.TOO_FEW_EFFECTIVE,
        R.VETO,
        R.DISAGREEMENT_BETWEEN,
        R.DISAGREEMENT_WITHIN,
        R.POLICY_DENIES,
        R.POLICY_SILENT,
        R.POLICY_FAILED,
        R.POLICY_EXCLUDES_OPTION,
    ]
