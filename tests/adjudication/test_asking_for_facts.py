"""A panel asks for facts where their lack alone stands in its way, and the workflow's own escalation keeps what it had said."""

from decimal import Decimal
from typing import Any

import pytest

from arbiter.adjudication import Bench, decide, escalation
from arbiter.model import MemberStatus, Opinion, PolicyOutcome, Reason, ReasonCode, Verdict, VerdictKind
from tests.adjudication.small import (
    DENIES,
    FAILS,
    NEEDY,
    PERMITS,
    SAFETY,
    SILENT,
    abstains,
    always,
    bench,
    codes,
    opinion,
    opinions,
    permitting,
    seat,
)

R = ReasonCode

# --- asking for facts --------------------------------------------------------------------------------------------


def test_a_required_member_that_lacks_facts_asks_for_them() -> None:
    given = [*opinions("urgent", "urgent"), abstains("c", "pulse", "lactate", "pulse")]
    verdict = decide(bench(*NEEDY, asks_for_facts=True), given, always(PERMITS))
    assert verdict.kind is VerdictKind.ASK_FACTS
    assert verdict.wanted == ("lactate", "pulse")
    assert verdict.option is None
    assert verdict.leading == "urgent"
    assert codes(verdict) == [R.REQUIRED_MEMBER, R.FACTS_MISSING]
    assert verdict.reasons[1].detail == "Lactate and Pulse"


def test_too_few_valid_members_for_lack_of_facts_ask_for_all_of_them() -> None:
    given = [*opinions("urgent"), abstains("b", "lactate"), abstains("c", "pulse")]
    verdict = decide(bench(asks_for_facts=True), given, always(PERMITS))
    assert (verdict.kind, verdict.wanted) == (VerdictKind.ASK_FACTS, ("lactate", "pulse"))


def test_policy_that_waits_for_enough_members_does_not_keep_the_panel_from_asking() -> None:
    given = [*opinions("urgent", "urgent"), abstains("c", "pulse")]
    verdict = decide(bench(*NEEDY, asks_for_facts=True), given, permitting(lambda _, valid: valid == 3))
    assert codes(verdict) == [R.REQUIRED_MEMBER, R.POLICY_SILENT, R.FACTS_MISSING]
    assert verdict.kind is VerdictKind.ASK_FACTS


@pytest.mark.parametrize(
    ("court", "given", "policy"),
    [
        (
            bench(*NEEDY, asks_for_facts=False),
            [*opinions("urgent", "urgent"), abstains("c", "pulse")],
            PERMITS,
        ),
        (bench(*NEEDY, asks_for_facts=True), [*opinions("urgent", "urgent"), abstains("c")], PERMITS),
        (bench(*NEEDY, asks_for_facts=True), [*opinions("urgent", "urgent"), abstains("c", "pulse")], DENIES),
        (bench(*NEEDY, asks_for_facts=True), [*opinions("urgent", "urgent"), abstains("c", "pulse")], SILENT),
        (bench(*NEEDY, asks_for_facts=True), [*opinions("urgent", "urgent"), abstains("c", "pulse")], FAILS),
        (bench(*NEEDY, asks_for_facts=True), [*opinions("urgent", "watch"), abstains("c", "pulse")], PERMITS),
        (
            bench(*NEEDY, asks_for_facts=True, automatic=False),
            [*opinions("urgent", "urgent"), abstains("c", "pulse")],
            PERMITS,
        ),
        (
            bench(*NEEDY, asks_for_facts=True, human_required=True),
            [*opinions("urgent", "urgent"), abstains("c", "pulse")],
            PERMITS,
        ),
        (
            bench(*NEEDY, seat("d", required=True), asks_for_facts=True),
            [*opinions("urgent", "urgent"), abstains("c", "pulse"), opinion("d", status=MemberStatus.DOWN)],
            PERMITS,
        ),
        (
            bench(*NEEDY, seat("d", required=True), asks_for_facts=True),
            [*opinions("urgent", "urgent"), abstains("c", "pulse"), abstains("d")],
            PERMITS,
        ),
        (bench(asks_for_facts=True), [*opinions("urgent"), opinion("b", status=MemberStatus.DOWN)], PERMITS),
        (
            bench(*SAFETY, asks_for_facts=True, least_valid=4),
            [*opinions("watch", "watch"), abstains("c", "pulse"), opinion("s", "urgent")],
            PERMITS,
        ),
    ],
)
def test_facts_are_not_asked_for_where_more_than_their_lack_stands_in_the_way(
    court: Bench, given: list[Opinion], policy: PolicyOutcome
) -> None:
    assert decide(court, given, always(policy)).kind is VerdictKind.ESCALATE


def test_facts_are_not_asked_for_where_no_answer_would_be_enough() -> None:
    """The two that lack facts are too alike to count for enough whatever they would say."""
    court = bench(
        seat("a", family="x"),
        seat("b", family="x"),
        seat("c", family="x"),
        least_effective=Decimal(2),
        asks_for_facts=True,
    )
    given = [*opinions("urgent"), abstains("b", "pulse"), abstains("c", "pulse")]
    assert decide(court, given, always(PERMITS)).kind is VerdictKind.ESCALATE


def test_facts_are_not_asked_for_where_the_panel_decides_without_them() -> None:
    given = [*opinions("urgent", "urgent"), abstains("c", "pulse")]
    assert decide(bench(asks_for_facts=True), given, always(PERMITS)).option == "urgent"


# --- members that disagree, and say what they lack -----------------------------------------------------------------

WITHIN, BETWEEN = R.DISAGREEMENT_WITHIN, R.DISAGREEMENT_BETWEEN
IN_TWO_MINDS = {"urgent": 3, "watch": 2}


def two_minds(*missing: str) -> list[Opinion]:
    """Two members, each of two minds, the first of which names what it lacks."""
    return [opinion("a", IN_TWO_MINDS, missing=missing), opinion("b", IN_TWO_MINDS), opinion("c", "urgent")]


def routing(*codes_on: ReasonCode, asks: bool = True, **settings: Any) -> Bench:
    return bench(asks_for_facts=asks, facts_on=codes_on or None, **settings)


def test_where_the_protocol_says_so_members_of_two_minds_ask_for_what_they_lack() -> None:
    court = routing(WITHIN, greatest_within=Decimal("0.1"))
    verdict = decide(court, two_minds("lactate"), always(PERMITS))
    assert (verdict.kind, verdict.wanted) == (VerdictKind.ASK_FACTS, ("lactate",))
    assert codes(verdict) == [WITHIN, R.FACTS_MISSING]


def test_members_that_contradict_each_other_ask_where_the_protocol_sends_that_there() -> None:
    given = [opinion("a", "urgent", missing=("pulse",)), opinion("b", "watch")]
    court = routing(BETWEEN, greatest_between=Decimal("0.1"))
    verdict = decide(court, given, always(PERMITS))
    assert (verdict.kind, verdict.wanted) == (VerdictKind.ASK_FACTS, ("pulse",)), codes(verdict)


@pytest.mark.parametrize(
    ("court", "given", "policy"),
    [
        (routing(greatest_within=Decimal("0.1")), two_minds("lactate"), PERMITS),
        (routing(BETWEEN, greatest_within=Decimal("0.1")), two_minds("lactate"), PERMITS),
        (routing(WITHIN, asks=False, greatest_within=Decimal("0.1")), two_minds("lactate"), PERMITS),
        (routing(WITHIN, greatest_within=Decimal("0.1")), two_minds(), PERMITS),
        (routing(WITHIN, greatest_within=Decimal("0.1")), two_minds("lactate"), DENIES),
        (routing(WITHIN, greatest_within=Decimal("0.1")), two_minds("lactate"), FAILS),
        (routing(WITHIN, greatest_within=Decimal("0.1"), automatic=False), two_minds("lactate"), PERMITS),
    ],
    ids=["nowhere", "the-other", "asks-nobody", "lacks-nothing", "denied", "failed", "never"],
)
def test_a_disagreement_goes_to_a_human_unless_facts_alone_are_lacking_and_the_protocol_sends_it_there(
    court: Bench, given: list[Opinion], policy: PolicyOutcome
) -> None:
    assert decide(court, given, always(policy)).kind is VerdictKind.ESCALATE


# --- the workflow's own escalations ------------------------------------------------------------------------------


def test_an_escalation_of_the_workflow_keeps_what_adjudication_had_said() -> None:
    deadline = Reason(R.DEADLINE, "no facts came")
    before = decide(
        bench(*NEEDY, asks_for_facts=True),
        [*opinions("urgent", "urgent"), abstains("c", "pulse")],
        always(PERMITS),
    )
    after = escalation([deadline], before)
    assert after.kind is VerdictKind.ESCALATE
    assert codes(after) == [R.REQUIRED_MEMBER, R.DEADLINE]
    assert (after.leading, after.numbers, after.wanted) == (before.leading, before.numbers, ())
    assert escalation([deadline]) == Verdict(VerdictKind.ESCALATE, None, None, (deadline,), (), ())
