"""Taking a case on, keeping it for longer, giving it back."""

from __future__ import annotations

from datetime import datetime, timedelta

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import HandBack, Renew, TakeUp
from arbiter.model import CaseId
from arbiter.workflow.acting import act
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.review.drafts import forget
from arbiter.workflow.review.standing import is_blind
from arbiter.workflow.taking import arbitrates
from arbiter.workflow.teaching import check_not_taught
from arbiter.workflow.watching.reading import (
    check_may_take_up,
)

LEASE = timedelta(minutes=15)


async def claim(house: House, principal: Principal, case: CaseId) -> None:
    """Take a case on for `LEASE`, to decide it or, where it waits for that, to read it for an audit.

    Raises:
        ConflictError: when somebody else holds it; when it is for another reader or an arbiter, or this reviewer has
        referred it, declared a conflict or been taught by it; or it is decided and this reviewer has read it, seen its panel, or does not act
        for its site.
    """
    principal.require(Permission.REVIEW_WORK)
    blind = await is_blind(house, principal, case)

    def take_up(dossier: Dossier, now: datetime) -> tuple[TakeUp, dict[str, bytes]]:
        check_not_taught(dossier, principal)
        check_may_take_up(dossier, principal, blind=blind)
        return TakeUp(principal.id, now + LEASE, arbitrates(principal)), {}

    await act(house, principal, case, take_up, through_glass=True)


async def renew(house: House, principal: Principal, case: CaseId) -> None:
    """Hold on to a claimed case for another `LEASE`."""
    principal.require(Permission.REVIEW_WORK)
    await act(
        house,
        principal,
        case,
        lambda _dossier, now: (Renew(principal.id, now + LEASE), {}),
        through_glass=True,
    )


async def hand_back(house: House, principal: Principal, case: CaseId) -> None:
    """Give a claimed case back to the duty group."""
    principal.require(Permission.REVIEW_WORK)
    await act(house, principal, case, lambda _dossier, _now: (HandBack(principal.id), {}), through_glass=True)
    await forget(house, principal, case)
