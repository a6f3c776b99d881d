"""The shipped protocol `anticoagulation`: what may never be decided alone, and how hard its synthetic patients are."""

from __future__ import annotations

import pytest

from arbiter.model import MemberStatus, Reason, ReasonCode, RuleEffect
from arbiter.panels.scores import atria_stroke, cha2ds2_va, cha2ds2_vasc
from arbiter.panels.scores.table import Score
from arbiter.question import QUESTION
from tests.protocols.patients import area_under_curve, fresh, six_hundred
from tests.protocols.shipping import bundle, examples, run

NAME = "anticoagulation"
OFFER, WITHHOLD = "offer-anticoagulation", "no-anticoagulation"


async def ended(case: str) -> tuple[str, tuple[Reason, ...]]:
    outcome, reasons, _ = await run(NAME, examples(NAME)[case])
    return outcome, reasons


def test_all_voting_seats_are_one_family_because_they_share_a_history() -> None:
    voting = [seat for seat in bundle(NAME).protocol.seats if seat.asks == QUESTION]
    assert {seat.implementation for seat in voting} == {"cha2ds2-va", "cha2ds2-vasc", "atria-stroke"}
    assert len({seat.family for seat in voting}) == 1
    assert bundle(NAME).protocol.adjudication.least_valid == len(voting)


def test_no_rule_about_bleeding_takes_the_offer_away() -> None:
    restricting = {RuleEffect.REQUIRE, RuleEffect.FORBID}
    for rule in bundle(NAME).protocol.rules:
        if rule.effect in restricting:
            left = (
                rule.options if rule.effect is RuleEffect.REQUIRE else {OFFER, WITHHOLD} - set(rule.options)
            )
            assert OFFER in left, rule.id


@pytest.mark.parametrize("case", ["has-bled-three", "orbit-medium", "orbit-high", "dialysis", "platelets-99"])
async def test_bleeding_brings_in_a_clinician_who_still_sees_the_panel_lean_to_the_offer(case: str) -> None:
    outcome, reasons, opinions = await run(NAME, examples(NAME)[case])
    assert outcome == "escalated"
    assert [reason.code for reason in reasons] == [ReasonCode.POLICY_DENIES]
    votes = {str(opinion.member): opinion.votes for opinion in opinions}
    for member in ("cha2ds2-va", "cha2ds2-vasc", "atria-stroke"):
        assert votes[member] == ((OFFER, 1),)


@pytest.mark.parametrize(
    "case", [id_ for id_, case in examples(NAME).items() if any("band:" in m for m in case.covers)]
)
async def test_a_band_left_to_judgement_is_decided_by_nobody_but_a_clinician(case: str) -> None:
    outcome, _ = await ended(case)
    assert outcome == "escalated"


async def test_who_leaves_a_band_to_judgement_abstains_and_asks_for_no_facts() -> None:
    _, _, opinions = await run(NAME, examples(NAME)["man-58-hypertension"])
    by_member = {str(opinion.member): opinion for opinion in opinions}
    for member in ("cha2ds2-va", "cha2ds2-vasc"):
        assert by_member[member].status is MemberStatus.ABSTAINED
        assert by_member[member].missing == ()
    assert by_member["atria-stroke"].status is MemberStatus.VALID


@pytest.mark.parametrize(
    "case", [id_ for id_, case in examples(NAME).items() if "disagreement" in case.covers]
)
async def test_a_panel_that_differs_is_never_outvoted_but_goes_to_a_clinician(case: str) -> None:
    outcome, reasons = await ended(case)
    assert outcome == "escalated"
    assert ReasonCode.DISAGREEMENT_BETWEEN in {reason.code for reason in reasons}


async def test_over_six_hundred_patients_nobody_is_left_without_on_the_word_of_atria_alone() -> None:
    outcomes = []
    for case in six_hundred(NAME):
        outcome, _, _ = await run(NAME, case)
        facts = fresh(NAME, case)
        outcomes.append(outcome)
        if outcome == f"decided:{WITHHOLD}":
            assert cha2ds2_va.assess(facts).total == 0
        if outcome == f"decided:{OFFER}":
            assert (cha2ds2_va.assess(facts).total or 0) >= 2
            assert (atria_stroke.assess(facts).total or 0) >= 7
    decided = [outcome for outcome in outcomes if outcome.startswith("decided:")]
    assert 60 < len(decided) < 240
    assert set(decided) == {f"decided:{OFFER}", f"decided:{WITHHOLD}"}


def test_greatest_ages_stand_on_every_fact_that_can_change_back() -> None:
    ageing = {spec.name for spec in bundle(NAME).protocol.question.facts if spec.greatest_age is not None}
    assert ageing == {
        "recent_stroke", "recent_major_bleed", "active_bleeding", "proteinuria", "creatinine", "egfr", "haemoglobin",
        "haematocrit", "platelet_count", "systolic_bp", "anticoagulant", "time_in_therapeutic_range",
        "other_anticoagulation_indication", "antiplatelet", "nsaid", "alcohol", "pregnant",
    }  # fmt: skip


# --- synthetic patients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "score", [cha2ds2_va.SCORE, cha2ds2_vasc.SCORE, atria_stroke.SCORE], ids=lambda s: s.name
)
def test_labels_follow_the_scores_and_no_score_is_perfect(score: Score) -> None:
    area = area_under_curve(NAME, score, OFFER)
    print(f"{score.title}: area under the curve {area:.3f} over 600 cases of seed 1")
    assert 0.85 < area < 0.98


def test_about_half_are_to_be_offered() -> None:
    offered = sum(case.label == OFFER for case in six_hundred(NAME))
    assert 0.45 < offered / 600 < 0.65
