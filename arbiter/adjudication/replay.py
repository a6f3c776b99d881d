"""The one path from recorded inputs to a verdict, taken by the live case and by every replay of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from arbiter.adjudication.bench import Bench, count_valid, facets_heard, hear
from arbiter.adjudication.deciding import decide_heard
from arbiter.documents.facts import facts_hash
from arbiter.errors import UndecidableError
from arbiter.model import FactSet, Opinion, PolicyOutcome, RiskClass, Verdict

Evaluate: TypeAlias = Callable[[FactSet, Mapping[str, str], RiskClass, int], PolicyOutcome]
"""A compiled policy's evaluation: facts, answers to facets, risk class, number of valid voting members."""


def recompute(
    bench: Bench, facts: FactSet, opinions: Sequence[Opinion], evaluate: Evaluate
) -> tuple[PolicyOutcome, Verdict]:
    """Return the policy's outcome on what was said, and the verdict.

    Raises:
        UndecidableError: when the facts are not those the bench stands for, or an opinion must not be weighed.
    """
    if facts_hash(facts) != bench.facts_hash:
        raise UndecidableError("expected the facts that the bench is bound to, got others")
    spoken: dict[tuple[tuple[tuple[str, str], ...], int], PolicyOutcome] = {}

    def policy(facets: Mapping[str, str], valid: int) -> PolicyOutcome:
        key = (tuple(sorted(facets.items())), valid)
        if key not in spoken:
            spoken[key] = evaluate(facts, facets, bench.risk_class, valid)
        return spoken[key]

    heard = hear(bench, opinions)
    outcome = policy(facets_heard(bench, heard), count_valid(heard))
    return outcome, decide_heard(bench, heard, policy)
