"""Taking back a released decision that its signer or an arbiter finds wrong, to sign anew: never an edit of what was signed."""

from __future__ import annotations

from datetime import datetime

from arbiter.documents.canonical import encode
from arbiter.errors import IllegalMoveError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Correct
from arbiter.lifecycle.states import DecidedBy, Phase
from arbiter.model import CaseId
from arbiter.workflow.acting import act
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import NOTE_LIMIT
from arbiter.workflow.review.holding import LEASE
from arbiter.workflow.review.passing_on import Handed, handed_document
from arbiter.workflow.review.signing import signer_of
from arbiter.workflow.review.standing import is_blind, unseen_dossier
from arbiter.workflow.taking import arbitrates
from arbiter.workflow.watching.reading import waits_for


async def correct(house: House, principal: Principal, case: CaseId, reason: str) -> None:
    """Take a released decision back; whoever got it is told at once, and the corrector holds the case, its panel shown, to sign anew.

    Raises:
        RefusedError: without a reason; ConflictError: for a panel's decision, one that is not released, one that
        somebody else signed, unless the corrector may arbitrate, or one that waits for the corrector to read it for an audit.
    """
    principal.require(Permission.REVIEW_WORK)
    if not reason.strip() or len(reason) > NOTE_LIMIT:
        raise RefusedError(
            "expected a reason", (Problem("/reason", "missing", f"expected 1 to {NOTE_LIMIT} characters"),)
        )
    documents = {"reason": encode(handed_document(principal, Handed.CORRECTED, reason))}

    blind = await is_blind(house, principal, case)

    def take_back(dossier: Dossier, now: datetime) -> tuple[Correct, dict[str, bytes]]:
        _require_entitled(dossier, principal, blind=blind)
        return Correct(principal.id, now + LEASE, arbitrates=arbitrates(principal)), documents

    await act(house, principal, case, take_back, through_glass=True)


async def may_correct(house: House, principal: Principal, case: CaseId) -> bool:
    """Return whether this reviewer may take the case's released decision back; nothing is shown of it."""
    principal.require(Permission.REVIEW_WORK)
    blind = await is_blind(house, principal, case)
    dossier = await unseen_dossier(house, principal, case)
    state = dossier.row.state
    if state.phase is not Phase.RELEASED or principal.id in {*state.conflicted, *state.referrers}:
        return False
    try:
        _require_entitled(dossier, principal, blind=blind)
    except IllegalMoveError:
        return False
    return True


def _require_entitled(dossier: Dossier, principal: Principal, *, blind: bool) -> None:
    # A correction shows the panel and what was decided: whoever is asked to read the case blind does that first.
    if blind and waits_for(dossier.row, principal):
        raise IllegalMoveError(f"case {dossier.row.id} waits for {principal.id} to read it blind")
    if dossier.row.state.decided_by is not DecidedBy.REVIEWER:
        raise IllegalMoveError(f"case {dossier.row.id} has no decision of a reviewer's to correct")
    if not arbitrates(principal) and signer_of(dossier) != principal.id:
        raise IllegalMoveError(f"reviewer {principal.id} has not signed case {dossier.row.id}")
