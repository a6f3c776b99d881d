"""A house whose clinicians have passkeys, and cases that wait for their signature."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
import pytest_asyncio

from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.store.database import Database
from arbiter.workflow import passkeys, review
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.own_opinion import OwnOpinion
from tests.clinician_ui.conftest import module_database
from tests.houses import ShiftableClock, a_client, a_house, a_reviewer, submission
from tests.passkeys import SoftPasskey

__all__ = ["module_database"]

SPLIT = {
    "respiratory_rate": (Decimal(24), "/min"),
    "heart_rate": (Decimal(112), "/min"),
    "age": (Decimal(80), "a"),
}
"""Two of three say that monitoring goes on, which is what the panel leans to; one dissents."""


@dataclass
class Clinic:
    """A house, its clock, two clinicians with a passkey each, and a system that hands in cases."""

    house: House
    clock: ShiftableClock
    client: Principal
    anna: Principal
    ben: Principal
    annas: SoftPasskey
    bens: SoftPasskey
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def revealed(
        self, who: Principal | None = None, own: str | None = "continue-monitoring"
    ) -> tuple[CaseId, str]:
        """Hand in a case and lead it to where it is signed; return it with the hash of what was shown."""
        reviewer, number = who or self.anna, next(self._keys)
        made = submission(self.clock.now(), **SPLIT)
        subject = replace(made.subject, value=f"made-up-{number}")
        case = (
            await submit(
                self.house, self.client, replace(made, subject=subject), f"k{number}", b"%d" % number
            )
        ).case
        await self.house.errands.finish(10)
        await review.claim(self.house, reviewer, case)
        await review.commit_opinion(self.house, reviewer, case, OwnOpinion(own or "", 70, (), "looks well"))
        return case, (await review.reveal(self.house, reviewer, case)).shown


async def add(
    house: House, who: Principal, passkey: SoftPasskey, name: str = "blue key", **lies: object
) -> None:
    """Add a passkey to an account."""
    options = await passkeys.ask_to_add(house, who, name)
    await passkeys.finish_adding(house, who, name, passkey.make(options, **lies))


@pytest.fixture(scope="module")
def clock() -> ShiftableClock:
    return ShiftableClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(
    module_database: Database, clock: ShiftableClock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Clinic]:
    async with a_house(tmp_path_factory.mktemp("clinic") / "data", module_database, clock) as house:
        client, _ = await a_client(house)
        anna, ben = await a_reviewer(house, "anna"), await a_reviewer(house, "ben")
        annas, bens = SoftPasskey(), SoftPasskey("EdDSA")
        await add(house, anna, annas)
        await add(house, ben, bens)
        yield Clinic(house, clock, client, anna, ben, annas, bens)
