"""A member that is missing counts as every answer it could have given: the panel decides only where none of them matters."""

from decimal import Decimal

import pytest

from arbiter.adjudication import decide
from arbiter.model import MemberStatus, ReasonCode
from arbiter.question import Strategy
from tests.adjudication.small import (
    DENIES,
    OPTIONS,
    PERMITS,
    SILENCES,
    abstains,
    always,
    bench,
    codes,
    decided,
    opinion,
    opinions,
    permitting,
    reasons,
    seat,
)

R = ReasonCode


@pytest.mark.parametrize("status", [*SILENCES, None])
def test_a_missing_member_that_could_change_the_outcome_escalates(status: MemberStatus | None) -> None:
    """One of three missing: its dissent would take disagreement beyond the bound."""
    given = opinions("urgent", "urgent") + ([] if status is None else [opinion("c", status=status)])
    assert reasons(bench(greatest_between=Decimal("0.9")), given) == [R.MISSING_COULD_CHANGE]


@pytest.mark.parametrize("status", [*SILENCES, None])
def test_a_missing_member_that_could_change_nothing_does_not_stop_the_panel(
    status: MemberStatus | None,
) -> None:
    given = opinions("urgent", "urgent") + ([] if status is None else [opinion("c", status=status)])
    assert decided(bench(), given) == "urgent"


def test_votes_that_came_with_a_failed_answer_do_not_vote() -> None:
    given = [*opinions("urgent", "urgent"), opinion("c", {"watch": 9}, MemberStatus.TIMED_OUT)]
    assert decided(bench(), given) == "urgent"


def test_a_missing_member_that_could_make_a_tie_escalates() -> None:
    court = bench(*(seat(member) for member in "abcd"))
    assert reasons(court, opinions("urgent", "urgent", "watch")) == [R.MISSING_COULD_CHANGE]


def test_a_missing_member_that_would_decide_the_opposite_escalates() -> None:
    """Whatever the heavy one says is decided, so every completion decides, and not the same."""
    court = bench(seat("a"), seat("b"), seat("c", weight="10"), strategy=Strategy.WEIGHTED)
    for option in (*OPTIONS, None):
        whole = [*opinions("urgent", "urgent"), abstains("c") if option is None else opinion("c", option)]
        assert decided(court, whole) == (option or "urgent")
    assert reasons(court, opinions("urgent", "urgent")) == [R.MISSING_COULD_CHANGE]


def test_a_missing_member_whose_answer_would_let_policy_deny_escalates() -> None:
    """Policy is asked anew for each answer supposed: here it permits two members and not three."""
    assert reasons(bench(), opinions("urgent", "urgent"), permitting(lambda _, valid: valid == 2)) == [
        R.MISSING_COULD_CHANGE
    ]


def test_a_missing_answer_to_a_facet_that_policy_turns_on_escalates() -> None:
    court = bench(seat("a"), seat("b"), seat("q", asks="sepsis-risk"))
    turns = permitting(lambda facets, _: facets.get("sepsis-risk") != "high")
    given = opinions("urgent", "urgent")
    assert reasons(court, given, turns) == [R.MISSING_COULD_CHANGE]
    assert decided(court, [*given, opinion("q", "low", asks="sepsis-risk")], turns) == "urgent"
    assert decided(court, [*given, abstains("q", asks="sepsis-risk")], turns) == "urgent"
    assert decided(court, given) == "urgent"


def test_more_ways_of_answering_than_256_escalate() -> None:
    """Two options and an abstention are three ways a member: 3**5 = 243, 3**6 = 729."""
    for missing, expected in ((5, "urgent"), (6, None)):
        seats = [seat(f"m{number:02}") for number in range(7 + missing)]
        given = [opinion(present.member, "urgent") for present in seats[:7]]
        verdict = decide(bench(*seats), given, always(PERMITS))
        assert verdict.option == expected
    assert codes(verdict) == [R.MISSING_COULD_CHANGE]
    assert verdict.reasons[0].detail.endswith("more than 256 ways in which they could have answered")


def test_a_missing_member_is_no_further_reason_where_it_could_change_nothing() -> None:
    assert reasons(bench(), opinions("urgent", "urgent"), always(DENIES)) == [R.POLICY_DENIES]
