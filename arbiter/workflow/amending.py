"""New facts for a case that is open: they replace or join its own, and everyone is asked again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from arbiter.documents.taken import TakenFacts
from arbiter.errors import InvalidCaseError, Problem, StaleStateError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.lifecycle.events import Amend
from arbiter.model import CaseId, FactSet
from arbiter.protocols.context import NO_CONTEXT, RawContext, check_size, take_context
from arbiter.protocols.intake import RawFact, take_facts
from arbiter.workflow.acting import TRIES
from arbiter.workflow.beginning import ask_or_exclude, begin_work
from arbiter.workflow.docket import advance, write_step
from arbiter.workflow.dossier import load_seen_case, open_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import sealed_context
from arbiter.workflow.saving import with_safety_net
from arbiter.workflow.views import CaseView, view_of


async def amend(
    house: House,
    principal: Principal,
    case: CaseId,
    facts: Mapping[str, RawFact],
    context: RawContext = NO_CONTEXT,
) -> CaseView:
    """Replace or add facts of an open case; everyone is asked again. `context` joins what the case has of it.

    Raises:
        NotFoundError, InvalidCaseError, ConflictError: nothing is changed.
    """
    principal.require(Permission.CASES_AMEND)
    if not facts:
        raise InvalidCaseError(
            "an amendment names at least one fact",
            (Problem("/facts", "empty", "expected facts, none came"),),
        )
    for _ in range(TRIES - 1):
        # An opinion that comes in between moves the case too, and is no reason to turn the amendment away.
        with suppress(StaleStateError):
            return await _amend(house, principal, case, facts, context)
    return await _amend(house, principal, case, facts, context)


async def _amend(
    house: House, principal: Principal, case: CaseId, facts: Mapping[str, RawFact], context: RawContext
) -> CaseView:
    now = house.clock.now()
    # Read as of one instant: another amendment between head and documents would make them contradict each other.
    async with house.store.read() as transaction:
        head = await load_seen_case(transaction, principal, case)
        dossier = await open_dossier(house, transaction, head)
    fresh = take_facts(dossier.shelved.protocol.question, facts, now)
    beside = take_context(dossier.shelved.protocol.question, context, now)
    check_size(dossier.context().joined(beside))
    taken = TakenFacts.of(_merged(dossier.taken_facts().facts, fresh), now)
    docket = advance(
        house,
        dossier.docket,
        Amend(),
        actor=principal.id,
        now=now,
        key=dossier.key,
        documents={"facts": taken.encode(), **sealed_context(beside)},
    )
    docket = ask_or_exclude(house, docket, taken, dossier.key, dossier.shelved, now)
    async with house.store.begin() as transaction:
        docket = await with_safety_net(house, transaction, docket, now)
        await write_step(transaction, docket, now)
    begin_work(house, docket, dossier.key, dossier.shelved, taken)
    row = replace(dossier.row, state=docket.standing, seq=docket.seq, changed_at=now)
    return view_of(row, dossier.shelved)


def _merged(before: FactSet, fresh: FactSet) -> FactSet:
    by_name = {fact.name: fact for fact in (*before, *fresh)}
    return FactSet(before.version + 1, tuple(by_name[name] for name in sorted(by_name)))
