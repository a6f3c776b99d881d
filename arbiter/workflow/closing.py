"""Ways a case ends or is reopened other than by a decision: cancelled, entered in error, contested."""

from __future__ import annotations

from arbiter.documents.canonical import encode
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Cancel, Contest, Event, Retract
from arbiter.model import CaseId, Reason, ReasonCode
from arbiter.workflow import figures
from arbiter.workflow.acting import Acted, act
from arbiter.workflow.house import House
from arbiter.workflow.views import CaseView


async def cancel(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """End a case that nobody needs decided any more. Raises ConflictError once it is decided."""
    principal.require(Permission.CASES_CANCEL)
    return (await _with_reason(house, principal, case, Cancel(), reason)).view


async def contest(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """Dispute a released decision: a clinician looks at the case anew. Raises ConflictError before its release."""
    principal.require(Permission.CASES_CONTEST)
    acted = await _with_reason(house, principal, case, Contest(), reason)
    # Counted by its code alone: what the contester wrote is content.
    why = Reason(ReasonCode.CONTESTED, "a released decision was contested")
    figures.escalated(acted.before.shelved, acted.before.row.state, (why,))
    return acted.view


async def retract(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """Mark a case as entered in error, decided or not."""
    principal.require(Permission.CASES_RETRACT)
    return (await _with_reason(house, principal, case, Retract(), reason)).view


async def _with_reason(house: House, principal: Principal, case: CaseId, event: Event, reason: str) -> Acted:
    document = {"reason": encode({"reason": reason})}
    return await act(house, principal, case, lambda _dossier, _now: (event, document))
