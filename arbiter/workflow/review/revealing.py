"""The panel, shown once the reviewer's own opinion is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.documents.canonical import decode
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Read, Reveal
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.workflow.acting import act
from arbiter.workflow.blinding import BlindCase, blind_case
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import OwnOpinion, committed_by
from arbiter.workflow.planted import as_care
from arbiter.workflow.review.standing import require_claim


@dataclass(frozen=True, slots=True)
class RevealedCase:
    """A case with its panel: the certificate that handed it over, and the reviewer's own opinion if one was committed."""

    blind: BlindCase
    own: OwnOpinion | None
    certificate: Mapping[str, Any]


async def reveal(house: House, principal: Principal, case: CaseId) -> RevealedCase:
    """Show the panel: the first time a move of the case, then a read.

    Raises:
        IllegalMoveError: before the reviewer's own opinion is committed, unless policy shows the panel first.
    """
    principal.require(Permission.REVIEW_WORK)

    def show(dossier: Dossier, now: datetime) -> tuple[Reveal | Read, dict[str, bytes]]:
        if dossier.row.state.phase is Phase.REVEALED:
            require_claim(dossier, principal, now)
            return Read(), {}
        return Reveal(principal.id), {}

    acted = await act(house, principal, case, show, through_glass=True)
    dossier = acted.before
    return RevealedCase(
        blind=blind_case(dossier, acted.at),
        own=committed_by(dossier, principal),
        certificate=as_care(decode(dossier.latest("certificate").content), planted=dossier.row.state.planted),
    )
