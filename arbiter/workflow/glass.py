"""Breaking the glass: somebody entitled to looks at a foreign site's case, for a reason, for a while, on the record.

It widens which case a principal may see and nothing else: who may not read may not read, a reviewer stays blind, and
no system of another site changes the case.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from arbiter.documents.canonical import encode
from arbiter.errors import ConflictError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import BreakGlass
from arbiter.model import CaseId
from arbiter.store.glass import keep_broken_glass
from arbiter.telemetry import Safe
from arbiter.workflow.docket import advance, write_step
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.saving import perform
from arbiter.workflow.views import CaseView, view_of

log = logging.getLogger(__name__)

OPEN_FOR = timedelta(hours=1)


async def break_glass(
    house: House, principal: Principal, case: CaseId, reason: str
) -> tuple[CaseView, datetime]:
    """Let a principal look at a case of a site it does not act for; return the case and until when.

    The entry commits to the reason and is written with the right itself, or neither is. The requester hears of it.

    Raises:
        ConflictError: when the principal acts for the case's site, or somebody moved the case meanwhile;
        NotFoundError: when there is no such case.
    """
    principal.require(Permission.CASES_BREAK_GLASS)
    now = house.clock.now()
    until = now + OPEN_FOR
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
    if principal.may_see(dossier.row.site):
        raise ConflictError(f"{principal.kind} {principal.id} acts for this case's site: there is no glass")
    docket = advance(
        house,
        dossier.docket,
        BreakGlass(),
        actor=principal.id,
        now=now,
        key=dossier.key,
        documents={"reason": encode({"reason": reason})},
    )
    async with house.store.begin() as transaction:
        await write_step(transaction, docket, now)
        await keep_broken_glass(transaction, principal.id, case, now, until)
    perform(house, case, docket.effects)
    log.warning("%s %s broke the glass of case %s", Safe(principal.kind), Safe(principal.id), case)
    row = replace(dossier.row, state=docket.standing, seq=docket.seq, changed_at=now)
    return view_of(row, dossier.shelved), until
