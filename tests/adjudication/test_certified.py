"""Deciding by the posterior: only by a calibration of this very panel, and only above what is certified for the option."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.adjudication import Bench, decide
from arbiter.adjudication.aggregation import NEAR
from arbiter.adjudication.certainty import least_probability
from arbiter.calibration import Calibration
from arbiter.documents.calibrations import sealed
from arbiter.model import MemberId, MemberIdentity, MemberStatus, Opinion, Reason, ReasonCode, VerdictKind
from arbiter.question import Guarantee, ModelSpec, Seat, Strategy
from tests.adjudication.calibrations import calibration, stratum
from tests.adjudication.small import (
    PERMITS,
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
UNSURE = {"urgent": "0.95", "watch": "0.95"}


def court(*seats: Seat, known: Calibration | None = None, **changes: Any) -> Bench:
    made = bench(*seats, strategy=Strategy.POSTERIOR, threshold=None)
    if known is not None:
        return replace(made, calibration=known)
    return replace(made, calibration=calibration(made.protocol, **changes))


def number(verdict_numbers: tuple[tuple[str, str], ...], name: str) -> Decimal:
    return Decimal(dict(verdict_numbers)[name])


def test_members_that_agree_decide_and_the_numbers_say_by_what() -> None:
    """Three that are right nine times in ten: 0.9^3 / (0.9^3 + 0.1^3) = 729/730."""
    verdict = decide(court(), opinions("urgent", "urgent", "urgent"), always(PERMITS))
    assert (verdict.kind, verdict.option) == (VerdictKind.DECIDE, "urgent")
    assert number(verdict.numbers, "posterior.urgent") == round(Decimal(729) / 730, 6)
    assert {name: value for name, value in verdict.numbers if name.startswith("certified.")} == {
        "certified.threshold": "0.800000",
        "certified.alpha": "0.050000",
        "certified.delta": "0.050000",
        "certified.cases": "200.000000",
        "certified.errors": "2.000000",
        "certified.bound": "0.031111",
    }


def test_one_that_is_never_wrong_about_urgency_leads_against_two_that_often_are() -> None:
    often = [["0.6", "0.4"], ["0.4", "0.6"]]
    panel = court(
        thresholds={"urgent": "0.5"},
        reliability={"a": [["0.99", "0.01"], ["0.01", "0.99"]], "b": often, "c": often},
    )
    assert decided(panel, opinions("urgent", "watch", "watch")) == "urgent"
    assert decided(bench(), opinions("urgent", "watch", "watch")) == "watch"


def test_copies_of_one_error_do_not_add_up() -> None:
    alone = court(thresholds=UNSURE, correlations={("a", "b"): "1", ("a", "c"): "1", ("b", "c"): "1"})
    assert reasons(alone, opinions("urgent", "urgent", "urgent")) == [R.NOT_CERTIFIED]
    assert decided(court(thresholds=UNSURE), opinions("urgent", "urgent", "urgent")) == "urgent"


# --- no calibration, or another one --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (lambda made: None, "no calibration is in force"),
        (
            lambda made: replace(made, protocol_hash="0" * 64),
            "the calibration is for another version of the protocol",
        ),
        (lambda made: replace(made, options=("watch", "urgent")), "the calibration is for other options"),
    ],
)
def test_without_a_calibration_of_this_very_protocol_everything_escalates(known: Any, why: str) -> None:
    made = court()
    panel = replace(made, calibration=known(made.calibration))
    verdict = decide(panel, opinions("urgent", "urgent", "urgent"), always(PERMITS))
    assert verdict.kind is VerdictKind.ESCALATE
    assert verdict.reasons == (Reason(R.NO_CALIBRATION, why),)
    assert verdict.leading == "urgent"
    assert not any(name.startswith(("posterior", "certified")) for name, _ in verdict.numbers)


def test_a_member_that_is_not_the_one_on_record_escalates_by_name() -> None:
    given_opinions = opinions("urgent", "urgent", "urgent")
    other = replace(given_opinions[1], identity=MemberIdentity("score", "b", "2", "d" * 64))
    verdict = decide(court(), [given_opinions[0], other, given_opinions[2]], always(PERMITS))
    assert verdict.reasons == (Reason(R.UNRECORDED_MEMBER, "B"),)


def test_a_member_without_a_record_escalates() -> None:
    whole = court().calibration
    assert whole is not None
    known = sealed(
        replace(
            whole, records=whole.records[:2], correlations=tuple(row[:2] for row in whole.correlations[:2])
        )
    )
    assert reasons(court(known=known), opinions("urgent", "urgent", "urgent")) == [R.UNRECORDED_MEMBER]
    # One that never answers is heard by nobody, and what it might have said has no record either.
    assert R.MISSING_COULD_CHANGE in reasons(court(known=known), opinions("urgent", "urgent"))


@pytest.mark.parametrize("status", [MemberStatus.VALID, MemberStatus.ABSTAINED])
def test_whoever_abstained_or_answered_a_facet_must_be_on_record_too(status: MemberStatus) -> None:
    panel = court(seat("a"), seat("b"), seat("c"), seat("q", asks="sepsis-risk"))
    agreed = opinions("urgent", "urgent")
    other = MemberIdentity("score", "q", "2", "d" * 64)
    facet = opinion("q", "low", asks="sepsis-risk")
    assert decided(panel, [*agreed, abstains("c"), facet]) == "urgent"
    if status is MemberStatus.VALID:
        given_opinions = [*agreed, abstains("c"), replace(facet, identity=other)]
    else:
        given_opinions = [*agreed, replace(abstains("c"), identity=other), facet]
    assert reasons(panel, given_opinions) == [R.UNRECORDED_MEMBER]


@pytest.mark.parametrize(
    "promise",
    [
        None,
        Guarantee(Decimal("0.05"), ()),
        Guarantee(Decimal("0.04"), (("urgent", Decimal("0.05")), ("watch", Decimal("0.05")))),
        Guarantee(Decimal("0.05"), (("urgent", Decimal("0.05")), ("watch", Decimal("0.04")))),
    ],
    ids=["nothing", "no option", "a smaller delta", "a smaller rate"],
)
def test_a_calibration_that_promises_less_than_the_protocol_decides_nothing(
    promise: Guarantee | None,
) -> None:
    panel = court()
    stated = replace(panel.settings, guarantee=promise)
    panel = replace(panel, protocol=replace(panel.protocol, adjudication=stated))
    assert reasons(panel, opinions("urgent", "urgent", "urgent")) == [R.NO_CALIBRATION]


# --- what is certified ------------------------------------------------------------------------------------------------


def test_an_answer_less_certain_than_what_is_certified_escalates() -> None:
    verdict = decide(court(thresholds=UNSURE), opinions("urgent", "watch", "urgent"), always(PERMITS))
    assert verdict.reasons == (
        Reason(R.NOT_CERTIFIED, "“Urgent” has a probability of 0.900000, more than 0.950000 needed"),
    )


@pytest.mark.parametrize(
    ("threshold", "near"),
    [("0.9", True), ("0.900001", True), ("0.899999", True), ("0.900003", False), ("0.899997", False)],
)
def test_within_a_millionth_of_what_is_certified_nothing_is_decided(threshold: str, near: bool) -> None:
    verdict = decide(
        court(thresholds={"urgent": threshold}), opinions("urgent", "watch", "urgent"), always(PERMITS)
    )
    assert (R.NEAR_THRESHOLD in codes(verdict)) is near
    assert (verdict.option == "urgent") is (threshold == "0.899997")


def test_an_option_of_which_nothing_is_certified_is_never_decided() -> None:
    panel = court(thresholds={"urgent": None})
    assert reasons(panel, opinions("urgent", "urgent", "urgent")) == [R.NOT_CERTIFIED]
    assert decided(panel, opinions("watch", "watch", "watch")) == "watch"


def test_an_option_that_the_calibration_is_silent_about_is_never_decided() -> None:
    panel = court(strata=(stratum("watch"),))
    assert reasons(panel, opinions("urgent", "urgent", "urgent")) == [R.NOT_CERTIFIED]


def test_options_that_are_as_probable_as_each_other_escalate() -> None:
    panel = court(seat("a"), seat("b"))
    verdict = decide(panel, opinions("urgent", "watch"), always(PERMITS))
    assert verdict.leading is None
    assert Reason(R.NO_MAJORITY, "no option is more probable than every other") in verdict.reasons


def test_a_panel_of_which_nobody_answered_leans_to_nothing_however_frequent_an_option_is() -> None:
    panel = court(prior=(Decimal("0.01"), Decimal("0.99")), thresholds={"watch": "0"})
    verdict = decide(panel, [abstains(member, "lactate") for member in "abc"], always(PERMITS))
    assert (verdict.kind, verdict.leading) == (VerdictKind.ESCALATE, None)
    assert R.TOO_FEW_VALID in codes(verdict)


def test_a_rare_truth_needs_more_evidence() -> None:
    """One in a thousand is urgent: 729/1000 of three members' odds are not enough."""
    panel = court(prior=(Decimal("0.001"), Decimal("0.999")))
    verdict = decide(panel, opinions("urgent", "urgent", "urgent"), always(PERMITS))
    assert (verdict.leading, codes(verdict)) == ("watch", [R.NOT_CERTIFIED])


# --- the missing ----------------------------------------------------------------------------------------------------


def test_a_missing_member_is_supposed_to_say_anything_that_would_raise_a_doubt() -> None:
    lost = opinion("c", status=MemberStatus.DOWN)
    assert decided(court(), [*opinions("urgent", "urgent"), lost]) == "urgent"
    assert reasons(court(thresholds=UNSURE), [*opinions("urgent", "urgent"), lost]) == [
        R.MISSING_COULD_CHANGE
    ]


MODEL = ModelSpec(
    "gpu-a", "ward-8b", "r1", None, None, "bfloat16", "brief", 5, Decimal("0.7"), Decimal(1), 256
)


def test_a_missing_model_may_have_been_in_two_minds() -> None:
    """Whatever one thing it had said, the panel would decide; torn between both, it would be too torn within."""
    seats = (seat("a"), replace(seat("b"), model=MODEL))
    open_bench = bench(
        *seats,
        strategy=Strategy.POSTERIOR,
        threshold=None,
        greatest_within=Decimal("0.4"),
        greatest_between=Decimal(1),
        least_valid=1,
    )
    divided = {"urgent": 1, "watch": 1}
    torn = [opinion("a", "urgent"), opinion("b", divided)]
    lost = [opinion("a", "urgent"), opinion("b", status=MemberStatus.DOWN)]
    assert R.DISAGREEMENT_WITHIN in reasons(open_bench, torn)
    assert R.MISSING_COULD_CHANGE in reasons(open_bench, lost)


def test_facts_are_asked_for_where_one_more_answer_would_be_certain_enough() -> None:
    panel = court(thresholds={"urgent": "0.99"})
    panel = replace(
        panel,
        protocol=replace(panel.protocol, adjudication=replace(panel.settings, asks_for_facts=True)),
    )
    verdict = decide(panel, [*opinions("urgent", "urgent"), abstains("c", "lactate")], always(PERMITS))
    assert (verdict.kind, verdict.wanted) == (VerdictKind.ASK_FACTS, ("lactate",))
    assert R.NOT_CERTIFIED in codes(verdict)


def test_how_sure_a_panel_is_is_the_least_over_all_that_the_missing_could_have_said() -> None:
    """Two of three said urgent: 81/82; were the third against it, 9/10 of them are left."""
    panel, said = court(), opinions("urgent", "urgent")
    assert least_probability(panel, said, "urgent") == pytest.approx(0.9, abs=1e-12)
    assert least_probability(panel, [*said, abstains("c")], "urgent") == pytest.approx(81 / 82, abs=1e-12)
    stranger = replace(said[0], identity=MemberIdentity("score", "a", "2", "d" * 64))
    assert least_probability(panel, [stranger, said[1]], "urgent") is None
    many = court(*(seat(name) for name in "abcdefgh"))
    assert least_probability(many, said, "urgent") is None


# --- properties -----------------------------------------------------------------------------------------------------

VOTES = st.dictionaries(st.sampled_from(("urgent", "watch")), st.integers(1, 4), min_size=1)
CASTS = st.tuples(VOTES, VOTES, VOTES)
RHO = st.sampled_from(("-0.5", "0", "0.4", "1"))


@settings(deadline=None, max_examples=100)
@given(cast=CASTS, rho=RHO, order=st.permutations(range(3)))
def test_members_seated_in_another_order_decide_the_same(
    cast: tuple[dict[str, int], ...], rho: str, order: list[int]
) -> None:
    names = "abc"
    pairs = {("a", "b"): rho}
    said: list[Opinion] = opinions(*cast)
    here = court(correlations=pairs)
    there = court(*(seat(names[at]) for at in order), correlations=pairs)
    one, other = decide(here, said, always(PERMITS)), decide(there, said, always(PERMITS))
    assert (one.kind, one.option, codes(one)) == (other.kind, other.option, codes(other))
    for name, value in one.numbers:
        assert number(other.numbers, name) == pytest.approx(Decimal(value), abs=Decimal("0.000001"))


@settings(deadline=None, max_examples=100)
@given(cast=CASTS, lost=st.integers(0, 2), rho=RHO, threshold=st.sampled_from(("0.5", "0.9", "0.97")))
def test_losing_a_member_never_decides_what_its_answer_would_have_stopped(
    cast: tuple[dict[str, int], ...], lost: int, rho: str, threshold: str
) -> None:
    """Whatever it had said, in any number of voices, models being supposed to be of two minds too."""
    seats = tuple(replace(seat(name), model=MODEL) for name in "abc")
    panel = court(
        *seats, thresholds={"urgent": threshold, "watch": threshold}, correlations={("a", "b"): rho}
    )
    within = replace(panel.settings, greatest_within=Decimal("0.4"), greatest_between=Decimal("0.95"))
    panel = replace(panel, protocol=replace(panel.protocol, adjudication=within))
    said = opinions(*cast)
    whole = decide(panel, said, always(PERMITS))
    fewer = decide(panel, [each for each in said if each.member != MemberId("abc"[lost])], always(PERMITS))
    if fewer.kind is VerdictKind.DECIDE:
        assert whole.option == fewer.option


@settings(deadline=None, max_examples=100)
@given(
    cast=CASTS,
    lost=st.sets(st.sampled_from("abc"), max_size=2),
    rho=RHO,
    threshold=st.sampled_from(("0.3", "0.6", "0.9", "0.97")),
)
def test_a_case_is_decided_just_where_its_least_probability_lies_above_the_level(
    cast: tuple[dict[str, int], ...], lost: set[str], rho: str, threshold: str
) -> None:
    """What is certified (candidates above a level) and what is decided (with that level) are the same cases."""
    said = [each for each in opinions(*cast) if each.member not in lost]
    seats = tuple(replace(seat(name), model=MODEL) for name in "abc")

    def panel(level: str) -> Bench:
        return court(*seats, thresholds={"urgent": level, "watch": level}, correlations={("a", "b"): rho})

    candidate = decide(panel("0"), said, always(PERMITS))
    verdict = decide(panel(threshold), said, always(PERMITS))
    expected = None
    if candidate.option is not None:
        least = least_probability(panel("0"), said, candidate.option)
        assert least is not None
        expected = candidate.option if least - float(threshold) > NEAR else None
    assert verdict.option == expected
