"""Deciding and signing, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from arbiter.adjudication.certifying import signed_certificate
from arbiter.adjudication.signatures import signature_block
from arbiter.documents.canonical import decode, encode
from arbiter.documents.signing import Way, fate_of
from arbiter.errors import (
    IllegalMoveError,
    Problem,
    RefusedError,
    ShownChangedError,
    UnauthenticatedError,
    VerificationError,
)
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Refer, Sign
from arbiter.lifecycle.states import DecidedBy, Phase
from arbiter.model import CaseId
from arbiter.verifying.passkeys import check_passkey
from arbiter.workflow import figures, passkeys
from arbiter.workflow.acting import act
from arbiter.workflow.certifying import Signing, circumstances, decision_to_sign, signature_document
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import NOTE_LIMIT, OwnOpinion, committed_by, departs
from arbiter.workflow.passkeys import Asserted
from arbiter.workflow.reading import decision_of
from arbiter.workflow.review.drafts import forget
from arbiter.workflow.review.passing_on import Handed, handed_document
from arbiter.workflow.review.saving_signature import saving_signature
from arbiter.workflow.review.showing import shown_to
from arbiter.workflow.review.standing import require_claim, unseen_dossier
from arbiter.workflow.views import DecisionView, SignatureView


async def sign(
    house: House,
    principal: Principal,
    case: CaseId,
    option: str,
    reason: str,
    *,
    page: str | None = None,
    asserted: Asserted | None = None,
) -> bool:
    """Decide and sign. The caller has just proven again who is signing, or brings what the signer's own passkey has signed.

    `page` is the hash of what the caller has shown (`RevealedCase.shown`); None where no page was.

    Returns whether it was decided: what departs from what both of two readers said goes to an arbiter instead, with the reason.

    Raises:
        RefusedError: for an option the question does not have, or a changed or first opinion without a reason;
        ShownChangedError: when what was shown has changed since; ConflictError: out of turn;
        UnauthenticatedError: when the passkey has signed another decision.
    """
    principal.require(Permission.REVIEW_WORK)

    def decide(dossier: Dossier, now: datetime) -> tuple[Sign | Refer, dict[str, bytes]]:
        signing = _signing(dossier, principal, option, reason, page, now)
        if departs(dossier, option):
            referred = handed_document(principal, Handed.REFERRED, reason)
            return Refer(principal.id), {"reason": encode(referred)}
        proof = None if asserted is None else _proof(signing, asserted)
        signature = signature_document(signing, now, proof)
        if asserted is not None:
            _check_as_outsiders_will(signature)
        certificate = signed_certificate(
            circumstances(house, dossier.docket, now),
            dossier.shelved,
            dossier.taken_facts(),
            dossier.opinions(),
            decode(dossier.latest("certificate").content),
            signature,
        )
        return Sign(principal.id), {"signature": signature, "certificate": certificate}

    acted = await act(
        house, principal, case, decide, through_glass=True, saving=saving_signature(principal, option)
    )
    await forget(house, principal, case)
    if acted.view.phase is Phase.ESCALATED:
        return False
    figures.decided(acted.before.shelved, acted.before.row.state, DecidedBy.REVIEWER)
    return True


async def ask_passkey(
    house: House, principal: Principal, case: CaseId, option: str, reason: str, page: str
) -> str:
    """Return what a browser is asked so that a passkey signs this decision; nothing is signed yet, and nothing shown.

    Raises:
        as `sign`; UnauthenticatedError: for somebody who has no passkey that may sign here.
    """
    principal.require(Permission.REVIEW_WORK)
    now = house.clock.now()
    signing = _signing(await unseen_dossier(house, principal, case), principal, option, reason, page, now)
    return await passkeys.ask_to_sign(house, principal, decision_to_sign(signing, now).challenge, now)


def _signing(
    dossier: Dossier, principal: Principal, option: str, reason: str, page: str | None, now: datetime
) -> Signing:
    """Return what is about to be signed, once it may be."""
    # Before the form is judged: a signature sent twice is out of turn, not without a reason.
    require_claim(dossier, principal, now)
    if dossier.row.state.phase is not Phase.REVEALED:
        raise IllegalMoveError(f"case {dossier.row.id} is not there to be signed")
    shown = shown_to(dossier, principal)
    if page is not None and page != shown.hash:
        raise ShownChangedError(f"what was shown of case {dossier.row.id} has changed")
    own = committed_by(dossier, principal)
    _check_signature(dossier, own, option, reason)
    return Signing(
        reviewer=principal.id,
        name=principal.name,
        option=option,
        own_option=None if own is None else own.option,
        leading=decode(dossier.latest("certificate").content)["verdict"].get("leading"),
        reason=reason,
        shown=shown,
    )


def _proof(signing: Signing, asserted: Asserted) -> Mapping[str, Any]:
    if decision_to_sign(signing, asserted.requested_at).challenge != asserted.challenge:
        raise UnauthenticatedError("the passkey has signed another decision than this one")
    return asserted.document()


def _check_as_outsiders_will(signature: bytes) -> None:
    """Check a passkey's signature once more, by the code that an outsider runs: what it refuses must never be sealed."""
    try:
        check_passkey(decode(signature))
    except (VerificationError, RefusedError, KeyError, ValueError) as error:
        raise UnauthenticatedError("the passkey's signature would not check out") from error


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
    if dossier.row.state.phase is not Phase.RELEASED:
        return None
    return replace(decision_of(dossier), signature=_signature_of(dossier))


def _signature_of(dossier: Dossier) -> SignatureView:
    signed = decode(dossier.latest("signature").content)
    block = signature_block(signed)
    titles = {option.id: option.title for option in dossier.shelved.protocol.question.options}
    assert dossier.row.decided_seq is not None
    return SignatureView(
        name=signed["name"],
        meaning=block.meaning,
        signed_at=block.signed_at,
        own_title=None if block.own_option is None else titles.get(block.own_option, block.own_option),
        fate=block.fate or fate_of(block.option, block.own_option, None),
        way=block.way or Way.PASSWORD,
        shown=block.shown,
        reason=signed["reason"],
        entry=dossier.row.decided_seq,
    )


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
