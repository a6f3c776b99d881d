"""How a reviewer stands to a case: whether it is theirs, and whether they are still blind."""

from __future__ import annotations

from datetime import datetime

from arbiter.audit.entry import Entry
from arbiter.errors import IllegalMoveError
from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.workflow.dossier import Dossier, load_dossier, load_seen_case
from arbiter.workflow.house import House
from arbiter.workflow.watching.reading import (
    has_seen_more,
)


def require_claim(dossier: Dossier, principal: Principal, now: datetime) -> None:
    """Refuse whoever does not hold the case now; raises IllegalMoveError."""
    held = dossier.row.state.claim
    if held is None or held.reviewer != principal.id or now >= held.until:
        raise IllegalMoveError(f"reviewer {principal.id} does not hold case {dossier.row.id}")


async def unseen_dossier(house: House, principal: Principal, case: CaseId) -> Dossier:
    """Return a case of which nothing is shown to anybody, so that no entry has to say so."""
    async with house.store.read() as transaction:
        await load_seen_case(transaction, principal, case, house.clock.now())
        return await load_dossier(house, transaction, case)


async def is_blind(house: House, principal: Principal, case: CaseId) -> bool:
    """Return whether somebody has seen nothing of a decision that is being audited; True where none is."""
    async with house.store.read() as transaction:
        row = await load_seen_case(transaction, principal, case, house.clock.now())
        if row.state.audit is None or not row.state.audit.is_open:
            return True
        entries = await load_entries(transaction, case)
    return not has_seen_more((Entry.from_bytes(body) for _, body, _ in entries), principal.id)
