"""A ward whose panel decides alone, and the people who read what it decided."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.documents.canonical import encode
from arbiter.identity.principals import Principal
from arbiter.lifecycle.auditing import contests
from arbiter.lifecycle.events import CommitOpinion, ReadForAudit, Retract
from arbiter.lifecycle.states import Audit, Phase
from arbiter.model import CaseId
from arbiter.store.cases.heads import load_case
from arbiter.workflow.acting import act
from arbiter.workflow.house import House
from arbiter.workflow.review import claim
from arbiter.workflow.watching.counting import save_reading
from tests.houses import a_client, a_reviewer
from tests.workflow.calibrations.certified import PROTOCOL, Court, decided

READING = encode({"format": "arbiter/reading/v1"})
__all__ = ["PROTOCOL", "READING", "Ward", "ward"]


@dataclass(frozen=True)
class Ward:
    """A house with a calibration in force, whoever submits cases, and three who read."""

    bench: Court
    calibration: str
    client: Principal
    anna: Principal
    boris: Principal

    @property
    def house(self) -> House:
        return self.bench.house

    async def decide(self, key: str) -> CaseId:
        """A case that the panel decides."""
        case, phase, told = await decided(self.house, self.client, key)
        assert phase is Phase.RELEASED, told["verdict"]
        return case

    async def audit_of(self, case: CaseId) -> Audit | None:
        return (await load_case(self.house.store, case)).state.audit

    async def read(self, case: CaseId, reader: Principal, *, agrees: bool) -> None:
        """One reader's word on a released decision."""
        await claim(self.house, reader, case)
        event = ReadForAudit(reader.id, agrees)
        documents = {"reading": READING}
        state = (await load_case(self.house.store, case)).state
        if contests(state, agrees=agrees):
            documents["reason"] = encode({"reason": "a reader would have decided otherwise"})
        await act(self.house, reader, case, lambda _b, _n: (event, documents), saving=save_reading)

    async def review(self, case: CaseId, reviewer: Principal, *, agrees: bool) -> None:
        """A reviewer's blind opinion on a case that is contested."""
        await claim(self.house, reviewer, case)
        event = CommitOpinion(reviewer.id, agrees)
        documents = {"review": encode({"reviewer": reviewer.id})}
        await act(self.house, reviewer, case, lambda _b, _n: (event, documents), saving=save_reading)

    async def find_wrong(self, key: str) -> CaseId:
        """A decision that two readers would have made otherwise."""
        case = await self.decide(key)
        await self.read(case, self.anna, agrees=False)
        await self.review(case, self.boris, agrees=False)
        return case

    async def retract(self, case: CaseId) -> None:
        documents = {"reason": encode({"reason": "another patient's"})}
        await act(self.house, self.client, case, lambda _b, _n: (Retract(), documents))


async def ward(bench: Court, calibration: str) -> Ward:
    client, _ = await a_client(bench.house)
    anna, boris = await a_reviewer(bench.house, "anna"), await a_reviewer(bench.house, "boris")
    return Ward(bench, calibration, client, anna, boris)
