"""A protocol with its compiled policy, answering as adjudication asks: the hospital's word on facts as they were taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from arbiter.documents.taken import TakenFacts
from arbiter.model import PolicyOutcome, Reason, ReasonCode, RiskClass
from arbiter.policy.compiling import CompiledPolicy
from arbiter.policy.evaluation import cautious, evaluate, exclusions
from arbiter.question import Protocol


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules of one protocol say, evaluated."""

    protocol: Protocol
    policy: CompiledPolicy

    def outcome(
        self, taken: TakenFacts, facets: Mapping[str, str], risk_class: RiskClass, valid: int
    ) -> PolicyOutcome:
        """Return the policy's word.

        A rule must not lean on what a member would call too old: such a fact may hold back, never let pass.
        """
        fresh = self.protocol.question.fresh(taken.facts, taken.taken_at)
        outcome = evaluate(self.policy, fresh, facets, risk_class, valid)
        if fresh == taken.facts:
            return outcome
        return cautious(outcome, evaluate(self.policy, taken.facts, facets, risk_class, valid))

    def exclusion_reasons(self, taken: TakenFacts) -> tuple[Reason, ...]:
        """Return why no member may be asked about these facts; empty when nothing stands in the way."""
        fresh = exclusions(self.policy, self.protocol.question.fresh(taken.facts, taken.taken_at))
        # One that an old fact brings up holds too; what only its age leaves unknown is among the first.
        old = (r for r in exclusions(self.policy, taken.facts) if r.code is ReasonCode.EXCLUDED)
        return fresh + tuple(reason for reason in old if reason not in fresh)
