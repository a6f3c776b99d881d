"""Houses whose every decision is audited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from arbiter.identity import accounts
from arbiter.store.database import Database
from tests.houses import a_house
from tests.workflow.calibrations.certified import bundle_in, court, fitting, settings_of
from tests.workflow.watching.readers import Readers, readers
from tests.workflow.watching.ward import Ward, ward


@pytest.fixture(autouse=True)
def fast_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest_asyncio.fixture
async def watched(database: Database, tmp_path: Path) -> AsyncIterator[Ward]:
    """A demonstration with a calibration in force, whose every decision is drawn."""
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path)).model_copy(
        update={"audit_share": Decimal(1)}
    )
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        bench = await court(house)
        named = await bench.put_in_force(fitting(house))
        yield await ward(bench, named)


@pytest_asyncio.fixture(name="ward", scope="module", loop_scope="module")
async def read_ward(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Readers]:
    """The readers' house, one for all tests of a module."""
    async with readers(tmp_path_factory.mktemp("reading") / "data", module_database) as made:
        yield made
