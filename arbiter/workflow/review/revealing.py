"""The panel, shown once the reviewer's own opinion is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arbiter.documents.canonical import decode
from arbiter.documents.handover_notes import HandoverNote
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
from arbiter.workflow.review.grounds import Grounds, grounds_of
from arbiter.workflow.review.passing_on import (
    HandedOn,
    ReaderOpinion,
    attended,
    handed_on,
    others_opinions,
)
from arbiter.workflow.review.showing import shown_to
from arbiter.workflow.review.standing import require_claim
from arbiter.workflow.shift.handing_over import notes_for


@dataclass(frozen=True, slots=True)
class RevealedCase:
    """A case with its panel: the certificate that handed it over, and the reviewer's own opinion if one was committed.

    `grounds` is what the case itself says to what the panel cites. `shown` is the hash of what all of this was made from, which belongs
    into the form that signs; without it nothing is signed. `readers` are the others who have fixed an opinion on these facts; `handed`
    says who referred it, set it aside or took its decision back, and why; `attended` names who sat together over it. `departing`:
    another option than the readers' goes to an arbiter. `notes` are what colleagues wrote who handed the case back at the end of a
    shift; none without an own opinion.
    """

    blind: BlindCase
    own: OwnOpinion | None
    certificate: Mapping[str, Any]
    grounds: Grounds
    shown: str = ""
    readers: tuple[ReaderOpinion, ...] = ()
    handed: tuple[HandedOn, ...] = ()
    attended: tuple[str, ...] = ()
    correcting: bool = False
    departing: bool = False
    notes: Sequence[HandoverNote] = ()


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
    dossier, state = acted.before, acted.before.row.state
    own = committed_by(dossier, principal)
    names = await house.identities.names(state.readings)
    return RevealedCase(
        blind=blind_case(dossier, acted.at),
        own=own,
        certificate=as_care(decode(dossier.latest("certificate").content), planted=state.planted),
        shown=shown_to(dossier, principal).hash,
        readers=others_opinions(dossier, principal.id, names),
        handed=handed_on(dossier),
        attended=attended(dossier),
        correcting=state.correcting,
        departing=state.readers_needed > 1 and not state.wants_arbiter,
        grounds=grounds_of(dossier, acted.at),
        notes=notes_for(dossier, committed=own is not None),
    )
