"""The house that the tests of calibrations run in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from arbiter.identity import accounts
from arbiter.store.database import Database
from tests.houses import a_house
from tests.workflow.calibrations.certified import Court, bundle_in, court, settings_of


@pytest.fixture(autouse=True)
def fast_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest_asyncio.fixture
async def bench(database: Database, tmp_path: Path) -> AsyncIterator[Court]:
    """A demonstration without a calibration."""
    settings = settings_of(tmp_path / "data", bundle_in(tmp_path))
    async with a_house(tmp_path / "data", database, settings=settings) as house:
        yield await court(house)
