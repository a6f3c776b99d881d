"""Exports of one small house, exports of a log whose key was rotated, and a Python that knows neither."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from arbiter.audit.export.manifest import Selection
from arbiter.identity.roles import Role
from arbiter.store.database import Database
from tests.exports import Exported, an_auditor, exported, furnish
from tests.houses import a_house
from tests.verifying.bare import Bare, copy_packages
from tests.verifying.rotations import Rotated, rotate


@dataclass(frozen=True)
class Exports:
    """An export of the whole log, one of a case, and one without documents, picked by actor."""

    whole: Exported
    case: Exported
    picked: Exported


@pytest.fixture(scope="session")
def exports(exports_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return asyncio.run(_export(exports_database, tmp_path_factory.mktemp("exports") / "data"))


@pytest.fixture(scope="session")
def rotated(rotated_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    return asyncio.run(rotate(rotated_database, tmp_path_factory.mktemp("rotated") / "data"))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    copy_packages(folder)
    return folder


@pytest.fixture
def bare(packages: Path, tmp_path: Path) -> Bare:
    return Bare(packages, tmp_path)


async def _export(database: Database, folder: Path) -> Exports:
    async with a_house(folder, database, running=False) as house:
        cases = await furnish(house)
        auditor, _ = await an_auditor(house, Role.DISCLOSURE)
        everything = Selection(payloads=True, paper=True)
        one = Selection(cases=(cases.decided,), payloads=True, paper=True)
        return Exports(
            await exported(house, auditor, everything, cases),
            await exported(house, auditor, one, cases),
            await exported(house, auditor, Selection(actor="arbiter"), cases),
        )
