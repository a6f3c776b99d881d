"""How a reviewer stands to a case: whether it is theirs, and whether they are still blind."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from arbiter.audit.entry import Entry
from arbiter.errors import IllegalMoveError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.states import ENDS, CaseState, Phase
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.workflow.dossier import Dossier, load_seen_case, open_dossier
from arbiter.workflow.house import House
from arbiter.workflow.taking import may_take
from arbiter.workflow.watching.reading import has_seen_more


def require_claim(dossier: Dossier, principal: Principal, now: datetime) -> None:
    """Refuse whoever does not hold the case now; raises IllegalMoveError."""
    held = dossier.row.state.claim
    if held is None or held.reviewer != principal.id or now >= held.until:
        raise IllegalMoveError(f"reviewer {principal.id} does not hold case {dossier.row.id}")


class Passed(StrEnum):
    """How somebody stands to a case that was theirs to read and is not any more."""

    READ = "read"
    REFERRED = "referred"
    CONFLICT = "conflict"
    FACTS = "facts"
    AUDIT = "audit"
    """It was a decision to be read for an audit, and they have stepped back from that."""


async def passed_on(house: House, principal: Principal, case: CaseId) -> Passed | None:
    """Return why a case is out of this reviewer's hands that was in them, None where it is not so."""
    principal.require(Permission.REVIEW_WORK)
    row = await load_seen_case(house.store, principal, case, house.clock.now())
    return how_passed_on(row.state, principal)


def how_passed_on(state: CaseState, principal: Principal) -> Passed | None:
    """Return the same of a state; whoever holds the case, or may take it again, has not passed it on."""
    if state.claim is not None and state.claim.reviewer == principal.id:
        return None
    if principal.id in state.conflicted:
        return Passed.CONFLICT
    if (
        state.phase in ENDS
        and state.audit is not None
        and principal.id in {*state.audit.readers} - {*state.seen_by}
    ):
        return Passed.AUDIT
    if principal.id in state.referrers:
        return Passed.REFERRED
    if state.phase is Phase.AWAITING_FACTS and state.facts_asked_by == principal.id:
        return Passed.FACTS
    again = state.phase is Phase.ESCALATED and may_take(state, principal)
    one_of_several = state.readers_needed > 1 or state.wants_arbiter
    return Passed.READ if principal.id in state.readings and one_of_several and not again else None


async def unseen_dossier(house: House, principal: Principal, case: CaseId) -> Dossier:
    """Return a case of which nothing is shown to anybody, so that no entry has to say so."""
    async with house.store.read() as transaction:
        head = await load_seen_case(transaction, principal, case, house.clock.now())
        return await open_dossier(house, transaction, head)


async def is_blind(house: House, principal: Principal, case: CaseId) -> bool:
    """Return whether somebody has seen nothing of a decision that is being audited; True where none is."""
    async with house.store.read() as transaction:
        row = await load_seen_case(transaction, principal, case, house.clock.now())
        if row.state.audit is None or not row.state.audit.is_open:
            return True
        entries = await load_entries(transaction, case)
    return not has_seen_more((Entry.from_bytes(body) for _, body, _ in entries), principal.id)
