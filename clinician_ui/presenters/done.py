"""A signed and released decision, in words."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.model import CaseId
from arbiter.workflow.views import DecisionView
from clinician_ui.presenters.times import Here, Moment, moment


@dataclass(frozen=True, slots=True)
class DonePage:
    """A released decision, for whoever signed it."""

    case: CaseId
    title: str
    plain: str
    at: Moment
    zone: str
    hash: str
    training: bool
    unwitnessed: bool


def done_page(decision: DecisionView, here: Here) -> DonePage:
    """Return a released decision."""
    return DonePage(
        case=decision.case,
        title=decision.title,
        plain=decision.plain,
        at=moment(decision.decided_at, here),
        zone=here.zone_name,
        hash=decision.certificate_sha256,
        training=decision.training,
        unwitnessed=decision.unwitnessed,
    )
