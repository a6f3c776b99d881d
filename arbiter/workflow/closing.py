"""Ways a case ends or is reopened other than by a decision: cancelled, entered in error, contested."""

from __future__ import annotations

from arbiter.documents.canonical import encode
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Cancel, Contest, Event, Retract
from arbiter.model import CaseId
from arbiter.workflow.acting import act
from arbiter.workflow.house import House
from arbiter.workflow.views import CaseView


async def cancel(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """End a case that nobody needs decided any more. Raises ConflictError once it is decided."""
    principal.require(Permission.CASES_CANCEL)
    return await _with_reason(house, principal, case, Cancel(), reason)


async def contest(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """Dispute a released decision: a clinician looks at the case anew. Raises ConflictError before its release."""
    principal.require(Permission.CASES_CONTEST)
    return await _with_reason(house, principal, case, Contest(), reason)


async def retract(house: House, principal: Principal, case: CaseId, reason: str) -> CaseView:
    """Mark a case as entered in error, decided or not."""
    principal.require(Permission.CASES_RETRACT)
    return await _with_reason(house, principal, case, Retract(), reason)


async def _with_reason(
    house: House, principal: Principal, case: CaseId, event: Event, reason: str
) -> CaseView:
    document = {"reason": encode({"reason": reason})}
    return (await act(house, principal, case, lambda _dossier, _now: (event, document))).view
