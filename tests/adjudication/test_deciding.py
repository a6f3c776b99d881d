"""Every reason for which a panel does not decide, and the little that is left for it to decide."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.adjudication import Bench, Policy, decide, escalation
from arbiter.documents import verdict_document, verdict_from
from arbiter.errors import UndecidableError
from arbiter.model import (
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RuleEffect,
    Verdict,
    VerdictKind,
)
from arbiter.question import QUESTION, Seat, Strategy
from tests.adjudication.small import (
    DENIES,
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
    opinions,
    permitting,
    seat,
)

R = ReasonCode
AGREED = opinions("urgent", "urgent", "urgent")
SPLIT = {"urgent": 1, "watch": 1}


def decided(court: Bench, given: Sequence[Opinion], policy: Policy | None = None) -> str | None:
    return decide(court, given, policy or always(PERMITS)).option


def reasons(court: Bench, given: Sequence[Opinion], policy: Policy | None = None) -> list[ReasonCode]:
    verdict = decide(court, given, policy or always(PERMITS))
    assert verdict.kind is VerdictKind.ESCALATE
    assert verdict.option is None
    return codes(verdict)


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

SAFETY = (seat("a"), seat("b"), seat("c"), seat("s", veto=("urgent",)))


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


# --- what must not be weighed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stranger",
    [
        opinion("c", "urgent", facts_hash="0" * 64),
        opinion("c", status=MemberStatus.DOWN, facts_hash="0" * 64),
        opinion("z", "urgent"),
        opinion("a", "urgent"),
        opinion("a", "watch"),
        opinion("c", "urgent", asks="sepsis-risk"),
        opinion("c", "surgery"),
        opinion("c", "high"),
        opinion("c", status=MemberStatus.VALID),
        opinion("c", {"urgent": 0, "watch": 1}),
        opinion("c", {"urgent": -1, "watch": 3}),
        replace(opinion("c", {"urgent": 2}), samples=1),
        replace(opinion("c"), votes=(("urgent", 1), ("urgent", 1)), samples=2),
    ],
)
def test_an_opinion_that_must_not_be_weighed_with_the_others_is_refused(stranger: Opinion) -> None:
    with pytest.raises(UndecidableError):
        decide(bench(), [*opinions("urgent", "urgent"), stranger], always(PERMITS))


@pytest.mark.parametrize(
    "numbers",
    [
        {"threshold": Decimal("NaN")},
        {"threshold": Decimal("1.1")},
        {"greatest_between": Decimal("NaN")},
        {"greatest_between": Decimal("Infinity")},
        {"greatest_within": Decimal(-1)},
        {"family_correlation": Decimal("NaN")},
        {"family_correlation": Decimal(2)},
        {"least_effective": Decimal("NaN")},
        {"least_effective": Decimal("-Infinity")},
    ],
)
def test_settings_with_which_every_comparison_would_be_false_are_refused(
    numbers: Mapping[str, Any],
) -> None:
    with pytest.raises(UndecidableError):
        bench(**numbers)


@pytest.mark.parametrize("weight", ["0", "-1", "NaN", "Infinity", "1e-300", "1e300"])
def test_a_seat_whose_weight_weighs_nothing_or_everything_is_refused(weight: str) -> None:
    with pytest.raises(UndecidableError):
        bench(seat("a"), seat("b", weight=weight))


def test_a_question_with_one_option_is_refused() -> None:
    with pytest.raises(UndecidableError):
        bench(options=("urgent",))


# --- missing members ---------------------------------------------------------------------------------------------


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


# --- asking for facts --------------------------------------------------------------------------------------------

NEEDY = (seat("a"), seat("b"), seat("c", required=True))


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


# --- properties --------------------------------------------------------------------------------------------------

PANEL: tuple[Seat, ...] = (
    seat("a", family="x", weight="2"),
    seat("b", family="x"),
    seat("c", family="y", veto=("urgent",)),
    seat("q", asks="sepsis-risk"),
)
RISKS = ("high", "some", "low")


def cast(member: str, asks: str) -> st.SearchStrategy[Opinion | None]:
    options = OPTIONS if asks == QUESTION else RISKS
    votes = st.dictionaries(st.sampled_from(options), st.integers(1, 4), min_size=1)
    return st.one_of(
        votes.map(lambda given: opinion(member, given, asks=asks)),
        votes.map(lambda given: opinion(member, given, asks=asks)),
        st.sampled_from([(), ("pulse",)]).map(lambda missing: abstains(member, *missing, asks=asks)),
        st.sampled_from(SILENCES).map(lambda status: opinion(member, status=status, asks=asks)),
        st.none(),
    )


BUSY = settings(deadline=None, max_examples=200)
"""Up to 108 completions an example, on machines shared with other work."""
PANELS = st.tuples(*(cast(place.member, place.asks) for place in PANEL)).map(
    lambda given: [each for each in given if each is not None]
)
COURTS = st.builds(
    lambda strategy, between, asks, valid: bench(
        *PANEL, strategy=strategy, greatest_between=between, asks_for_facts=asks, least_valid=valid
    ),
    st.sampled_from(Strategy),
    st.sampled_from([Decimal("0.3"), Decimal("0.95"), Decimal(1)]),
    st.booleans(),
    st.integers(0, 3),
)
POLICIES = st.sampled_from(
    [
        always(PERMITS),
        always(replace(PERMITS, permitted=("urgent",))),
        permitting(lambda facets, _: facets.get("sepsis-risk") != "high"),
        permitting(lambda facets, valid: "sepsis-risk" in facets or valid > 2),
    ]
)


@BUSY
@given(court=COURTS, given_opinions=PANELS, policy=POLICIES, draw=st.data())
def test_a_decision_ignores_the_order_of_opinions(
    court: Bench, given_opinions: list[Opinion], policy: Policy, draw: st.DataObject
) -> None:
    shuffled = draw.draw(st.permutations(given_opinions))
    assert decide(court, shuffled, policy) == decide(court, given_opinions, policy)


@BUSY
@given(court=COURTS, given_opinions=PANELS, policy=POLICIES)
def test_no_completion_of_the_missing_contradicts_a_decision(
    court: Bench, given_opinions: list[Opinion], policy: Policy
) -> None:
    """Supposes whole opinions from outside, so that it shares nothing with the enumeration under test."""
    verdict = decide(court, given_opinions, policy)
    if verdict.kind is not VerdictKind.DECIDE:
        return
    heard = [each for each in given_opinions if each.status in {MemberStatus.VALID, MemberStatus.ABSTAINED}]
    known = {each.member for each in heard}
    answers = [
        [
            abstains(place.member, asks=place.asks),
            *(opinion(place.member, option, asks=place.asks) for option in court.option_ids(place.asks)),
        ]
        for place in PANEL
        if place.member not in known
    ]
    for supposed in product(*answers):
        assert decide(court, [*heard, *supposed], policy).option == verdict.option


@BUSY
@given(court=COURTS, given_opinions=PANELS, policy=POLICIES, lost=st.integers(0, 3))
def test_losing_a_member_never_makes_a_decision_out_of_what_the_whole_panel_escalated(
    court: Bench, given_opinions: list[Opinion], policy: Policy, lost: int
) -> None:
    """Restricted to members that spoke with one voice: a divided one is none of the answers supposed."""
    if any(len(each.votes) > 1 for each in given_opinions):
        return
    whole = decide(court, given_opinions, policy)
    kept = [each for each in given_opinions if each.member != PANEL[lost].member]
    fewer = decide(court, kept, policy)
    if fewer.kind is VerdictKind.DECIDE:
        assert whole.option == fewer.option


@BUSY
@given(court=COURTS, given_opinions=PANELS, policy=POLICIES)
def test_an_option_is_named_exactly_where_nothing_stands_against_it(
    court: Bench, given_opinions: list[Opinion], policy: Policy
) -> None:
    verdict = decide(court, given_opinions, policy)
    assert (verdict.kind is VerdictKind.DECIDE) == (verdict.option is not None) == (verdict.reasons == ())
    assert (verdict.kind is VerdictKind.ASK_FACTS) == (verdict.wanted != ())
    assert verdict.option in {None, verdict.leading}
    assert verdict_from(verdict_document(verdict)) == verdict


@BUSY
@given(court=COURTS, given_opinions=PANELS, outcome=st.sampled_from([SILENT, DENIES, FAILS]))
def test_nothing_is_decided_without_a_permit_or_against_a_denial_or_a_failure(
    court: Bench, given_opinions: list[Opinion], outcome: PolicyOutcome
) -> None:
    assert decide(court, given_opinions, always(outcome)).kind is VerdictKind.ESCALATE


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
