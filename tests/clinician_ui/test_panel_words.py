"""The certificate in words: what is missing or strange is an error, dissent comes first, nothing is smoothed over."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from arbiter.errors import VerificationError
from arbiter.model import MemberStatus
from clinician_ui.presenters.case import case_page
from clinician_ui.presenters.panel import panel_page
from clinician_ui.presenters.wording import words_of
from tests.clinician_ui.certificates import (
    CASE,
    certificate,
    cites,
    revealed,
    seat,
    shown,
    verdict,
)
from tests.clinician_ui.test_presenters import HERE

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
    assert (card.answer, card.status, card.silence) == ("Divided", None, "")


def test_why_a_member_failed_is_the_panels_word_and_no_rationale_of_its_own() -> None:
    failed = shown(seat("a", None, "invalid", rationale="refused: answers that cannot be read")).members[0]
    assert (failed.cause, failed.rationale) == ("refused: answers that cannot be read", "")
    abstained = shown(seat("a", None, "abstained", rationale="too little is known")).members[0]
    assert (abstained.cause, abstained.rationale) == ("", "too little is known")


def test_all_who_gave_no_valid_answer_are_gathered_with_what_they_were_asked() -> None:
    page = shown(
        seat("a", "no"),
        seat("b", None, "down"),
        seat("c", None, "timed-out", asks="sepsis-risk"),
        seat("d", None, votes={"yes": 1, "no": 1}, samples=2),
    )
    assert [(card.title, card.asks) for card in page.failed] == [("Score b", ""), ("Score c", "Sepsis risk")]


def test_what_a_seat_is_given_is_told() -> None:
    card = shown(seat("a", "yes", required=True, veto=["yes"])).members[0]
    assert card.standing == (
        "Nothing is decided without it.",
        "May not be outvoted when it says “Yes, now”.",
    )
    assert shown(seat("a", "yes")).members[0].standing == ()


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
    assert (page.asked, page.votes, page.tally, page.members) == (True, False, (), ())
    assert (page.disagreement, page.light) == (None, None)
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
    ("given", "leaning"),
    [({"leading": "no"}, "No"), ({}, "No common answer"), ({"leading": "gone"}, "gone")],
)
def test_a_leaning_is_named_only_where_there_is_one(given: dict[str, str], leaning: str) -> None:
    assert shown(seat("a", "no"), verdict=verdict(**given)).leaning == leaning


# --- evidence, facets, policy ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cited", "value", "mark"),
    [
        (cites("respiratory_rate", "24"), "24\u00a0per minute", ""),
        (cites("respiratory_rate", "24.0"), "24\u00a0per minute", ""),
        (cites("respiratory_rate", "25"), "25", "Not the value in the case"),
        (cites("respiratory_rate", "2.4e1"), "2.4e1", "Not the value in the case"),
        (cites("respiratory_rate", ""), "", "Not the value in the case"),
        (cites("consciousness", "pain"), "Responds to pain", ""),
        (cites("consciousness", "alert"), "Alert", "Not the value in the case"),
        (cites("consciousness", "Pain"), "Pain", "Not the value in the case"),
        (cites("temperature", "38.6"), "38.6\u00a0°C", "Too old when the case came in"),
        (cites("lactate", "4.1"), "4.1", "The case does not hold this fact"),
        (cites("blood_type", "true"), "Yes", "The case does not hold this fact"),
    ],
)
def test_a_cited_value_stands_beside_the_cases_own(cited: dict[str, Any], value: str, mark: str) -> None:
    row = shown(seat("a", "no", evidence=[cited])).members[0].evidence[0]
    assert (row.value, row.mark) == (value, mark)


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


def test_rules_are_told_by_effect_and_owner_and_failures_are_not_left_out() -> None:
    policy = {
        "hits": [
            {"rule": "r1", "effect": "require", "options": ["yes"], "rationale": "why"},
            {"rule": "r2", "effect": "deny", "options": [], "rationale": "because"},
        ],
        "failures": [{"rule": "r3", "cause": "no such fact"}],
        "permitted": [],
        "policy_hash": "h",
    }
    owners = (("r1", "acute medicine"), ("r3", "pharmacy"), ("r9", "nobody here"))
    lines = shown(policy=policy, owners=owners).rules
    assert [(line.rule, line.effect, line.rationale, line.owner) for line in lines] == [
        ("r1", "Leaves open only: Yes, now", "why", "acute medicine"),
        ("r2", "Asks for a clinician", "because", ""),
        ("r3", "Could not be evaluated, so a clinician decides", "no such fact", "pharmacy"),
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
    assert (own.title, own.confidence, own.rests_on) == (
        "Yes, now",
        70,
        ("Respiratory rate", "Blood lactate"),
    )


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
    "no limits": _without("settings", "least_effective"),
    "no veto": _without("opinions", "0", "veto"),
    "a number that is none": lambda document: document["verdict"].update(
        numbers=[{"name": "between", "value": "NaN"}]
    ),
    "a calibration without its labels": lambda document: document.update(
        calibration={"synthetic": False, "delta": "0.05"}
    ),
    "votes that are words": lambda document: document["opinions"][0].update(votes={"yes": "many"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_certificate_is_refused_not_shown_with_gaps(damage: str) -> None:
    document = copy.deepcopy(certificate(seat("a", "no")))
    DAMAGES[damage](document)
    with pytest.raises(VerificationError, match="the certificate's /"):
        panel_page(revealed(document), case_page(CASE, HERE))
