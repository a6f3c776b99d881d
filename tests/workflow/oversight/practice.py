"""A ward that works: real cases through the real workflow, judged and signed as a test says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from arbiter.identity.principals import Principal
from arbiter.model import CaseId, FactValue, RiskClass
from arbiter.workflow import review
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.subjects import SubjectRef
from tests.houses import ShiftableClock, settle, submission

Facts: TypeAlias = Mapping[str, tuple[FactValue, str | None] | None]

URGENT: Final = "urgent-review"
CONTINUE: Final = "continue-monitoring"
EXCLUDED: Facts = {"treatment_limitation": ("ward-ceiling", None)}
SPLIT: Facts = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}
"""CART asks for urgent review, NEWS2 and MEWS do not."""
ILL: Facts = {
    "respiratory_rate": (Decimal(28), "/min"),
    "spo2": (Decimal(88), "%"),
    "heart_rate": (Decimal(135), "/min"),
    "systolic_bp": (Decimal(88), "mm[Hg]"),
    "temperature": (Decimal("39.4"), "Cel"),
    "consciousness": ("confusion", None),
}
WORSE: Facts = {"respiratory_rate": (Decimal(22), "/min"), "heart_rate": (Decimal(112), "/min")}
"""All scores are calm about it, and policy lets nobody decide so alone."""
CALM: Facts = {}


@dataclass
class Ward:
    """A house with a clock to move, and a system that hands in cases."""

    house: House
    clock: ShiftableClock
    client: Principal
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def case(
        self, facts: Facts, risk: RiskClass = RiskClass.ROUTINE, *, training: bool = False
    ) -> CaseId:
        """Hand in a case and wait until its panel has concluded."""
        number = next(self._keys)
        made = replace(
            submission(self.clock.now(), **facts),
            risk_class=risk,
            training=training,
            subject=SubjectRef("urn:example:patients", f"made-up-{number}"),
        )
        case = (await submit(self.house, self.client, made, f"ward-{number}", b"%d" % number)).case
        await self.house.errands.finish(30)
        return case

    async def reviewed(
        self,
        case: CaseId,
        who: Principal,
        own: str,
        final: str,
        *,
        waits: timedelta = timedelta(0),
        thinks: timedelta = timedelta(0),
    ) -> None:
        """Let somebody take a case after a while, judge it alone, see the panel, and sign."""
        self.clock.advance(waits)
        await review.claim(self.house, who, case)
        await review.commit_opinion(self.house, who, case, OwnOpinion(own, 80, (), ""))
        await review.reveal(self.house, who, case)
        self.clock.advance(thinks)
        await review.sign(self.house, who, case, final, "as I see it now")

    async def corrected(
        self, case: CaseId, who: Principal, final: str, *, thinks: timedelta = timedelta(0)
    ) -> None:
        """Let the signer take the released decision back and sign anew."""
        await settle(self.house)
        await review.correct(self.house, who, case, "seen again")
        self.clock.advance(thinks)
        await review.sign(self.house, who, case, final, "on second thoughts")
