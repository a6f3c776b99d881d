"""A house whose cases come to every kind of end, and what is known of each afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.errors import IllegalMoveError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactValue, RiskClass
from arbiter.workflow.amending import amend
from arbiter.workflow.closing import cancel, contest, retract
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.outcomes import record
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import claim, hand_back, reveal, sign
from arbiter.workflow.subjects import SubjectRef
from tests.drawing import audited, drawing, reviewed
from tests.houses import ShiftableClock, a_client, a_reviewer, facts, submission
from tests.workflow.calibrations.certified import person
from tests.workflow.erasures import an_officer

PROTOCOL = "deterioration"
URGENT, CALM = "urgent-review", "continue-monitoring"
SPLIT: dict[str, tuple[FactValue, str | None] | None] = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}
EXCLUDED: dict[str, tuple[FactValue, str | None] | None] = {"pregnant": (True, None)}
WANTING: dict[str, tuple[FactValue, str | None] | None] = {"temperature": None}


@dataclass
class Hospital:
    """A house without workers, a system that hands in cases, reviewers, and who may gather labels."""

    house: House
    clock: ShiftableClock
    ward: Principal
    anna: Principal
    ben: Principal
    clara: Principal
    otto: Principal
    olga: Principal
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def case(
        self,
        changes: dict[str, tuple[FactValue, str | None] | None] | None = None,
        *,
        drawn: str | None = None,
        missed: str | None = None,
        risk: RiskClass = RiskClass.ROUTINE,
        training: bool = False,
        supersedes: CaseId | None = None,
        about: str | None = None,
    ) -> CaseId:
        """Hand in a case about a patient of its own; a decision on it is drawn with that probability, or missed with it."""
        number = next(self._numbers)
        made = replace(
            submission(self.clock.now(), **(changes or {})),
            risk_class=risk,
            training=training,
            supersedes=supersedes,
            subject=SubjectRef("urn:example:patients", about or f"made-up-{number}"),
        )
        with drawing(drawn or missed, drawn=missed is None):
            case = (await submit(self.house, self.ward, made, f"key-{number}", b"%d" % number)).case
            await self.house.errands.finish(20)
        await self.seal()
        return case

    async def seal(self) -> None:
        for _ in range(3):
            await self.house.sealer.round()

    async def phase(self, case: CaseId) -> Phase:
        return (await view_case(self.house, self.ward, case)).phase

    async def told(self, case: CaseId, option: str, kind: OutcomeKind = OutcomeKind.OUTCOME) -> None:
        known = KnownOutcome(option, kind, self.clock.now(), "registry", "a few words")
        await record(self.house, self.ward, case, known)

    async def read(self, reader: Principal, case: CaseId, option: str) -> None:
        await audited(self.house, reader, case, option)

    async def judge(self, reviewer: Principal, case: CaseId, option: str) -> None:
        await reviewed(self.house, reviewer, case, option)

    async def decide(self, reviewer: Principal, case: CaseId, option: str) -> None:
        """Look at the panel and sign."""
        await reveal(self.house, reviewer, case)
        await sign(self.house, reviewer, case, option, "having seen the panel")
        await self.seal()


async def a_hospital(house: House, clock: ShiftableClock) -> Hospital:
    client, _ = await a_client(house)
    return Hospital(
        house,
        clock,
        client,
        await a_reviewer(house, "anna"),
        await a_reviewer(house, "ben"),
        await a_reviewer(house, "clara"),
        await person(house, "otto", Role.POLICY_AUTHOR),
        await an_officer(house),
    )


async def _audited(at: Hospital, made: dict[str, CaseId]) -> None:
    """Decisions that were drawn, and some that were not."""
    house = at.house
    made["audit agrees"] = await at.case(drawn="0.200000")
    await at.read(at.ben, made["audit agrees"], CALM)

    case = made["audit wrong by two"] = await at.case(drawn="0.200000")
    await at.read(at.ben, case, URGENT)
    await at.judge(at.anna, case, URGENT)
    await at.decide(at.anna, case, CALM)

    case = made["audit doubted, not confirmed"] = await at.case(drawn="0.200000")
    await at.read(at.ben, case, URGENT)
    await at.judge(at.anna, case, CALM)

    case = made["audit waits for a second reader"] = await at.case(drawn="0.500000")
    await at.read(at.ben, case, URGENT)

    made["drawn and not read"] = await at.case(drawn="0.200000")
    made["decided, nothing known"] = await at.case(missed="0.200000")

    case = made["disputed, not drawn"] = await at.case(missed="0.200000")
    await contest(house, at.ward, case, "she looks ill")
    await at.judge(at.anna, case, URGENT)


async def _told(at: Hospital, made: dict[str, CaseId]) -> None:
    """Cases of which somebody told what turned out to be right."""
    case = made["outcome of a decision"] = await at.case(missed="0.200000")
    await at.told(case, URGENT)
    await at.told(case, CALM)

    case = made["outcome against an audit"] = await at.case(drawn="0.200000")
    await at.read(at.ben, case, CALM)
    await at.told(case, URGENT)

    case = made["independent reader told"] = await at.case(drawn="0.200000")
    await at.read(at.ben, case, CALM)
    await at.told(case, CALM, OutcomeKind.INDEPENDENT_READER)

    case = made["outcome against a reader told"] = await at.case()
    await at.told(case, CALM, OutcomeKind.INDEPENDENT_READER)
    await at.told(case, URGENT)


async def _reviewed(at: Hospital, made: dict[str, CaseId]) -> None:
    """Cases that clinicians judged."""
    house = at.house
    case = made["own opinion, then signed otherwise"] = await at.case(SPLIT)
    await at.judge(at.anna, case, URGENT)
    await at.decide(at.anna, case, CALM)

    case = made["excluded"] = await at.case(EXCLUDED)
    await at.judge(at.anna, case, CALM)

    case = made["two reviewers differ"] = await at.case(SPLIT)
    await at.judge(at.anna, case, URGENT)
    await hand_back(house, at.anna, case)
    await at.judge(at.ben, case, CALM)

    case = made["seen, handed back, taken again"] = await at.case(SPLIT)
    await at.judge(at.anna, case, URGENT)
    await reveal(house, at.anna, case)
    await hand_back(house, at.anna, case)
    with pytest.raises(IllegalMoveError):
        await at.judge(at.anna, case, CALM)
    await at.decide(at.anna, case, CALM)

    case = made["panel shown first"] = await at.case(SPLIT, risk=RiskClass.EMERGENCY)
    await claim(house, at.anna, case)
    await at.decide(at.anna, case, URGENT)

    case = made["panel could be seen first"] = await at.case(SPLIT, risk=RiskClass.EMERGENCY)
    await at.judge(at.anna, case, URGENT)


async def _ended(at: Hospital, made: dict[str, CaseId]) -> None:
    """Cases that nobody judged, or that count no more."""
    house = at.house
    made["escalated, nobody looked"] = await at.case(SPLIT)

    case = made["awaiting facts"] = await at.case(WANTING)
    await at.told(case, CALM)

    case = made["judged on other facts"] = await at.case(SPLIT)
    await at.judge(at.anna, case, URGENT)
    await amend(house, at.ward, case, facts(at.clock.now(), heart_rate=(Decimal(111), "/min")))
    await house.errands.finish(20)

    case = made["cancelled"] = await at.case(SPLIT)
    await at.judge(at.anna, case, URGENT)
    await cancel(house, at.ward, case, "went home")

    case = made["training"] = await at.case(training=True)
    await at.told(case, CALM)

    case = made["entered in error"] = await at.case()
    await at.told(case, CALM)
    await retract(house, at.ward, case, "another patient")

    case = made["superseded"] = await at.case(SPLIT, about="made-up-again")
    await at.told(case, URGENT)
    made["the one in its place"] = await at.case(SPLIT, about="made-up-again", supersedes=case)

    case = made["erased"] = await at.case()
    await at.told(case, CALM)
    await erase(house, Order(at.olga), case)
    await at.seal()


async def every_end(at: Hospital) -> dict[str, CaseId]:
    """Bring a case to each end there is, by a name for it."""
    made: dict[str, CaseId] = {}
    for some in (_audited, _told, _reviewed, _ended):
        await some(at, made)
    return made
