"""A house in which cases came to every end, gathered from and not changed by the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from arbiter.identity import accounts
from arbiter.model import CaseId
from arbiter.store.database import Database
from arbiter.workflow.labels.gathering import Gathered, gather
from tests.houses import ShiftableClock, a_house
from tests.workflow.erasures import settings_in
from tests.workflow.labels.hospital import PROTOCOL, Hospital, a_hospital, every_end


@pytest.fixture(autouse=True, scope="module")
def fast_hashing() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@dataclass(frozen=True)
class Ends:
    """The house, its cases by name, and what was gathered of them."""

    at: Hospital
    cases: dict[str, CaseId]
    gathered: Gathered


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ends(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory, fast_hashing: None
) -> AsyncIterator[Ends]:
    folder = tmp_path_factory.mktemp("labels") / "data"
    clock = ShiftableClock()
    async with a_house(folder, module_database, clock, running=False, settings=settings_in(folder)) as house:
        at = await a_hospital(house, clock)
        cases = await every_end(at)
        yield Ends(at, cases, await gather(house, at.otto, PROTOCOL))
