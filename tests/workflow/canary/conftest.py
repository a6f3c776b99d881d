"""The house that the canary's tests run in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from arbiter.store.database import Database
from tests.conftest import SettableClock
from tests.houses import a_house
from tests.panels.model_bundles import seat
from tests.panels.moody_server import a_moody_server
from tests.workflow.canary.wards import (
    MIDNIGHT,
    Ward,
    bundle_in,
)
from tests.workflow.modelled import settings_with


@pytest_asyncio.fixture
async def ward(database: Database, tmp_path: Path) -> AsyncIterator[Ward]:
    bundle_in(tmp_path, seat("one", "m1"), seat("two", "m2"))
    clock = SettableClock(MIDNIGHT)
    async with a_moody_server() as moods:
        settings = settings_with(tmp_path, moods.url)
        async with a_house(tmp_path, database, clock, settings=settings, running=False) as house:
            yield Ward(house, moods, clock)
