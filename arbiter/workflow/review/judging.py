"""Judging alone: the case without its panel, and the reviewer's own opinion fixed in the log."""

from __future__ import annotations

from datetime import datetime, timedelta

from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import CommitOpinion, Read, ReadForAudit
from arbiter.lifecycle.states import ENDS, Phase
from arbiter.model import CaseId, Reason, ReasonCode
from arbiter.store.cases.heads import CaseRow
from arbiter.workflow import figures
from arbiter.workflow.acting import act
from arbiter.workflow.blinding import BlindCase, blind_case
from arbiter.workflow.dossier import Dossier
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import OwnOpinion, check_opinion, committed_by
from arbiter.workflow.review.drafts import forget
from arbiter.workflow.review.standing import is_blind, require_claim, unseen_dossier
from arbiter.workflow.watching.counting import save_reading
from arbiter.workflow.watching.reading import (
    as_decided,
    as_it_waits,
    opinion_move,
    reading_by,
    waits_for,
)


async def open_case(house: House, principal: Principal, case: CaseId) -> BlindCase:
    """Return a claimed case without its panel; each look is an entry.

    One that is read for an audit is shown as it was when its facts were taken in: the question is about that moment.
    """
    principal.require(Permission.REVIEW_WORK)

    def look(dossier: Dossier, now: datetime) -> tuple[Read, dict[str, bytes]]:
        require_claim(dossier, principal, now)
        return Read(), {}

    acted = await act(house, principal, case, look, through_glass=True)
    dossier = acted.before
    if not waits_for(dossier.row, principal):
        return blind_case(dossier, acted.at)
    decided = as_decided(dossier, _waiting(house, dossier, acted.at))
    return blind_case(decided, decided.taken_facts().taken_at)


def _waiting(house: House, dossier: Dossier, now: datetime) -> CaseRow:
    return as_it_waits(dossier.row, now, timedelta(days=house.settings.audit_days))


async def commit_opinion(house: House, principal: Principal, case: CaseId, own: OwnOpinion) -> bool:
    """Fix the reviewer's own opinion in the log; return whether it was read for an audit, and nothing follows for the reader.

    Raises:
        RefusedError: when the opinion names an option or fact the case does not have; ConflictError: out of turn.
    """
    principal.require(Permission.REVIEW_WORK)
    blind = await is_blind(house, principal, case)

    def commit(dossier: Dossier, now: datetime) -> tuple[CommitOpinion | ReadForAudit, dict[str, bytes]]:
        waits = waits_for(dossier.row, principal)
        check_opinion(as_decided(dossier, _waiting(house, dossier, now)) if waits else dossier, own)
        return opinion_move(dossier, principal, own, blind=blind)

    acted = await act(house, principal, case, commit, through_glass=True, saving=save_reading)
    await forget(house, principal, case)
    if acted.before.row.state.phase not in ENDS:
        return False
    if acted.view.phase is Phase.ESCALATED:
        why = Reason(ReasonCode.CONTESTED, "a released decision was contested")
        figures.escalated(acted.before.shelved, acted.before.row.state, (why,))
    return True


async def is_committed(house: House, principal: Principal, case: CaseId, own: OwnOpinion) -> bool:
    """Return whether this is the opinion that the reviewer has fixed and still answers for; nothing is shown of it."""
    principal.require(Permission.REVIEW_WORK)
    dossier = await unseen_dossier(house, principal, case)
    return own.in_order() == (committed_by(dossier, principal) or reading_by(dossier, principal))


async def has_read(house: House, principal: Principal, case: CaseId) -> bool:
    """Return whether this reviewer has read the case for an audit; nothing is shown of it."""
    principal.require(Permission.REVIEW_WORK)
    return reading_by(await unseen_dossier(house, principal, case), principal) is not None
