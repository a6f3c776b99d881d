"""Evaluates a compiled policy: every rule, every hit kept, and anything but a clear yes or no recorded as a failure.

Nothing fails open: an evaluation error is a value in CEL, and a truthy one in Python, so only the two booleans count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal

from arbiter.model import (
    FactSet,
    FactValue,
    PolicyOutcome,
    Reason,
    ReasonCode,
    RiskClass,
    RuleEffect,
    RuleFailure,
    RuleHit,
)
from arbiter.policy.compiling import FACETS, FACTS, RISK_CLASS, VALID_MEMBERS, CompiledPolicy
from arbiter.policy.syntax import NameKind
from arbiter.question import FactKind


class _UnfitInputError(ValueError):
    """A value that the protocol does not know; the message names it and holds no value."""


def evaluate(
    compiled: CompiledPolicy,
    facts: FactSet,
    facets: Mapping[str, str],
    risk_class: RiskClass,
    valid_members: int,
) -> PolicyOutcome:
    """Return the hospital's word on a case.

    Args:
        compiled: the protocol's policy.
        facts: the case's facts; those that are absent are absent for `has()`.
        facets: the option's id for each facet that has an answer.
        risk_class: the case's.
        valid_members: how many members answered the question validly.
    """
    values = {fact.name: fact.value for fact in facts}
    return evaluate_values(compiled, values, facets, risk_class, valid_members)


_RESTRICTING = frozenset(
    {
        RuleEffect.DENY,
        RuleEffect.REQUIRE,
        RuleEffect.FORBID,
        RuleEffect.SHOW_PANEL_FIRST,
        RuleEffect.SECOND_READER,
    }
)


def cautious(fresh: PolicyOutcome, with_old: PolicyOutcome) -> PolicyOutcome:
    """Return the outcome for a case some of whose facts are too old, from those without and with the old facts.

    An old fact may hold a case back and never let it pass: what restricts does so in either outcome, what permits must
    in both, and a failure in either counts.
    """
    permits = {hit.rule for hit in fresh.hits} & {hit.rule for hit in with_old.hits}
    kept = [hit for hit in fresh.hits if hit.effect in _RESTRICTING or hit.rule in permits]
    known = {hit.rule for hit in kept}
    kept += [hit for hit in with_old.hits if hit.effect in _RESTRICTING and hit.rule not in known]
    failed = {failure.rule for failure in fresh.failures}
    return PolicyOutcome(
        permitted=tuple(option for option in fresh.permitted if option in with_old.permitted),
        hits=tuple(kept),
        failures=fresh.failures + tuple(f for f in with_old.failures if f.rule not in failed),
        policy_hash=fresh.policy_hash,
    )


def evaluate_values(
    compiled: CompiledPolicy,
    values: Mapping[str, FactValue],
    facets: Mapping[str, str],
    risk_class: RiskClass,
    valid_members: int,
) -> PolicyOutcome:
    """Return the outcome for bare fact values by name, as `evaluate` does for a case's facts.

    A value that does not fit the protocol (unknown, of another kind, not finite) fails every rule and permits nothing.
    """
    protocol = compiled.protocol
    try:
        activation = compiled.env.Activation(
            {
                FACTS: _fact_values(compiled, values),
                FACETS: _facet_answers(compiled, facets),
                RISK_CLASS: RiskClass(risk_class).value,
                VALID_MEMBERS: valid_members,
            }
        )
    except _UnfitInputError as error:
        failures = tuple(RuleFailure(rule.id, str(error)) for rule in protocol.rules)
        return PolicyOutcome((), (), failures, protocol.policy_hash)
    hits: list[RuleHit] = []
    failures_found: list[RuleFailure] = []
    for compiled_rule in compiled.rules:
        rule = compiled_rule.rule
        held = compiled_rule.condition.eval(activation).value()
        if held is True:
            hits.append(RuleHit(rule.id, rule.effect, rule.options, rule.rationale))
        elif held is not False:
            failures_found.append(RuleFailure(rule.id, "its condition gave an error"))
    permitted = _permitted(protocol.question.option_ids(), hits)
    return PolicyOutcome(permitted, tuple(hits), tuple(failures_found), protocol.policy_hash)


def exclusions(compiled: CompiledPolicy, facts: FactSet) -> tuple[Reason, ...]:
    """Return why no member may be asked: each exclusion that holds, and each that nobody can rule out.

    An exclusion needs no `has()`: where a fact that it turns on is absent, it is unknown, and that escalates too.
    """
    values = {fact.name: fact.value for fact in facts}
    try:
        activation = compiled.env.Activation({FACTS: _fact_values(compiled, values)})
    except _UnfitInputError as error:
        return tuple(
            Reason(ReasonCode.EXCLUSION_UNKNOWN, f"{entry.exclusion.id}, {error}")
            for entry in compiled.exclusions
        )
    reasons: list[Reason] = []
    for entry in compiled.exclusions:
        held = entry.condition.eval(activation).value()
        if held is not False:
            code = ReasonCode.EXCLUDED if held is True else ReasonCode.EXCLUSION_UNKNOWN
            reasons.append(
                Reason(code, f"{entry.exclusion.id}, {entry.exclusion.rationale.strip().rstrip('.')}")
            )
    return tuple(reasons)


def _permitted(options: tuple[str, ...], hits: Iterable[RuleHit]) -> tuple[str, ...]:
    left = options
    for hit in hits:
        if hit.effect is RuleEffect.REQUIRE:
            left = tuple(option for option in left if option in hit.options)
        elif hit.effect is RuleEffect.FORBID:
            left = tuple(option for option in left if option not in hit.options)
    return left


def _fact_values(compiled: CompiledPolicy, values: Mapping[str, FactValue]) -> dict[str, float | str | bool]:
    return {name: _fact_value(compiled, name, value) for name, value in values.items()}


def _fact_value(compiled: CompiledPolicy, name: str, value: FactValue) -> float | str | bool:
    kind = compiled.kinds.get(name)
    match kind, value:
        case None, _:
            raise _UnfitInputError(f"the question has no fact {name}")
        case FactKind.FLAG, bool():
            return value
        case FactKind.CODE, str() if value in compiled.words[NameKind.FACT, name]:
            return value
        case FactKind.NUMBER, Decimal() if math.isfinite(number := _double(value)):
            return number
    raise _UnfitInputError(f"the fact {name} is not the {kind} that the question expects")


def _double(value: Decimal) -> float:
    """Return the nearest double; NaN, which compares false, for what has none, so that one check refuses both."""
    return float(value) if value.is_finite() else math.nan


def _facet_answers(compiled: CompiledPolicy, facets: Mapping[str, str]) -> dict[str, str]:
    for facet, option in facets.items():
        if option not in compiled.words.get((NameKind.FACET, facet), ()):
            raise _UnfitInputError(f"the protocol does not offer this answer to the facet {facet}")
    return dict(facets)
