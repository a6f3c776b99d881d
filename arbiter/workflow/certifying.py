"""Turns recorded inputs into a verdict and its certificate, live and in replay alike.

Whatever a certificate is made from is recorded beside it (facts, opinions, the protocol by hash, a signature), so that
`arbiter.workflow.auditing.replay_case` can make each again and compare its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from arbiter import __version__
from arbiter.adjudication import Bench, Signature, certificate, escalation, recompute
from arbiter.documents.canonical import decode, encode
from arbiter.documents.outcomes import outcome_from
from arbiter.documents.scalars import instant_text
from arbiter.documents.verdicts import verdict_from
from arbiter.errors import UndecidableError
from arbiter.model import CaseId, FactSet, Opinion, PolicyOutcome, Reason, ReasonCode, RiskClass, Verdict
from arbiter.policy import cautious, evaluate, exclusions
from arbiter.workflow.docket import Docket
from arbiter.workflow.dossier import TakenFacts
from arbiter.workflow.house import House
from arbiter.workflow.shelf import Shelved

MEANING = "I have judged this case myself and take responsibility for this decision."
"""What a reviewer's signature stands for; shown where it is asked for, and kept in the certificate."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a certificate says beside the panel's part; `code_version` is that of the code that concluded.

    `automatic` says whether this installation may decide anything without a clinician.
    """

    case: CaseId
    risk_class: RiskClass
    human_required: bool
    automatic: bool
    concluded_at: datetime
    code_version: str = __version__
    training: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with the policy's word on it, and the certificate of both (canonical JSON)."""

    verdict: Verdict
    outcome: PolicyOutcome | None
    certificate: bytes

    @property
    def shows_panel_first(self) -> bool:
        """True when policy lets the reviewer see the panel before judging alone."""
        return self.outcome is not None and self.outcome.shows_panel_first


def circumstances(house: House, docket: Docket, now: datetime) -> Circumstances:
    """Return the present circumstances of a case."""
    state = docket.standing
    return Circumstances(
        docket.case,
        state.risk_class,
        state.human_required,
        house.settings.may_decide_alone,
        now,
        training=state.training,
    )


def adjudicate(
    around: Circumstances, shelved: Shelved, taken: TakenFacts, opinions: tuple[Opinion, ...]
) -> Judged:
    """Weigh what the panel said. What must not be weighed together goes to a human."""
    bench = _bench(around, shelved, taken)
    question = shelved.protocol.question
    fresh = question.fresh(taken.facts, taken.taken_at)

    def policy(facts: FactSet, facets: Mapping[str, str], risk_class: RiskClass, valid: int) -> PolicyOutcome:
        # A rule must not lean on what a member would call too old: such a fact may hold back, never let pass.
        outcome = evaluate(shelved.policy, fresh, facets, risk_class, valid)
        if fresh == facts:
            return outcome
        return cautious(outcome, evaluate(shelved.policy, facts, facets, risk_class, valid))

    try:
        outcome, verdict = recompute(bench, taken.facts, opinions, policy)
    except UndecidableError as error:
        reasons = (Reason(ReasonCode.FAULT, str(error)),)
        return Judged(escalation(reasons), None, escalation_certificate(around, shelved, taken, (), reasons))
    return Judged(verdict, outcome, _render(around, shelved, taken, opinions, outcome, verdict))


def exclusion_reasons(shelved: Shelved, taken: TakenFacts) -> tuple[Reason, ...]:
    """Return why no member may be asked about these facts; empty when nothing stands in the way."""
    fresh = exclusions(shelved.policy, shelved.protocol.question.fresh(taken.facts, taken.taken_at))
    # One that an old fact brings up holds too; what only its age leaves unknown is among the first.
    old = (r for r in exclusions(shelved.policy, taken.facts) if r.code is ReasonCode.EXCLUDED)
    return fresh + tuple(reason for reason in old if reason not in fresh)


def escalation_certificate(
    around: Circumstances,
    shelved: Shelved,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    reasons: tuple[Reason, ...],
) -> bytes:
    """Return the certificate of a case that goes to a human for the workflow's own reasons."""
    return _render(around, shelved, taken, opinions, None, escalation(reasons))


def signature_document(
    signer: str, name: str, option: str, own_option: str | None, reason: str, shown: bytes, now: datetime
) -> bytes:
    """Return the document `signature`: who signed what, why, and the hash of the certificate they were shown."""
    document = {
        "reviewer": signer,
        "name": name,
        "option": option,
        "own_option": own_option or "",
        "meaning": MEANING,
        "reason": reason,
        "shown": hashlib.sha256(shown).hexdigest(),
        "signed_at": instant_text(now),
    }
    return encode(document)


def signed_certificate(
    around: Circumstances,
    shelved: Shelved,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    shown: Mapping[str, Any],
    signature: bytes,
) -> bytes:
    """Return the certificate of a reviewer's decision: the panel's part as it was shown, and the signature."""
    signed = decode(signature)
    reason = signed["reason"]
    block = Signature(
        reviewer=signed["reviewer"],
        option=signed["option"],
        own_option=signed["own_option"] or None,
        meaning=signed["meaning"],
        reason_hash=hashlib.sha256(reason.encode()).hexdigest() if reason else None,
        signed_at=datetime.fromisoformat(signed["signed_at"]),
    )
    outcome = outcome_from(shown["policy"]) if "policy" in shown else None
    return _render(around, shelved, taken, opinions, outcome, verdict_in(shown), block)


def verdict_in(document: Mapping[str, Any]) -> Verdict:
    """Return the verdict a certificate states, without the sentences made from it."""
    stated = dict(document["verdict"])
    stated["reasons"] = [
        {name: value for name, value in reason.items() if name != "sentence"} for reason in stated["reasons"]
    ]
    return verdict_from(stated)


def _render(
    around: Circumstances,
    shelved: Shelved,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    outcome: PolicyOutcome | None,
    verdict: Verdict,
    signature: Signature | None = None,
) -> bytes:
    bench = _bench(around, shelved, taken)
    return encode(
        certificate(
            case=around.case,
            bench=bench,
            facts_version=taken.facts.version,
            opinions=opinions,
            outcome=outcome,
            verdict=verdict,
            code_version=around.code_version,
            concluded_at=around.concluded_at,
            signature=signature,
            training=around.training,
        )
    )


def _bench(around: Circumstances, shelved: Shelved, taken: TakenFacts) -> Bench:
    """Return what the panel is weighed against; where nothing may be decided alone, no protocol is automatic."""
    settings = shelved.protocol.adjudication
    adjudication = replace(settings, automatic=settings.automatic and around.automatic)
    protocol = replace(shelved.protocol, adjudication=adjudication)
    return Bench(protocol, taken.hash, around.risk_class, around.human_required)
