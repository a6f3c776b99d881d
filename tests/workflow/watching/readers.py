"""A house whose every decision is drawn for an audit, its reviewers, and a clock that a test moves."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.documents.canonical import decode
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import AuditStage, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.settings import Mode, Settings
from arbiter.store.cases.heads import CaseRow, load_case
from arbiter.store.database import Database
from arbiter.workflow import review
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.subjects import SubjectRef
from arbiter.workflow.work_list import WorkItem
from tests.houses import PASSWORD, SITE, ShiftableClock, a_client, a_house, listed_for, settle, submission

SAME, OTHER = "continue-monitoring", "urgent-review"
"""What the panel decides about the calm patient, and what it does not."""
SOUTH = "south"


def opinion(option: str = SAME) -> OwnOpinion:
    return OwnOpinion(option, 80, ("spo2", "heart_rate"), "as I see it")


@dataclass
class Readers:
    """The house, whoever hands cases in, and its people."""

    house: House
    clock: ShiftableClock
    client: Principal
    anna: Principal
    boris: Principal
    clara: Principal
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def hand_in(self, risk: RiskClass = RiskClass.ROUTINE, **changes: Any) -> CaseId:
        """Hand in a case and see it settled."""
        number = next(self._keys)
        subject = SubjectRef("urn:example:patients", f"read-{number}")
        made = replace(submission(self.clock.now(), **changes), risk_class=risk, subject=subject)
        case = (await submit(self.house, self.client, made, f"key-{number}", b"%d" % number)).case
        await settle(self.house)
        return case

    async def drawn(self, risk: RiskClass = RiskClass.ROUTINE) -> CaseId:
        """Hand in a case that the panel decides; its decision is released, and waits to be read."""
        case = await self.hand_in(risk)
        row = await self.row(case)
        assert (row.state.phase, await self.stage(case)) == (Phase.RELEASED, AuditStage.DRAWN)
        return case

    async def escalated(self, risk: RiskClass = RiskClass.ROUTINE) -> CaseId:
        """Hand in a case that its exclusions send to a clinician."""
        return await self.hand_in(risk, pregnant=(True, None))

    async def read(self, case: CaseId, reader: Principal, option: str) -> bool:
        await review.claim(self.house, reader, case)
        return await review.commit_opinion(self.house, reader, case, opinion(option))

    async def sign(self, case: CaseId, reviewer: Principal, option: str) -> None:
        await review.reveal(self.house, reviewer, case)
        await review.sign(self.house, reviewer, case, option, "having seen it")
        await settle(self.house)

    async def listed(self, case: CaseId, who: str = "anna") -> WorkItem | None:
        """Return the case as it stands on somebody's work list, or None."""
        items = await listed_for(self.house, getattr(self, who))
        return next((item for item in items if item.case == case), None)

    async def row(self, case: CaseId) -> CaseRow:
        return await load_case(self.house.store, case)

    async def stage(self, case: CaseId) -> AuditStage | None:
        audit = (await self.row(case)).state.audit
        return None if audit is None else audit.stage

    async def dossier(self, case: CaseId) -> Dossier:
        async with self.house.store.read() as transaction:
            return await load_dossier(self.house, transaction, case)

    async def documents(self, case: CaseId, name: str) -> list[dict[str, Any]]:
        dossier = await self.dossier(case)
        return [decode(document.content) for document in dossier.documents if document.name == name]

    async def person(self, login: str, *roles: Role, site: str = SITE) -> Principal:
        return await create_account(
            self.house.identities,
            self.house.clock,
            self.house.chance,
            login,
            login.capitalize(),
            PASSWORD,
            frozenset(roles),
            frozenset({site}),
        )


@asynccontextmanager
async def readers(folder: Path, database: Database) -> AsyncIterator[Readers]:
    clock = ShiftableClock()
    settings = Settings(
        data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False, audit_share=Decimal(1)
    )
    async with a_house(folder, database, clock, settings=settings) as house:
        client, _ = await a_client(house)
        await add_site(house.identities, SOUTH, "South Hospital")
        made = Readers(house, clock, client, client, client, client)
        made.anna, made.boris, made.clara = [
            await made.person(login, Role.REVIEWER) for login in ("anna", "boris", "clara")
        ]
        yield made
