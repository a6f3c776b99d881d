"""The JSON form of what the policy made of a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbiter.documents.reader import Reader, whole
from arbiter.model import PolicyOutcome, RuleEffect, RuleFailure, RuleHit


def outcome_document(outcome: PolicyOutcome) -> dict[str, Any]:
    """Return the JSON form of a policy outcome."""
    return {
        "permitted": list(outcome.permitted),
        "hits": [
            {
                "rule": hit.rule,
                "effect": hit.effect.value,
                "options": list(hit.options),
                "rationale": hit.rationale,
            }
            for hit in outcome.hits
        ],
        "failures": [{"rule": failure.rule, "cause": failure.cause} for failure in outcome.failures],
        "policy_hash": outcome.policy_hash,
    }


def outcome_from(document: Mapping[str, Any]) -> PolicyOutcome:
    """Return the policy outcome that `outcome_document` wrote.

    Raises:
        RefusedError: when the document is not exactly such a form.
    """
    return whole(document, "", _read_outcome)


def _read_hit(reader: Reader) -> RuleHit:
    return RuleHit(
        rule=reader.text("rule"),
        effect=reader.one_of("effect", RuleEffect),
        options=reader.texts("options"),
        rationale=reader.text("rationale"),
    )


def _read_failure(reader: Reader) -> RuleFailure:
    return RuleFailure(rule=reader.text("rule"), cause=reader.text("cause"))


def _read_outcome(reader: Reader) -> PolicyOutcome:
    return PolicyOutcome(
        permitted=reader.texts("permitted"),
        hits=reader.each("hits", _read_hit),
        failures=reader.each("failures", _read_failure),
        policy_hash=reader.text("policy_hash"),
    )
