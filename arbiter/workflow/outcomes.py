"""What turned out to be right for a patient, told of a case by a system that knows: the panel is measured by it, and learns.

It changes nothing about the case. Of several that are told the newest of each kind counts; telling the same again enters
nothing, so that a request whose answer was lost may be repeated.
"""

from __future__ import annotations

from datetime import datetime

from arbiter.documents.known_outcomes import KnownOutcome
from arbiter.errors import ArbiterError, Problem, RefusedError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import RecordOutcome
from arbiter.model import CaseId
from arbiter.protocols.intake import FUTURE_TOLERANCE
from arbiter.workflow.acting import act
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.oversight.recording import measuring_outcome
from arbiter.workflow.told_outcomes import DOCUMENT, newest
from arbiter.workflow.views import CaseView, view_of


class _ToldBeforeError(ArbiterError):
    """Exactly this is what counts already."""

    def __init__(self, view: CaseView) -> None:
        super().__init__("told before")
        self.view = view


async def record(house: House, principal: Principal, case: CaseId, told: KnownOutcome) -> CaseView:
    """Keep, sealed with the case, what turned out to be right.

    Raises:
        RefusedError: for an option that the case's question does not have, or an instant before the case came or that is not
            past; ConflictError: for a case entered in error; ErasedError: for one whose content is gone.
    """
    principal.require(Permission.CASES_OUTCOME)

    def tell(dossier: Dossier, now: datetime) -> tuple[RecordOutcome, dict[str, bytes]]:
        _check(dossier, told, now)
        if newest(dossier, told.kind) == told:
            raise _ToldBeforeError(view_of(dossier.row, dossier.shelved))
        return RecordOutcome(), {DOCUMENT: told.encode()}

    try:
        return (await act(house, principal, case, tell, saving=measuring_outcome(told))).view
    except _ToldBeforeError as before:
        return before.view


def _check(dossier: Dossier, told: KnownOutcome, now: datetime) -> None:
    problems = []
    if told.option not in dossier.shelved.protocol.question.option_ids():
        problems.append(Problem("/option", "unknown-option", "expected one of the question's options"))
    if told.observed_at > now + FUTURE_TOLERANCE:
        problems.append(Problem("/observed_at", "future", "expected an instant that is past"))
    if told.observed_at < dossier.row.created_at - FUTURE_TOLERANCE:
        detail = "expected an instant after the case was taken in: what was known by then is no answer to it"
        problems.append(Problem("/observed_at", "too-early", detail))
    if problems:
        raise RefusedError("the outcome does not fit the case", tuple(problems))
