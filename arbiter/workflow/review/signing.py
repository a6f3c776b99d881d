"""Deciding and signing, and what came of it."""

from __future__ import annotations

from datetime import datetime

from arbiter.adjudication.certifying import signed_certificate
from arbiter.documents.canonical import decode
from arbiter.errors import IllegalMoveError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Sign
from arbiter.lifecycle.states import UNDER_REVIEW, DecidedBy, Phase
from arbiter.model import CaseId
from arbiter.workflow import figures
from arbiter.workflow.acting import act
from arbiter.workflow.certifying import circumstances, signature_document
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.oversight.recording import measuring_review
from arbiter.workflow.own_opinion import NOTE_LIMIT, OwnOpinion, committed_by
from arbiter.workflow.reading import decision_of
from arbiter.workflow.review.standing import require_claim, unseen_dossier
from arbiter.workflow.views import DecisionView


async def sign(house: House, principal: Principal, case: CaseId, option: str, reason: str) -> None:
    """Decide and sign. The caller has just proven again who is signing.

    Raises:
        RefusedError: for an option the question does not have, or a changed or first opinion without a reason;
        ConflictError: out of turn.
    """
    principal.require(Permission.REVIEW_WORK)

    def decide(dossier: Dossier, now: datetime) -> tuple[Sign, dict[str, bytes]]:
        # Before the form is judged: a signature sent twice is out of turn, not without a reason.
        require_claim(dossier, principal, now)
        if dossier.row.state.phase not in UNDER_REVIEW:
            raise IllegalMoveError(f"case {case} is not there to be signed")
        own = committed_by(dossier, principal)
        _check_signature(dossier, own, option, reason)
        shown = dossier.latest("certificate").content
        signature = signature_document(
            principal.id, principal.name, option, None if own is None else own.option, reason, shown, now
        )
        certificate = signed_certificate(
            circumstances(house, dossier.docket, now),
            dossier.shelved,
            dossier.taken_facts(),
            dossier.opinions(),
            decode(shown),
            signature,
        )
        return Sign(principal.id), {"signature": signature, "certificate": certificate}

    saving = measuring_review(principal, option)
    acted = await act(house, principal, case, decide, through_glass=True, saving=saving)
    figures.decided(acted.before.shelved, acted.before.row.state, DecidedBy.REVIEWER)


async def signed_case(house: House, principal: Principal, case: CaseId) -> DecisionView | None:
    """Return the decision this reviewer signed, or None until its checkpoint has released it.

    Raises:
        IllegalMoveError: when this reviewer did not sign the case's present decision.
    """
    principal.require(Permission.REVIEW_WORK)
    dossier = await unseen_dossier(house, principal, case)
    signer = signer_of(dossier)
    if signer != principal.id:
        raise IllegalMoveError(f"reviewer {principal.id} has not signed case {case}")
    return decision_of(dossier) if dossier.row.state.phase is Phase.RELEASED else None


def signer_of(dossier: Dossier) -> str | None:
    """Return who signed the case's present decision; None when the panel decided, or nothing is decided."""
    if dossier.row.state.decided_by is not DecidedBy.REVIEWER:
        return None
    return str(decode(dossier.latest("signature").content)["reviewer"])


def _check_signature(dossier: Dossier, own: OwnOpinion | None, option: str, reason: str) -> None:
    problems = []
    if option not in dossier.shelved.protocol.question.option_ids():
        problems.append(Problem("/option", "unknown-option", "expected one of the question's options"))
    if (own is None or own.option != option) and not reason.strip():
        problems.append(
            Problem("/reason", "missing", "expected a reason: the decision is not the opinion committed")
        )
    if len(reason) > NOTE_LIMIT:
        problems.append(Problem("/reason", "too-long", f"expected at most {NOTE_LIMIT} characters"))
    if problems:
        raise RefusedError("the signature does not fit the case", tuple(problems))
