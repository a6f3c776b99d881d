"""What holds of every panel: whatever was said, whoever is missing, in any order and under any policy."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.adjudication import Bench, Policy, decide
from arbiter.documents.verdicts import verdict_document, verdict_from
from arbiter.model import MemberStatus, Opinion, PolicyOutcome, VerdictKind
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
    opinion,
    permitting,
    seat,
)

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
