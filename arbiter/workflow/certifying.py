"""TEMPORARY until adjudication is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.documents import encode, instant_text, opinion_document, verdict_document
from arbiter.model import ActorId, Opinion, PolicyOutcome, Reason, Verdict, VerdictKind
from arbiter.policy import evaluate
from arbiter.workflow.docket import Docket
from arbiter.workflow.dossier import Dossier, TakenFacts
from arbiter.workflow.shelf import Shelved


@dataclass(frozen=True, slots=True)
class Judged:
    verdict: Verdict
    outcome: PolicyOutcome
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    signer: ActorId
    signer_name: str
    signed_at: datetime
    option: str
    own_option: str | None
    reason: str


def _cert(verdict: Verdict, opinions: tuple[Opinion, ...], now: datetime, **more: Any) -> bytes:
    return encode(
        {
            "format": "arbiter/certificate/v1",
            "verdict": verdict_document(verdict),
            "plain": "temporary",
            "decided_at": instant_text(now),
            "opinions": [opinion_document(o) for o in opinions],
            **more,
        }
    )


def adjudicate(
    docket: Docket, shelved: Shelved, taken: TakenFacts, opinions: tuple[Opinion, ...], now: datetime
) -> Judged:
    outcome = evaluate(shelved.policy, taken.facts, {}, docket.standing.risk_class, 3)
    leads = [o.leading_option() for o in opinions if o.asks == "question"]
    if len(set(leads)) == 1 and leads[0] is not None and not docket.standing.human_required:
        verdict = Verdict(VerdictKind.DECIDE, leads[0], leads[0], (), (), ())
    else:
        verdict = Verdict(VerdictKind.ESCALATE, None, None, (), (), ())
    return Judged(verdict, outcome, _cert(verdict, opinions, now))


def escalation_certificate(
    docket: Docket,
    shelved: Shelved,
    taken: TakenFacts,
    opinions: tuple[Opinion, ...],
    reasons: tuple[Reason, ...],
    now: datetime,
) -> bytes:
    return _cert(Verdict(VerdictKind.ESCALATE, None, None, reasons, (), ()), opinions, now)


def signed_certificate(dossier: Dossier, signature: Signature) -> bytes:
    v = Verdict(VerdictKind.DECIDE, signature.option, None, (), (), ())
    return _cert(v, dossier.opinions(), signature.signed_at, signature={"signer": signature.signer})
