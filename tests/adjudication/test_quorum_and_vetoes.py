"""Who must have spoken before a panel decides, how many and how different; and whom nobody outvotes."""

from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.adjudication import decide
from arbiter.model import MemberStatus, ReasonCode
from arbiter.question import Strategy
from tests.adjudication.small import (
    AGREED,
    PERMITS,
    SAFETY,
    SILENCES,
    abstains,
    always,
    bench,
    codes,
    decided,
    opinion,
    opinions,
    reasons,
    seat,
)

R = ReasonCode
SPLIT = {"urgent": 1, "watch": 1}

# --- who and how many --------------------------------------------------------------------------------------------


def test_nobody_heard_escalates() -> None:
    assert reasons(bench(), []) == [
        R.TOO_FEW_VALID,
        R.TOO_FEW_FAMILIES,
        R.TOO_FEW_EFFECTIVE,
        R.MISSING_COULD_CHANGE,
    ]


def test_a_panel_without_seats_escalates() -> None:
    court = bench(least_effective=Decimal(0))
    empty = replace(court, protocol=replace(court.protocol, seats=()))
    assert R.TOO_FEW_VALID in reasons(empty, [])


def test_all_abstaining_escalates() -> None:
    silent = [abstains("a"), abstains("b"), abstains("c")]
    assert reasons(bench(), silent) == [R.TOO_FEW_VALID, R.TOO_FEW_FAMILIES, R.TOO_FEW_EFFECTIVE]


def test_one_valid_member_cannot_be_compared_even_where_the_protocol_asks_for_one() -> None:
    given = [*opinions("urgent"), abstains("b"), abstains("c")]
    verdict = decide(bench(least_valid=1), given, always(PERMITS))
    assert codes(verdict) == [R.TOO_FEW_VALID]
    assert verdict.reasons[0].detail == "1 valid, at least 2 needed"
    assert verdict.leading == "urgent"
    assert "between" not in dict(verdict.numbers)


def test_fewer_valid_members_than_the_protocol_asks_for_escalate() -> None:
    given = [*opinions("urgent", "urgent"), abstains("c")]
    assert reasons(bench(least_valid=3), given) == [R.TOO_FEW_VALID]


def test_fewer_families_than_asked_for_escalate() -> None:
    court = bench(seat("a", family="x"), seat("b", family="x"), seat("c", family="y"), least_families=2)
    assert decided(court, AGREED) == "urgent"
    assert reasons(court, [*opinions("urgent", "urgent"), abstains("c")]) == [R.TOO_FEW_FAMILIES]


def test_members_too_alike_escalate() -> None:
    alike = [seat(member, family="x") for member in "abc"]
    assert reasons(bench(*alike, least_effective=Decimal("1.51")), AGREED) == [R.TOO_FEW_EFFECTIVE]
    assert decided(bench(*alike, least_effective=Decimal("1.5")), AGREED) == "urgent"


def test_effective_members_are_exact_so_that_equal_is_enough_and_nearly_is_not_told_apart() -> None:
    """Three of a family at 0.5 are exactly 3/2."""
    alike = [seat(member, family="x") for member in "abc"]
    assert reasons(bench(*alike, least_effective=Decimal("1.4999995")), AGREED) == [R.NEAR_THRESHOLD]
    assert reasons(bench(*alike, least_effective=Decimal("1.5000005")), AGREED) == [
        R.TOO_FEW_EFFECTIVE,
        R.NEAR_THRESHOLD,
    ]


@pytest.mark.parametrize("status", [*SILENCES, MemberStatus.ABSTAINED, None])
def test_a_required_member_without_a_valid_answer_escalates(status: MemberStatus | None) -> None:
    court = bench(seat("a"), seat("b"), seat("c", required=True))
    given = opinions("urgent", "urgent") + ([] if status is None else [opinion("c", status=status)])
    assert R.REQUIRED_MEMBER in reasons(court, given)


def test_a_required_member_of_a_facet_is_required_too() -> None:
    court = bench(seat("a"), seat("b"), seat("q", asks="sepsis-risk", required=True))
    given = [*opinions("urgent", "urgent"), abstains("q", asks="sepsis-risk")]
    assert reasons(court, given) == [R.REQUIRED_MEMBER]


# --- vetoes ------------------------------------------------------------------------------------------------------


def test_a_veto_is_not_outvoted() -> None:
    given = [*opinions("watch", "watch", "watch"), opinion("s", "urgent")]
    verdict = decide(bench(*SAFETY), given, always(PERMITS))
    assert codes(verdict) == [R.VETO]
    assert verdict.leading == "watch"


def test_a_veto_is_not_outweighed() -> None:
    seats = (seat("a", weight="1000"), seat("b", weight="1000"), seat("s", weight="0.001", veto=("urgent",)))
    given = [*opinions("watch", "watch"), opinion("s", "urgent")]
    assert R.VETO in reasons(bench(*seats, strategy=Strategy.WEIGHTED), given)


def test_a_veto_on_which_all_agree_decides() -> None:
    assert decided(bench(*SAFETY), [*AGREED, opinion("s", "urgent")]) == "urgent"


def test_a_member_may_be_outvoted_where_it_holds_no_veto() -> None:
    assert decided(bench(*SAFETY), [*AGREED, opinion("s", "watch")]) == "urgent"


def test_half_the_samples_of_a_safety_role_are_a_veto() -> None:
    given = [*opinions("watch", "watch", "watch"), opinion("s", SPLIT)]
    assert R.VETO in reasons(bench(*SAFETY), given)


@pytest.mark.parametrize("status", [*SILENCES, MemberStatus.ABSTAINED, None])
def test_a_missing_veto_escalates(status: MemberStatus | None) -> None:
    given = opinions("watch", "watch", "watch") + ([] if status is None else [opinion("s", status=status)])
    assert R.REQUIRED_MEMBER in reasons(bench(*SAFETY), given)
