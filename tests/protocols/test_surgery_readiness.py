"""The shipped protocol `surgery-readiness`: never decided without a human, and what its policy says of each example."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import product

import pytest

from arbiter.adjudication import Bench, certificate, facets_heard, hear, recompute
from arbiter.documents.facts import facts_hash
from arbiter.model import (
    CaseId,
    FactSet,
    FactValue,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    ReasonCode,
    RiskClass,
    RuleEffect,
    Verdict,
    VerdictKind,
)
from arbiter.panels.panel import address, ask_panel
from arbiter.panels.scores.table import Score
from arbiter.panels.seating import SCORES, seat_members
from arbiter.policy import evaluate, exclusions
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.intake import take_facts
from arbiter.protocols.surgery_readiness.generator import DAYS, OPERATIONS, UNITS
from arbiter.question import QUESTION
from tests.protocols.patients import fresh, six_hundred
from tests.protocols.shipping import bundle, examples, policy, run

NAME = "surgery-readiness"
PROCEED = "proceed-as-planned"
TAKEN_AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def taken(case: LabelledCase) -> FactSet:
    return take_facts(bundle(NAME).protocol.question, case.raw_facts(TAKEN_AT), TAKEN_AT)


async def heard_of(case: LabelledCase) -> tuple[FactSet, tuple[Opinion, ...]]:
    protocol, facts = bundle(NAME).protocol, taken(case)
    until = datetime.now(UTC) + timedelta(seconds=30)
    put = address(protocol, facts, facts_hash(facts), TAKEN_AT, until, seed=1)
    return facts, tuple([item.opinion async for item in ask_panel(seat_members(protocol), put, _Clock())])


def judged(
    facts: FactSet, opinions: tuple[Opinion, ...], case: LabelledCase
) -> tuple[Bench, PolicyOutcome, Verdict]:
    bench = Bench(bundle(NAME).protocol, facts_hash(facts), case.risk_class)
    outcome, verdict = recompute(
        bench,
        facts,
        opinions,
        lambda taken_facts, facets, risk, valid: evaluate(policy(NAME), taken_facts, facets, risk, valid),
    )
    return bench, outcome, verdict


ASKED = [case for case in examples(NAME).values() if not exclusions(policy(NAME), taken(case))]


# --- never decided without a human -------------------------------------------------------------------------------


def test_no_seat_answers_the_question_and_no_rule_permits_a_decision() -> None:
    protocol = bundle(NAME).protocol
    assert not protocol.adjudication.automatic
    assert all(seat.asks != QUESTION for seat in protocol.seats)
    assert all(rule.effect is not RuleEffect.PERMIT for rule in protocol.rules)


@pytest.mark.parametrize("case", [case.id for case in ASKED])
async def test_every_case_is_a_clinicians_for_that_reason_and_no_invented_one(case: str) -> None:
    facts, opinions = await heard_of(examples(NAME)[case])
    _, _, verdict = judged(facts, opinions, examples(NAME)[case])
    assert (verdict.kind, verdict.option, verdict.leading) == (VerdictKind.ESCALATE, None, None)
    said = {reason.code for reason in verdict.reasons}
    assert ReasonCode.NEVER_AUTOMATIC in said
    assert said <= {ReasonCode.NEVER_AUTOMATIC, ReasonCode.FACTS_MISSING, ReasonCode.POLICY_DENIES}


async def test_whatever_every_member_answers_or_fails_at_nothing_is_decided() -> None:
    case = examples(NAME)["hernia-healthy"]
    facts, opinions = await heard_of(case)
    failed = (MemberStatus.ABSTAINED, MemberStatus.DOWN)
    protocol = bundle(NAME).protocol
    choices: list[list[Opinion | None]] = [
        [
            *(
                _changed(opinion, option.id, MemberStatus.VALID)
                for option in protocol.options_for(opinion.asks)
            ),
            *(_changed(opinion, None, status) for status in failed),
            None,
        ]
        for opinion in opinions
    ]
    for choice in product(*choices):
        given = tuple(opinion for opinion in choice if opinion is not None)
        _, _, verdict = judged(facts, given, case)
        assert verdict.kind is VerdictKind.ESCALATE
        assert [reason.code for reason in verdict.reasons] == [ReasonCode.NEVER_AUTOMATIC]


def _changed(opinion: Opinion, option: str | None, status: MemberStatus) -> Opinion:
    votes = () if option is None else ((option, 1),)
    return replace(opinion, votes=votes, status=status, missing=())


@pytest.mark.parametrize(
    "case", [case.id for case in ASKED if any("missing:" in mark for mark in case.covers)]
)
async def test_what_members_lacked_is_listed_and_nobody_waits_for_it(case: str) -> None:
    outcome, reasons, opinions = await run(NAME, examples(NAME)[case])
    assert outcome == "escalated"
    listed = next(reason.detail for reason in reasons if reason.code is ReasonCode.FACTS_MISSING)
    question = bundle(NAME).protocol.question
    for name in {name for opinion in opinions for name in opinion.missing}:
        spec = question.spec(name)
        assert spec is not None
        assert spec.title in listed


# --- policy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [case.id for case in ASKED])
async def test_an_example_names_exactly_the_rules_that_hold_and_its_label_is_left_open(case: str) -> None:
    example = examples(NAME)[case]
    facts, opinions = await heard_of(example)
    _, outcome, _ = judged(facts, opinions, example)
    assert outcome.failures == ()
    named = {mark.removeprefix("rule:") for mark in example.covers if mark.startswith("rule:")}
    assert {hit.rule for hit in outcome.hits} == named
    assert example.label in outcome.permitted
    if example.label == PROCEED:
        about_reading = {RuleEffect.SHOW_PANEL_FIRST, RuleEffect.SECOND_READER}
        assert not [hit for hit in outcome.hits if hit.effect not in about_reading]


def test_every_rule_that_restricts_leaves_the_clinician_a_choice() -> None:
    options = set(bundle(NAME).protocol.question.option_ids())
    left = set(options)
    for rule in bundle(NAME).protocol.rules:
        if rule.effect is RuleEffect.FORBID:
            left -= set(rule.options)
        if rule.effect is RuleEffect.REQUIRE:
            left &= set(rule.options)
    assert left == options - {PROCEED}


@pytest.mark.parametrize("case", [case.id for case in examples(NAME).values() if case not in ASKED])
def test_an_example_that_nobody_is_asked_about_names_why(case: str) -> None:
    reasons = exclusions(policy(NAME), taken(examples(NAME)[case]))
    named = [mark.removeprefix("exclusion:") for mark in examples(NAME)[case].covers if "exclusion:" in mark]
    if named:
        assert [reason.detail.split(",")[0] for reason in reasons] == named
        assert {reason.code for reason in reasons} == {ReasonCode.EXCLUDED}
    else:
        assert ReasonCode.EXCLUSION_UNKNOWN in {reason.code for reason in reasons}


# --- facets at the edges of their bands --------------------------------------------------------------------------

# The example's id, its member, the total at the edge, and the answer there.
EDGES = [
    ("gallbladder-rcri-one", "rcri", "RCRI 1,", "low"),
    ("rcri-two-fit", "rcri", "RCRI 2,", "elevated"),
    ("rcri-three", "rcri", "RCRI 3,", "elevated"),
    ("rcri-six", "rcri", "RCRI 6,", "elevated"),
    ("creatinine-177", "rcri", "RCRI 1,", "low"),
    ("creatinine-178", "rcri", "RCRI 2,", "elevated"),
    ("creatinine-2-00-mg", "rcri", "RCRI 1,", "low"),
    ("creatinine-2-01-mg", "rcri", "RCRI 2,", "elevated"),
    ("mica-just-below", "gupta-mica", "Gupta MICA 0.985%", "low"),
    ("mica-just-above", "gupta-mica", "Gupta MICA 1.005%", "elevated"),
    ("ariscat-25", "ariscat", "ARISCAT 25,", "low"),
    ("ariscat-26", "ariscat", "ARISCAT 26,", "intermediate"),
    ("ariscat-44", "ariscat", "ARISCAT 44,", "intermediate"),
    ("ariscat-45", "ariscat", "ARISCAT 45,", "high"),
    ("stop-bang-two", "stop-bang", "STOP-Bang 2,", "low"),
    ("stop-bang-three", "stop-bang", "STOP-Bang 3,", "intermediate"),
    ("stop-bang-four", "stop-bang", "STOP-Bang 4,", "intermediate"),
    ("stop-bang-five", "stop-bang", "STOP-Bang 5,", "high"),
    ("stop-bang-eight", "stop-bang", "STOP-Bang 8,", "high"),
]


@pytest.mark.parametrize(("case", "member", "total", "answer"), EDGES)
async def test_an_example_at_the_edge_of_a_band(case: str, member: str, total: str, answer: str) -> None:
    _, opinions = await heard_of(examples(NAME)[case])
    opinion = next(opinion for opinion in opinions if opinion.member == member)
    assert opinion.rationale.startswith(total)
    assert opinion.leading_option() == answer


async def test_where_the_cardiac_scores_differ_policy_reads_the_graver() -> None:
    example = examples(NAME)["mica-just-above"]
    facts, opinions = await heard_of(example)
    assert {opinion.leading_option() for opinion in opinions if opinion.asks == "cardiac-risk"} == {
        "low",
        "elevated",
    }
    bench, _, _ = judged(facts, opinions, example)
    assert facets_heard(bench, hear(bench, opinions))["cardiac-risk"] == "elevated"


def test_facets_stand_gravest_first_as_the_scores_name_them() -> None:
    for seat in bundle(NAME).protocol.seats:
        offered = tuple(option.id for option in bundle(NAME).protocol.options_for(seat.asks))
        assert offered == SCORES[seat.implementation].options


# --- what a clinician reads --------------------------------------------------------------------------------------


async def test_the_certificate_reads_as_advice() -> None:
    example = examples(NAME)["anaemia-12-9"]
    facts, opinions = await heard_of(example)
    bench, outcome, verdict = judged(facts, opinions, example)
    document = certificate(
        case=CaseId("case-1"),
        bench=bench,
        facts_version=1,
        opinions=opinions,
        outcome=outcome,
        verdict=verdict,
        code_version="1",
        concluded_at=TAKEN_AT,
    )
    plain = document["plain"].replace("\N{LEFT DOUBLE QUOTATION MARK}", "'")
    plain = plain.replace("\N{RIGHT DOUBLE QUOTATION MARK}", "'")
    assert plain == (
        "The question: Is this adult ready for the planned non-cardiac operation as planned? No member votes on it; the "
        "panel answers questions about parts of it. On cardiac-risk, RCRI (Lee 1999) and Gupta MICA (2011) said: 'Low'. "
        "On pulmonary-risk, ARISCAT (Canet 2010) said: 'Low'. On sleep-apnoea-risk, STOP-Bang (Chung 2012) said: 'Low'. "
        "Rule anaemia rules out 'Proceed as planned': Below 13 g/dL, in women as in men, anaemia is looked into and "
        "treated before an operation that can wait (international consensus statement, Munoz et al., Anaesthesia 2017; "
        "72: 233-247). The panel advises; a clinician decides. Nothing under this protocol is decided here without a "
        "clinician."
    )
    assert document["facets"] == {"cardiac-risk": "low", "pulmonary-risk": "low", "sleep-apnoea-risk": "low"}


# --- facts -------------------------------------------------------------------------------------------------------


def test_greatest_ages_stand_on_every_fact_that_changes() -> None:
    standing = {spec.name for spec in bundle(NAME).protocol.question.facts if spec.greatest_age is None}
    history = {"ischaemic_heart_disease", "heart_failure", "cerebrovascular_disease", "hypertension"}
    plan = {"procedure", "operation_site", "incision", "planned_duration", "urgency"}
    assert standing == {"age", "sex", "sleep_apnoea", *history, *plan}


def test_no_title_of_a_fact_names_a_member_before_the_panel_is_shown() -> None:
    titles = " ".join(spec.title for spec in bundle(NAME).protocol.question.facts).lower()
    for name in ("rcri", "gupta", "mica", "ariscat", "stop-bang"):
        assert name not in titles


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("creatinine", "2.0", "mg/dL", "177"),
        ("creatinine", "2.01", "mg/dL", "178"),
        ("creatinine", "1.5", "mg/dL", "133"),
        ("creatinine", "1.51", "mg/dL", "134"),
        ("haemoglobin", "130", "g/L", "13.0"),
        ("haemoglobin", "8.1", "mmol/L", "13.1"),
        ("neck_circumference", "15.75", "[in_i]", "40.0"),
        ("hba1c", "6.5", "%", "48"),
        ("hba1c", "8.5", "%", "69"),
        ("planned_duration", "2", "h", "120"),
        ("systolic_bp", "24.0", "kPa", "180"),
    ],
)
def test_units_are_converted_as_their_tables_say(name: str, value: str, unit: str, expected: str) -> None:
    """HbA1c: 6.5% is 48 and 8.5% is 69 mmol/mol in the IFCC's tables; 40 cm is the 15.75 in of STOP-Bang."""
    raw = examples(NAME)["hernia-healthy"].raw_facts(TAKEN_AT)
    one = {name: replace(raw["age"], value=Decimal(value), unit=unit)}
    fact = take_facts(bundle(NAME).protocol.question, one, TAKEN_AT).get(name)
    assert fact is not None
    assert fact.value == Decimal(expected)


def test_the_cardiac_operation_of_the_model_is_not_offered() -> None:
    spec = bundle(NAME).protocol.question.spec("procedure")
    assert spec is not None
    assert "cardiac" not in {code for code, _ in spec.codes}
    assert len(spec.codes) == 20


def test_families_name_shared_inputs() -> None:
    families = {str(seat.member): seat.family for seat in bundle(NAME).protocol.seats}
    assert families["rcri"] == families["gupta-mica"]
    assert len(set(families.values())) == 3


# --- the synthetic patients --------------------------------------------------------------------------------------


def test_the_generator_knows_the_protocols_ages_units_and_operations() -> None:
    question = bundle(NAME).protocol.question
    for spec in question.facts:
        assert DAYS.get(spec.name) == (spec.greatest_age.days if spec.greatest_age else None), spec.name
        if spec.unit is not None:
            own, other = UNITS[spec.name]
            assert own == spec.unit
            assert other is None or other[0] in {item.unit for item in spec.conversions}
    procedure = question.spec("procedure")
    assert procedure is not None
    assert set(OPERATIONS) <= {code for code, _ in procedure.codes}


@cache
def patients() -> tuple[tuple[LabelledCase, dict[str, FactValue]], ...]:
    return tuple((case, fresh(NAME, case)) for case in six_hundred(NAME))


def area_under_curve(score: Score) -> float:
    """Mann and Whitney's: the chance that a case not ready as planned scores above a ready one, ties counting half."""
    totals: dict[bool, list[int]] = {True: [], False: []}
    for case, facts in patients():
        total = score.assess(facts, frozenset()).total
        if total is not None:
            totals[case.label != PROCEED].append(total)
    pairs = [(high > low) + (high == low) / 2 for high in totals[True] for low in totals[False]]
    return sum(pairs) / len(pairs)


@pytest.mark.parametrize("name", ["rcri", "gupta-mica", "ariscat", "stop-bang"])
def test_no_score_tells_who_is_ready_and_each_tells_something(name: str) -> None:
    area = area_under_curve(SCORES[name])
    print(f"{name}: area under the curve {area:.3f} over 600 cases of seed 1")
    assert 0.52 < area < 0.9


def test_every_risk_class_and_every_answer_to_a_facet_appears_among_them() -> None:
    assert {case.risk_class for case in six_hundred(NAME)} == set(RiskClass)
    for seat in bundle(NAME).protocol.seats:
        score = SCORES[seat.implementation]
        given = {score.assess(facts, frozenset()).option for _, facts in patients()}
        assert given == {*score.options, None}
