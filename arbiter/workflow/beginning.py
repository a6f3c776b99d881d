"""How work on a case with fresh facts begins: the rules that exclude first, then the panel is asked."""

from __future__ import annotations

from datetime import datetime

from arbiter.adjudication.certifying import escalation_certificate
from arbiter.documents.taken import TakenFacts
from arbiter.lifecycle.effects import AskPanel
from arbiter.lifecycle.events import Ask, Exclude
from arbiter.model import Reason
from arbiter.store.vault import CaseKey
from arbiter.workflow import figures
from arbiter.workflow.admission import Ticket
from arbiter.workflow.certifying import circumstances
from arbiter.workflow.deliberation import InHand, deliberate
from arbiter.workflow.docket import ARBITER, Docket, advance
from arbiter.workflow.house import House
from arbiter.workflow.planted import ended_unless_wrong
from arbiter.workflow.saving import perform
from arbiter.workflow.shelf import Shelved


def ask_or_exclude(
    house: House, docket: Docket, taken: TakenFacts, key: CaseKey, shelved: Shelved, now: datetime
) -> Docket:
    """Return the docket with the seats asked, or escalated at once where a rule excludes the case from the panel."""
    reasons: tuple[Reason, ...] = shelved.exclusion_reasons(taken)
    if not reasons:
        seats = tuple(seat.member for seat in shelved.protocol.seats)
        return advance(house, docket, Ask(seats), actor=ARBITER, now=now)
    certificate = escalation_certificate(circumstances(house, docket, now), shelved, taken, (), reasons)
    excluded = advance(
        house, docket, Exclude(), actor=ARBITER, now=now, key=key, documents={"certificate": certificate}
    )
    return ended_unless_wrong(house, excluded, key, None, certificate, now)


def begin_work(
    house: House,
    docket: Docket,
    key: CaseKey,
    shelved: Shelved,
    taken: TakenFacts,
    ticket: Ticket | None = None,
) -> bool:
    """Perform the step's effects; return whether the panel is being asked, at whose end the ticket is given back."""
    perform(house, docket.case, docket.effects)
    if not any(isinstance(effect, AskPanel) for effect in docket.effects):
        figures.escalated(shelved, docket.standing, shelved.exclusion_reasons(taken))
        return False
    hand = InHand(docket.written(), key, shelved, taken, ())
    house.errands.start(docket.case, _counted(house, hand, ticket))
    return True


async def _counted(house: House, hand: InHand, ticket: Ticket | None) -> None:
    try:
        await deliberate(house, hand)
    finally:
        if ticket is not None:
            ticket.give_back(concluded=True)
