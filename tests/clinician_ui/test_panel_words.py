"""The certificate in words: what is missing or strange is an error, dissent comes first, nothing is smoothed over."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from arbiter.errors import VerificationError
from arbiter.model import MemberStatus
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import RevealedCase
from clinician_ui.presenters.case import case_page
from clinician_ui.presenters.panel import PanelPage, panel_page, words_of
from tests.clinician_ui.test_presenters import HERE, blind, fact

OWN = OwnOpinion("yes", 70, ("respiratory_rate", "lactate"), "a note")


def seat(member: str, leading: str | None, status: str = "valid", **changes: object) -> dict[str, Any]:
    document: dict[str, Any] = {
        "member": member,
        "title": f"Score {member}",
        "asks": "question",
        "family": "bedside-observations",
        "required": False,
        "veto": [],
        "status": status,
        "votes": {} if leading is None else {leading: 1},
        "samples": 1,
        "evidence": [],
        "missing": [],
        "rationale": "",
    }
    if leading is not None:
        document["leading"] = leading
    return document | changes


def certificate(*seats: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {
        "format": "arbiter/certificate/v1",
        "options": [{"id": "yes", "title": "Yes, now"}, {"id": "no", "title": "No"}],
        "opinions": list(seats),
        "facets": {},
        "settings": {"greatest_between": "0.5", "greatest_within": "0.5", "strategy": "weighted"},
        "verdict": {"kind": "escalate", "reasons": [], "numbers": [], "wanted": []},
        "plain": "The question: Urgent?",
    } | changes


def shown(*seats: dict[str, Any], own: OwnOpinion | None = OWN, **changes: object) -> PanelPage:
    case = blind(fact())
    revealed = RevealedCase(blind=case, own=own, certificate=certificate(*seats, **changes))
    return panel_page(revealed, case_page(case, HERE))


def verdict(**changes: object) -> dict[str, Any]:
    return {"kind": "escalate", "reasons": [], "numbers": [], "wanted": []} | changes


def measured(**numbers: str) -> dict[str, Any]:
    return verdict(numbers=[{"name": name, "value": value} for name, value in numbers.items()])


# --- order and stance ----------------------------------------------------------------------------------------------


def test_dissent_stands_before_the_majority_and_silence_last() -> None:
    page = shown(seat("a", "no"), seat("b", None, "abstained"), seat("c", "no"), seat("d", "yes"))
    assert [(card.title[-1], card.stance) for card in page.members] == [
        ("d", "dissent"),
        ("a", "majority"),
        ("c", "majority"),
        ("b", "silent"),
    ]


def test_where_voices_are_even_every_voice_stands_out() -> None:
    page = shown(seat("a", "no"), seat("b", "yes"))
    assert {card.stance for card in page.members} == {"dissent"}


def test_an_agreeing_panel_has_no_dissent() -> None:
    assert {card.stance for card in shown(seat("a", "no"), seat("b", "no")).members} == {"majority"}


def test_each_answer_is_set_beside_the_reviewers_own() -> None:
    page = shown(seat("a", "no"), seat("b", "yes"), seat("c", None, "down"))
    beside = {card.title[-1]: card.beside_own.text if card.beside_own else None for card in page.members}
    assert beside == {"a": "Differs from you", "b": "As you said", "c": None}


def test_without_an_own_opinion_nothing_is_compared() -> None:
    page = shown(seat("a", "no"), own=None)
    assert page.own is None
    assert page.members[0].beside_own is None


def test_the_tally_counts_every_seat() -> None:
    page = shown(
        seat("a", "no"), seat("b", "yes"), seat("c", None, "timed-out"), seat("d", None, "not-heard")
    )
    assert page.tally == ("1 of 4: Yes, now", "1 of 4: No", "2 of 4: no clear answer")


# --- states are never merged -----------------------------------------------------------------------------------------


def test_every_state_but_valid_has_a_tag_and_a_sentence_of_its_own() -> None:
    states = [*(status.value for status in MemberStatus if status is not MemberStatus.VALID), "not-heard"]
    cards = [shown(seat("a", None, state)).members[0] for state in states]
    assert len({card.status.text for card in cards if card.status}) == len(states)
    assert len({card.silence for card in cards}) == len(states)
    assert {card.answer for card in cards} == {"No answer"}


def test_a_member_in_two_minds_is_divided_not_silent() -> None:
    card = shown(seat("a", None, votes={"yes": 2, "no": 2}, samples=5)).members[0]
    assert (card.answer, card.status) == ("Divided", None)
    assert card.votes == (
        "2 of 5 samples: Yes, now. 2 of 5 samples: No. 1 of 5 samples gave no vote that counts."
    )


def test_a_member_whose_samples_differ_is_told_with_its_self_consistency() -> None:
    divided = shown(seat("a", "yes", votes={"yes": 2, "no": 1}, samples=3, self_consistency="0.081704"))
    assert divided.members[0].votes.endswith(
        "1 of 3 samples: No. Self-consistency 0.08, where 1 is all the same."
    )
    agreed = shown(seat("a", "yes", votes={"yes": 3}, samples=3, self_consistency="1.000000"))
    assert "Self-consistency" not in agreed.members[0].votes


def test_a_member_asked_once_says_nothing_of_samples() -> None:
    assert shown(seat("a", "yes")).members[0].votes == ""


def test_samples_that_all_failed_are_told_beside_the_failure() -> None:
    card = shown(
        seat("a", None, "invalid", samples=3, rationale="refused: answers that cannot be read")
    ).members[0]
    assert card.votes == "3 of 3 samples gave no vote that counts."
    assert card.status is not None
    assert card.rationale == "refused: answers that cannot be read"


MODEL = {
    "kind": "vllm",
    "name": "ward-8b",
    "version": "2026-03",
    "digest": "0" * 64,
    "details": {"engine": "vllm 0.32.0", "adapter": "sepsis", "dtype": "bfloat16"},
}


def test_a_language_model_is_named_with_its_revision_adapter_and_server() -> None:
    card = shown(seat("a", "yes", identity=MODEL)).members[0]
    assert card.model == "Language model ward-8b, revision 2026-03, adapter sepsis, served by vllm 0.32.0."


def test_a_score_is_not_called_a_language_model() -> None:
    score = {"kind": "score", "name": "news2", "version": "2017", "digest": "0" * 64, "details": {}}
    assert shown(seat("a", "yes", identity=score)).members[0].model == ""
    assert shown(seat("a", None, "not-heard")).members[0].model == ""


def test_an_identity_of_another_shape_is_an_error() -> None:
    with pytest.raises(VerificationError, match="opinions/0/identity"):
        shown(seat("a", "yes", identity={"kind": "vllm"}))


def test_a_panel_without_voters_leans_nowhere_and_is_not_said_to_disagree() -> None:
    seats = (seat("a", "high", asks="cardiac-risk"), seat("b", "low", asks="cardiac-risk"))
    page = shown(*seats, facets={"cardiac-risk": "high"})
    assert (page.asked, page.votes, page.tally, page.members, page.disagreement) == (True, False, (), (), ())
    assert [(facet.title, facet.answer, len(facet.members)) for facet in page.facets] == [
        ("Cardiac risk", "High", 2)
    ]


def test_a_panel_with_one_voter_among_facets_still_votes() -> None:
    assert shown(seat("a", "no"), seat("b", "low", asks="cardiac-risk")).votes


def test_a_panel_that_nobody_asked_is_told_apart() -> None:
    assert not shown(seat("a", None, "not-heard")).asked
    assert shown(seat("a", None, "not-heard"), seat("b", None, "down")).asked


# --- numbers in words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("between", "words"),
    [
        ("0.000000", "agree with one another"),
        ("0.811278", "0.81 on a scale from 0 to 1, more than the limit of 0.50"),
        ("0.500000", "within the limit of 0.50"),
    ],
)
def test_disagreement_is_measured_against_its_limit(between: str, words: str) -> None:
    page = shown(seat("a", "no"), verdict=measured(between=between, within="0.000000"))
    assert words in page.disagreement[0]


def test_what_was_not_measured_is_not_called_agreement() -> None:
    page = shown(seat("a", "no"), verdict=measured(valid="1.000000", effective="1.000000"))
    assert page.disagreement == (
        "Disagreement could not be measured: fewer than two members gave a valid answer.",
    )


def test_members_that_err_together_are_counted_as_fewer_voices() -> None:
    numbers = measured(valid="3.000000", effective="1.363636", between="0.1", within="0.0")
    page = shown(seat("a", "no"), verdict=numbers)
    assert "the 3 that answered count as 1.4 independent voices" in page.disagreement[-1]


@pytest.mark.parametrize(
    ("given", "leaning"),
    [({"leading": "no"}, "No"), ({}, "No common answer"), ({"leading": "gone"}, "gone")],
)
def test_a_leaning_is_named_only_where_there_is_one(given: dict[str, str], leaning: str) -> None:
    assert shown(seat("a", "no"), verdict=verdict(**given)).leaning == leaning


# --- evidence, facets, policy ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cited", "value"),
    [("24", "24\u00a0per minute"), ("25", "25"), ("24.0", "24.0")],
    ids=["the case's value", "another value", "another spelling"],
)
def test_a_cited_value_is_respelt_only_where_it_is_the_cases_own(cited: str, value: str) -> None:
    evidence = [{"fact": "respiratory_rate", "value": cited, "finding": "21 to 24", "points": 2}]
    row = shown(seat("a", "no", evidence=evidence)).members[0].evidence[0]
    assert (row.title, row.value, row.points, row.nothing) == ("Respiratory rate", value, "2 points", False)


def test_points_are_optional_and_none_is_not_nought() -> None:
    evidence = [
        {"fact": "x_y", "value": "1", "finding": "f"},
        {"fact": "x_y", "value": "1", "finding": "f", "points": 0},
        {"fact": "x_y", "value": "1", "finding": "f", "points": 1},
    ]
    rows = shown(seat("a", "no", evidence=evidence)).members[0].evidence
    assert [(row.title, row.points, row.nothing) for row in rows] == [
        ("X y", "", False),
        ("X y", "0 points", True),
        ("X y", "1 point", False),
    ]


def test_a_facet_is_kept_apart_from_the_question() -> None:
    page = shown(
        seat("a", "no"), seat("q", "not-high", asks="sepsis-risk"), facets={"sepsis-risk": "not-high"}
    )
    assert [card.title for card in page.members] == ["Score a"]
    facet = page.facets[0]
    assert (facet.title, facet.answer, facet.members[0].answer) == ("Sepsis risk", "Not high", "Not high")
    assert facet.members[0].beside_own is None


def test_a_facet_without_an_answer_says_so() -> None:
    assert shown(seat("q", None, "abstained", asks="sepsis-risk")).facets[0].answer == "Nobody answered"


def test_rules_are_told_by_effect_and_failures_are_not_left_out() -> None:
    policy = {
        "hits": [
            {"rule": "r1", "effect": "require", "options": ["yes"], "rationale": "why"},
            {"rule": "r2", "effect": "deny", "options": [], "rationale": "because"},
        ],
        "failures": [{"rule": "r3", "cause": "no such fact"}],
        "permitted": [],
        "policy_hash": "h",
    }
    assert [(line.rule, line.effect, line.rationale) for line in shown(policy=policy).rules] == [
        ("r1", "Leaves open only: Yes, now", "why"),
        ("r2", "Asks for a clinician", "because"),
        ("r3", "Could not be evaluated", "no such fact"),
    ]


def test_reasons_are_the_certificates_own_sentences() -> None:
    reasons = [{"code": "veto", "detail": "d", "sentence": "A member that may not be outvoted disagrees: d."}]
    assert shown(verdict=verdict(reasons=reasons)).reasons == (
        "A member that may not be outvoted disagrees: d.",
    )


def test_a_contested_decision_of_the_panels_says_what_the_requester_was_told() -> None:
    decided = {"option": "no", "title": "No", "by": "panel"}
    assert shown(verdict=verdict(kind="decide", option="no"), decision=decided).reasons == (
        "The panel decided it alone, the requester was told “No”, and that is contested.",
    )


def test_what_a_clinician_has_decided_since_is_not_told_as_the_panels() -> None:
    signed = {"option": "yes", "title": "Yes, now", "by": "reviewer", "signature": {"reviewer": "usr_anna"}}
    (reason,) = shown(verdict=verdict(kind="decide", option="no"), decision=signed).reasons
    assert (
        reason == "The panel decided it alone, a clinician has decided it again since, and that is contested."
    )


def test_a_case_that_nothing_was_decided_of_is_not_contested() -> None:
    assert shown(verdict=verdict(kind="decide", option="no")).reasons == ()


def test_the_own_opinion_is_told_in_the_cases_words() -> None:
    own = shown(seat("a", "no")).own
    assert own is not None
    assert (own.title, own.confidence, own.rests_on) == ("Yes, now", 70, ("Respiratory rate", "lactate"))


@pytest.mark.parametrize(
    ("identifier", "words"),
    [("white_cell_count", "White cell count"), ("not-high", "Not high"), ("", ""), ("paco2", "Paco2")],
)
def test_identifiers_become_words(identifier: str, words: str) -> None:
    assert words_of(identifier) == words


# --- certificates that are not what they should be ---------------------------------------------------------------------


def _without(*path: str) -> Callable[[dict[str, Any]], None]:
    def damage(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[int(step)] if step.isdigit() else place[step]
        del place[path[-1]]

    return damage


DAMAGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another format": lambda document: document.update(format="arbiter/certificate/v2"),
    "no format": _without("format"),
    "no options": _without("options"),
    "no opinions": _without("opinions"),
    "no verdict": _without("verdict"),
    "no reasons": _without("verdict", "reasons"),
    "no plain words": _without("plain"),
    "no title": _without("opinions", "0", "title"),
    "no family": _without("opinions", "0", "family"),
    "an unknown state": lambda document: document["opinions"][0].update(status="fine"),
    "an unknown effect": lambda document: document.update(
        policy={"hits": [{"rule": "r", "effect": "allow", "options": [], "rationale": ""}], "failures": []}
    ),
    "votes that are words": lambda document: document["opinions"][0].update(votes={"yes": "many"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_certificate_is_refused_not_shown_with_gaps(damage: str) -> None:
    document = copy.deepcopy(certificate(seat("a", "no")))
    DAMAGES[damage](document)
    case = blind(fact())
    with pytest.raises(VerificationError, match="the certificate's /"):
        panel_page(RevealedCase(case, OWN, document), case_page(case, HERE))
