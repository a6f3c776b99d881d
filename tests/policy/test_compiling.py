"""What a policy author may get wrong, refused at load with the place."""

import dataclasses

import pytest

from arbiter.errors import InvalidProtocolError
from arbiter.model import RuleEffect
from arbiter.policy import compile_policy
from arbiter.protocols.loader import read_shipped, shipped
from tests.policy.small import compiled, protocol, rule

SOUND = [
    'risk_class != "emergency"',
    "members.valid >= 2",
    "has(facts.pulse) && facts.pulse > 90.0",
    "!has(facts.pulse) || facts.pulse > 90.0",
    "has(facts.pulse) ? facts.pulse > 90.0 : false",
    "!(has(facts.pulse)) ? true : facts.pulse > 90.0",
    "!(!has(facts.pulse) || !has(facts.temp)) && facts.temp < facts.pulse",
    "has(facts.pulse) && has(facts.temp) && facts.pulse / 2.0 - 10.5 * facts.temp > -3.0",
    "(has(facts.pulse) && facts.pulse < 40.0) || (has(facts.temp) && facts.temp > 39.0)",
    '"sepsis-risk" in facets && facets["sepsis-risk"] == "high"',
    "'sepsis-risk' in facets && facets['sepsis-risk'] in ['high', 'low']",
    'has(facts.avpu) && facts.avpu in ["voice", "pain"]',
    'has(facts.avpu) && (facts.avpu == "alert") != (risk_class == "routine")',
    "has(facts.oxygen) && facts.oxygen",
    "has(facts.oxygen) && !facts.oxygen\n  && members.valid % 2 == 1",
    "true",
]

UNGUARDED = [
    "facts.pulse > 90.0",
    "facts.oxygen",
    "!facts.oxygen",
    "facts.pulse > 90.0 && has(facts.pulse)",
    "has(facts.pulse) || facts.pulse > 90.0",
    "!has(facts.pulse) && facts.pulse > 90.0",
    "has(facts.temp) && facts.pulse > 90.0",
    "(has(facts.pulse) || has(facts.temp)) && facts.pulse > 90.0",
    "!(has(facts.pulse) && has(facts.temp)) || facts.temp > 1.0 ? facts.pulse > 1.0 : true",
    "has(facts.pulse) ? true : facts.pulse > 90.0",
    "has(facts.pulse) ? facts.temp > 38.0 : true",
    "(has(facts.pulse) && facts.pulse > 90.0) || facts.pulse < 40.0",
    "(has(facts.pulse) ? true : true) && facts.pulse > 90.0",
    "(has(facts.pulse) == true) && facts.pulse > 90.0",
    "true || facts.pulse > 90.0",
    "false && facts.pulse > 90.0",
    'facets["sepsis-risk"] == "high"',
    '!("sepsis-risk" in facets) && facets["sepsis-risk"] == "high"',
    'facts.avpu in ["voice"]',
]

ILL_TYPED = [
    "has(facts.pulse) && facts.pulse > 90",
    'has(facts.pulse) && facts.pulse == "fast"',
    "has(facts.pulse) && facts.pulse",
    "has(facts.pulse) && facts.pulse == true",
    "has(facts.pulse) && !facts.pulse",
    "has(facts.pulse) && has(facts.oxygen) && facts.pulse == facts.oxygen",
    "has(facts.oxygen) && facts.oxygen > 1.0",
    "has(facts.oxygen) && facts.oxygen == 1",
    "has(facts.pulse) && facts.pulse in [90, 91]",
    'members.valid == "two"',
    "members.valid > 1.5",
    "members.valid",
    "risk_class",
    '"high"',
    "1 + 1",
    "has(facts.pulse) ? facts.pulse : 1.0",
    "has(facts.pulse) ? true : 1",
    "true && 1",
    "!1",
    "-true",
    "[true]",
]

MISUSED = [
    'has(facts.avpu) && facts.avpu == "alrt"',
    'has(facts.avpu) && "Alert" != facts.avpu',
    'has(facts.avpu) && facts.avpu in ["voice", "pian"]',
    'risk_class == "urgentest"',
    '"sepsis-risk" in facets && facets["sepsis-risk"] == "hihg"',
    'has(facts.avpu) && facts.avpu > "alert"',
    'risk_class <= "routine"',
    '"a" + "b" == "ab"',
    "members.valid / 0 == 1",
    "members.valid / 00 == 1",
    "1.0 / 0.0 > 1.0",
    "members.valid % members.valid == 0",
    "has(facts.pulse) && has(facts.temp) && facts.temp / facts.pulse > 1.0",
    "has(facts.pulse) && 1.0 / (facts.pulse - facts.pulse) > 1.0",
    "2 * 2 * 2 * 2 * 2 * 2 * 2 * 2 * 2 * 2 > members.valid",
]

UNKNOWN = [
    "has(facts.puls)",
    "has(facts.pulse) && facts.Pulse > 90.0",
    '"sepsis" in facets',
    '"" in facets',
    "has(facts.in)",
]

UNREADABLE = [
    "",
    "   ",
    "true true",
    "pulse > 90.0",
    "has(pulse)",
    "has(facets.sepsis)",
    'has(facets["sepsis-risk"])',
    "has(facts)",
    "has(facts.pulse.rate)",
    "has(facts.pulse",
    'has(facts["pulse"])',
    "facts",
    "facets",
    "members",
    "members.invalid > 0",
    'facts["pulse"] > 90.0',
    "facts.exists(name, true)",
    "facts.all(name, name == 'pulse')",
    "[1, 2].all(x, x > 0)",
    "size(facts) > 0",
    "has(facts.avpu) && facts.avpu.matches('(a+)+$')",
    'facts.avpu.startsWith("a")',
    "dyn(1) == 1",
    'int("1") == 1',
    "timestamp('2026-01-01T00:00:00Z') > timestamp('2025-01-01T00:00:00Z')",
    "{'a': 1}['a'] == 1",
    "facets[risk_class] == 'high'",
    "risk_class in facets",
    "('sepsis-risk') in facets",
    "'a' == 'sepsis-risk' in facets",
    "null == null",
    "1e400 > 1.0",
    "0x10 > 1",
    "1u > 0u",
    ".5 > 1.0",
    "1. > 1.0",
    "9999999999999999 > 1",
    r'"\u0061lert" == "alert"',
    r"r'a' == 'a'",
    "b'a' == b'a'",
    '"""a""" == "a"',
    "'a\nb' == 'a'",
    "true // and a comment",
    "true; false",
    "true and false",
    "not true",
    "a = 1",
    "true & false",
    "`facts` == 1",
    "has(facts.pulse) ? true",
    "[] == []",
    'has(facts.avpu) && facts.avpu in ["voice", 1]',
    "[facts.pulse] == [1.0]",
    "risk_class == “routine”",
    "\uff54\uff52\uff55\uff45",
    "true\u00a0&& true",
    "true\x00",
    "(" * 40 + "true" + ")" * 40,
    "!" * 40 + "true",
    "-" * 40 + "1 > 0",
    "true ? " * 40 + "true" + " : true" * 40,
    " && ".join(["true"] * 150),
    "true || " + " " * 2000 + "true",
]


@pytest.mark.parametrize("when", SOUND)
def test_a_sound_condition_compiles(when: str) -> None:
    assert len(compiled(when).rules) == 1


@pytest.mark.parametrize(
    ("when", "code"),
    [
        *((when, "unguarded") for when in UNGUARDED),
        *((when, "type") for when in ILL_TYPED),
        *((when, "misused") for when in MISUSED),
        *((when, "unknown-name") for when in UNKNOWN),
        *((when, "syntax") for when in UNREADABLE),
    ],
)
def test_an_unsound_condition_is_refused_with_its_place(when: str, code: str) -> None:
    sound = rule("true", identity="sound")
    with pytest.raises(InvalidProtocolError) as refusal:
        compile_policy(protocol([sound, rule(when)]))
    assert {(problem.pointer, problem.code) for problem in refusal.value.problems} == {
        ("policy.yaml#/rules/1/when", code)
    }
    assert all("\n" not in problem.detail for problem in refusal.value.problems)


@pytest.mark.parametrize(
    "when",
    [
        "facts.puls > 90.0",
        "facts.pulse > 90",
        'facts.avpu == "alrt"',
        'risk_class == "routine"',
        "members.valid > 1",
        '"sepsis-risk" in facets',
        "facts.pulse",
        "facts.pulse >",
    ],
)
def test_an_exclusion_is_checked_as_strictly_and_knows_only_facts(when: str) -> None:
    with pytest.raises(InvalidProtocolError) as refusal:
        compile_policy(protocol(exclusions=["has(facts.pulse)", when]))
    assert {problem.pointer for problem in refusal.value.problems} == {
        "protocol.yaml#/question/exclusions/1/when"
    }


def test_every_problem_of_a_policy_is_reported_at_once() -> None:
    rules = [
        rule("nope", identity="one"),
        rule("facts.pulse > 1.0", identity="two"),
        rule("1", identity="three"),
    ]
    with pytest.raises(InvalidProtocolError) as refusal:
        compile_policy(protocol(rules, exclusions=["nope"]))
    assert [problem.pointer for problem in refusal.value.problems] == [
        "protocol.yaml#/question/exclusions/0/when",
        "policy.yaml#/rules/0/when",
        "policy.yaml#/rules/1/when",
        "policy.yaml#/rules/2/when",
    ]


@pytest.mark.parametrize(
    ("effect", "options", "pointer"),
    [
        (RuleEffect.PERMIT, ("urgent",), "policy.yaml#/rules/0/options"),
        (RuleEffect.DENY, ("urgent",), "policy.yaml#/rules/0/options"),
        (RuleEffect.SHOW_PANEL_FIRST, ("urgent",), "policy.yaml#/rules/0/options"),
        (RuleEffect.REQUIRE, (), "policy.yaml#/rules/0/options"),
        (RuleEffect.FORBID, (), "policy.yaml#/rules/0/options"),
        (RuleEffect.REQUIRE, ("urgent", "surgery"), "policy.yaml#/rules/0/options/1"),
    ],
)
def test_options_that_do_not_fit_the_effect_are_refused(
    effect: RuleEffect, options: tuple[str, ...], pointer: str
) -> None:
    with pytest.raises(InvalidProtocolError) as refusal:
        compile_policy(protocol([rule("true", effect, options)]))
    assert [problem.pointer for problem in refusal.value.problems] == [pointer]


def test_two_rules_of_one_id_are_refused() -> None:
    with pytest.raises(InvalidProtocolError) as refusal:
        compile_policy(protocol([rule("true"), rule("false")]))
    assert [problem.pointer for problem in refusal.value.problems] == ["policy.yaml#/rules/1/id"]


def test_a_type_error_suggests_the_point_that_was_forgotten() -> None:
    with pytest.raises(InvalidProtocolError) as refusal:
        compiled("has(facts.pulse) && facts.pulse > 90")
    assert refusal.value.problems[0].detail == (
        "found no matching overload for '_>_' applied to '(double, int)'; "
        "write a number fact's bounds with a point, such as 90.0"
    )


def test_fact_and_facet_ids_that_are_no_identifiers_do_not_collide_in_the_typed_twin() -> None:
    small = protocol([rule('"a-b" in facets && facets["a-b"] == "high" && !("a_b" in facets)')])
    facet = small.facets[0]
    twins = (dataclasses.replace(facet, id="a-b"), dataclasses.replace(facet, id="a_b"))
    assert compile_policy(dataclasses.replace(small, facets=twins)).rules


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_policy_compiles(name: str) -> None:
    protocol = read_shipped(name).protocol
    assert len(compile_policy(protocol).rules) == len(protocol.rules)
