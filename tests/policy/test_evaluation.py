"""What a compiled policy says, and that nothing but a clear yes is a yes."""

import dataclasses
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.documents.outcomes import outcome_document, outcome_from
from arbiter.errors import InvalidProtocolError
from arbiter.model import FactSet, FactValue, Reason, ReasonCode, RiskClass, RuleEffect, RuleFailure
from arbiter.policy import CompiledPolicy, compile_policy, evaluate, exclusions
from tests.policy.small import OPTIONS, compiled, facts, protocol, rule

ROUTINE = RiskClass.ROUTINE
D = Decimal


def holds(when: str, known: FactSet, facets: dict[str, str] | None = None, valid: int = 3) -> bool:
    outcome = evaluate(compiled(when), known, facets or {}, ROUTINE, valid)
    assert outcome.failures == ()
    return bool(outcome.hits)


@pytest.mark.parametrize(
    ("when", "known", "expected"),
    [
        ("has(facts.pulse) && facts.pulse > 90.0", facts(pulse=D("90.1")), True),
        ("has(facts.pulse) && facts.pulse > 90.0", facts(pulse=D(90)), False),
        ("has(facts.pulse) && facts.pulse >= 38.1", facts(pulse=D("38.1")), True),
        ("has(facts.pulse) && facts.pulse >= 38.1", facts(pulse=D("38.0999999")), False),
        ("has(facts.pulse) && facts.pulse == 38.1", facts(pulse=D("38.10")), True),
        ("has(facts.pulse) && facts.pulse > 90.0", facts(), False),
        ("!has(facts.pulse) || facts.pulse > 90.0", facts(), True),
        ("has(facts.avpu) && facts.avpu in ['voice', 'pain']", facts(avpu="pain"), True),
        ("has(facts.avpu) && facts.avpu in ['voice', 'pain']", facts(avpu="alert"), False),
        ("has(facts.oxygen) && facts.oxygen", facts(oxygen=True), True),
        ("has(facts.oxygen) && facts.oxygen", facts(oxygen=False), False),
        (
            "has(facts.pulse) && has(facts.temp) && facts.pulse > 2.0 * facts.temp",
            facts(pulse=D(80), temp=D(39)),
            True,
        ),
    ],
)
def test_a_condition_holds_where_it_says(when: str, known: FactSet, expected: bool) -> None:
    assert holds(when, known) is expected


def test_facets_risk_class_and_members_are_seen() -> None:
    when = '"sepsis-risk" in facets && facets["sepsis-risk"] == "high" && members.valid == 2'
    assert holds(when, facts(), {"sepsis-risk": "high"}, valid=2)
    assert not holds(when, facts(), {"sepsis-risk": "high"}, valid=3)
    assert not holds(when, facts(), {"sepsis-risk": "low"}, valid=2)
    assert not holds(when, facts(), {}, valid=2)
    emergency = compiled('risk_class == "emergency"')
    assert evaluate(emergency, facts(), {}, RiskClass.EMERGENCY, 0).hits
    assert not evaluate(emergency, facts(), {}, RiskClass.URGENT, 0).hits


def test_all_hits_are_kept_in_the_order_of_the_rules_and_options_intersect() -> None:
    rules = [
        rule("true", RuleEffect.REQUIRE, ("discharge", "urgent"), "one"),
        rule("true", RuleEffect.PERMIT, (), "two"),
        rule("true", RuleEffect.FORBID, ("discharge",), "three"),
        rule("false", RuleEffect.FORBID, ("urgent",), "four"),
        rule("true", RuleEffect.DENY, (), "five"),
    ]
    outcome = evaluate(compile_policy(protocol(rules)), facts(), {}, ROUTINE, 3)
    assert [hit.rule for hit in outcome.hits] == ["one", "two", "three", "five"]
    assert outcome.permitted == ("urgent",)
    assert not outcome.permits_automatic
    assert outcome.policy_hash == "b" * 64
    assert outcome_from(outcome_document(outcome)) == outcome


def test_require_and_forbid_that_contradict_leave_nothing() -> None:
    rules = [
        rule("true", RuleEffect.REQUIRE, ("urgent",), "one"),
        rule("true", RuleEffect.REQUIRE, ("watch",), "two"),
    ]
    assert evaluate(compile_policy(protocol(rules)), facts(), {}, ROUTINE, 3).permitted == ()


def test_options_left_keep_the_order_of_the_question() -> None:
    rules = [rule("true", RuleEffect.REQUIRE, ("discharge", "watch"))]
    assert evaluate(compile_policy(protocol(rules)), facts(), {}, ROUTINE, 3).permitted == (
        "watch",
        "discharge",
    )


def test_no_rules_permit_nothing_automatic() -> None:
    outcome = evaluate(compiled(), facts(), {}, ROUTINE, 3)
    assert outcome.permitted == OPTIONS
    assert not outcome.permits_automatic


@pytest.mark.parametrize("effect", [RuleEffect.PERMIT, RuleEffect.DENY])
def test_a_condition_that_errs_is_a_failure_and_never_a_hit(effect: RuleEffect) -> None:
    overflowing = "members.valid * 999999999999999 * 999999999999999 > 0"
    outcome = evaluate(compiled(overflowing, "true", effect=effect), facts(), {}, ROUTINE, 3)
    assert outcome.failures == (RuleFailure("rule-0", "its condition gave an error"),)
    assert [hit.rule for hit in outcome.hits] == ["rule-1"]
    assert not outcome.permits_automatic


def test_a_condition_that_slipped_past_the_checks_unguarded_or_not_boolean_still_fails_closed() -> None:
    """Bypasses the checker: the evaluation alone must not take an error, a number or a word for a yes."""
    sound = compiled("true", effect=RuleEffect.PERMIT)
    for source in (
        "facts.pulse > 90.0",
        "1",
        "'yes'",
        "facts",
        "facts.pulse",
        "null",
        "1 / 0 == 1",
        "[true]",
    ):
        smuggled = dataclasses.replace(sound.rules[0], condition=sound.env.compile(source))
        outcome = evaluate(dataclasses.replace(sound, rules=(smuggled,)), facts(), {}, ROUTINE, 3)
        assert outcome.hits == (), source
        assert len(outcome.failures) == 1, source


@pytest.mark.parametrize(
    "value",
    [D("NaN"), D("sNaN"), D("-NaN"), D("Infinity"), D("-Infinity"), D("1e999"), "90", True, "NaN"],
)
def test_a_number_that_is_none_fails_every_rule_and_permits_nothing(value: FactValue) -> None:
    outcome = evaluate(
        compiled("true", "false", effect=RuleEffect.PERMIT), facts(pulse=value), {}, ROUTINE, 3
    )
    assert [failure.rule for failure in outcome.failures] == ["rule-0", "rule-1"]
    assert outcome.hits == ()
    assert outcome.permitted == ()
    assert not outcome.permits_automatic


@pytest.mark.parametrize(
    "known",
    [
        facts(avpu="unheard-of"),
        facts(avpu=True),
        facts(avpu=D(1)),
        facts(oxygen="true"),
        facts(oxygen=D(1)),
        facts(glucose=D(5)),
    ],
)
def test_a_fact_that_the_question_does_not_know_like_that_fails_every_rule(known: FactSet) -> None:
    outcome = evaluate(compiled("true", effect=RuleEffect.PERMIT), known, {}, ROUTINE, 3)
    assert len(outcome.failures) == 1
    assert not outcome.permits_automatic


@pytest.mark.parametrize("facets", [{"sepsis-risk": "hihg"}, {"frailty": "high"}, {"": ""}])
def test_a_facet_or_answer_that_the_protocol_does_not_offer_fails_every_rule(facets: dict[str, str]) -> None:
    outcome = evaluate(compiled("true", effect=RuleEffect.PERMIT), facts(), facets, ROUTINE, 3)
    assert len(outcome.failures) == 1
    assert not outcome.permits_automatic


def test_failures_name_the_fact_and_not_its_value() -> None:
    outcome = evaluate(compiled("true"), facts(avpu="Jane Doe"), {}, ROUTINE, 3)
    assert outcome.failures == (
        RuleFailure("rule-0", "the fact avpu is not the code that the question expects"),
    )


# --- exclusions --------------------------------------------------------------------------------------------------


def excluded(when: str, known: FactSet) -> tuple[ReasonCode, ...]:
    return tuple(reason.code for reason in exclusions(compile_policy(protocol(exclusions=[when])), known))


@pytest.mark.parametrize(
    ("when", "known", "expected"),
    [
        ("facts.pulse < 40.0", facts(pulse=D(39)), (ReasonCode.EXCLUDED,)),
        ("facts.pulse < 40.0", facts(pulse=D(40)), ()),
        ("facts.pulse < 40.0", facts(), (ReasonCode.EXCLUSION_UNKNOWN,)),
        ("facts.oxygen || facts.pulse < 40.0", facts(pulse=D(39)), (ReasonCode.EXCLUDED,)),
        ("facts.oxygen || facts.pulse < 40.0", facts(pulse=D(40)), (ReasonCode.EXCLUSION_UNKNOWN,)),
        ("facts.oxygen && facts.pulse < 40.0", facts(pulse=D(40)), ()),
        ("facts.oxygen && facts.pulse < 40.0", facts(pulse=D(39)), (ReasonCode.EXCLUSION_UNKNOWN,)),
        ("!facts.oxygen", facts(), (ReasonCode.EXCLUSION_UNKNOWN,)),
        ("!has(facts.oxygen)", facts(), (ReasonCode.EXCLUDED,)),
        ("has(facts.oxygen) && facts.oxygen", facts(), ()),
        ("facts.pulse < 40.0", facts(pulse=D("NaN")), (ReasonCode.EXCLUSION_UNKNOWN,)),
        ("facts.avpu == 'pain'", facts(avpu="unheard-of"), (ReasonCode.EXCLUSION_UNKNOWN,)),
    ],
)
def test_an_exclusion_holds_or_is_ruled_out_or_is_unknown(
    when: str, known: FactSet, expected: tuple[ReasonCode, ...]
) -> None:
    assert excluded(when, known) == expected


def test_every_exclusion_is_reported_with_its_rationale() -> None:
    both = compile_policy(protocol(exclusions=["facts.oxygen", "facts.pulse < 40.0"]))
    assert exclusions(both, facts(pulse=D(30))) == (
        Reason(ReasonCode.EXCLUSION_UNKNOWN, "exclusion-0, It does not apply"),
        Reason(ReasonCode.EXCLUDED, "exclusion-1, It does not apply"),
    )


# --- what guards promise -----------------------------------------------------------------------------------------

ATOMS = st.sampled_from(
    [
        "has(facts.pulse)",
        "has(facts.temp)",
        "has(facts.oxygen)",
        '"sepsis-risk" in facets',
        "facts.pulse > 90.0",
        "facts.temp <= facts.pulse",
        "facts.oxygen",
        'facets["sepsis-risk"] == "high"',
        "true",
        'risk_class == "urgent"',
    ]
)
BEFORE = st.sampled_from(
    [
        "has(facts.pulse) &&",
        "!has(facts.pulse) ||",
        "has(facts.pulse) && has(facts.temp) &&",
        "!(has(facts.pulse) && has(facts.temp)) ||",
        "!has(facts.pulse) || !has(facts.temp) ? false :",
        "has(facts.oxygen) &&",
        '"sepsis-risk" in facets &&',
    ]
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||", "==", "!="]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda text: f"!({text})"),
        st.tuples(BEFORE, inner).map(lambda parts: f"({parts[0]} {parts[1]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})"),
    ),
    max_leaves=8,
)
KNOWN = st.fixed_dictionaries(
    {},
    optional={
        "pulse": st.sampled_from([D(0), D(90), D("90.1"), D(500)]),
        "temp": st.sampled_from([D(0), D(90), D(500)]),
        "oxygen": st.booleans(),
    },
)


def compiled_or_none(when: str) -> CompiledPolicy | None:
    try:
        return compiled(when, effect=RuleEffect.PERMIT)
    except InvalidProtocolError:
        return None


@given(
    when=CONDITIONS,
    values=KNOWN,
    answered=st.sampled_from([None, "high", "low"]),
    risk=st.sampled_from(RiskClass),
)
def test_no_accepted_condition_ever_errs_whatever_is_absent(
    when: str, values: dict[str, FactValue], answered: str | None, risk: RiskClass
) -> None:
    policy = compiled_or_none(when)
    if policy is None:
        return
    facets = {} if answered is None else {"sepsis-risk": answered}
    assert evaluate(policy, facts(**values), facets, risk, 3).failures == ()
