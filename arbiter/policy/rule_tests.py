"""Runs the tests that each rule carries, so that a policy whose author was mistaken never comes into force."""

from __future__ import annotations

from arbiter.errors import Problem
from arbiter.policy.compiling import CompiledPolicy
from arbiter.policy.evaluation import evaluate_values
from arbiter.question import QUESTION, Rule, RuleTest


def run_rule_tests(compiled: CompiledPolicy) -> tuple[Problem, ...]:
    """Return a problem for every rule's test that comes out otherwise than its author says.

    A test that says nothing of the members is run as if every voting member had answered validly. Pointers are
    `policy.yaml#/rules/N/tests/M`.
    """
    full = sum(seat.asks == QUESTION for seat in compiled.protocol.seats)
    return tuple(
        Problem(f"policy.yaml#/rules/{index}/tests/{at}", "rule-test", detail)
        for index, rule in enumerate(compiled.protocol.rules)
        for at, test in enumerate(rule.tests)
        if (detail := _fault(compiled, rule, test, full)) is not None
    )


def _fault(compiled: CompiledPolicy, rule: Rule, test: RuleTest, valid_members: int) -> str | None:
    outcome = evaluate_values(compiled, dict(test.facts), dict(test.facets), test.risk_class, valid_members)
    for failure in outcome.failures:
        if failure.rule == rule.id:
            return f"{test.title}: {rule.id} could not be evaluated, {failure.cause}"
    hits = any(hit.rule == rule.id for hit in outcome.hits)
    if hits is test.hits:
        return None
    expected, came = ("a hit", "none") if test.hits else ("no hit", "one")
    return f"{test.title}: expected {expected} of {rule.id}, got {came}"
