"""A rule's own tests are run, and one that its author got wrong is named."""

from decimal import Decimal

from arbiter.model import RiskClass
from arbiter.policy import compile_policy, run_rule_tests
from arbiter.question import RuleTest
from tests.policy.small import protocol, rule


def run(when: str, *tests: RuleTest) -> list[tuple[str, str]]:
    found = run_rule_tests(
        compile_policy(protocol([rule("true", identity="first"), rule(when, tests=tests)]))
    )
    return [(problem.pointer, problem.detail) for problem in found]


def case(hits: bool, risk: RiskClass = RiskClass.ROUTINE, **values: Decimal | str | bool) -> RuleTest:
    return RuleTest("a case", tuple(values.items()), (), risk, hits)


FAST = "has(facts.pulse) && facts.pulse > 90.0"


def test_tests_that_come_out_right_say_nothing() -> None:
    assert run(FAST, case(True, pulse=Decimal(91)), case(False, pulse=Decimal(90)), case(False)) == []


def test_a_missing_hit_and_a_false_hit_are_named_by_place() -> None:
    assert run(FAST, case(True), case(False, pulse=Decimal(90)), case(False, pulse=Decimal(91))) == [
        ("policy.yaml#/rules/1/tests/0", "a case: expected a hit of the-rule, got none"),
        ("policy.yaml#/rules/1/tests/2", "a case: expected no hit of the-rule, got one"),
    ]


def test_a_test_with_facts_that_do_not_fit_is_a_problem_even_where_no_hit_is_expected() -> None:
    assert run(FAST, case(False, pulse="fast")) == [
        (
            "policy.yaml#/rules/1/tests/0",
            "a case: the-rule could not be evaluated, the fact pulse is not the number that the question expects",
        )
    ]


def test_a_condition_that_errs_is_a_problem_even_where_no_hit_is_expected() -> None:
    assert run("members.valid * 999999999999999 * 999999999999999 > 0", case(False)) == [
        (
            "policy.yaml#/rules/1/tests/0",
            "a case: the-rule could not be evaluated, its condition gave an error",
        )
    ]


def test_facets_and_risk_class_of_a_test_are_used() -> None:
    when = '"sepsis-risk" in facets && facets["sepsis-risk"] == "high" && risk_class == "urgent"'
    high = RuleTest("high", (), (("sepsis-risk", "high"),), RiskClass.URGENT, True)
    assert run(when, high, case(False, RiskClass.URGENT)) == []


def test_a_test_without_word_of_the_members_has_them_all() -> None:
    assert run("members.valid == 3", case(True)) == []
