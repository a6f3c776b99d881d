"""What several modules share.

Databases to exchange, a log that lost entries, one that is tampered with, cases to erase or export, a model server that misbehaves.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from tests.databases import Copies
from tests.panels.model_servers import misbehaving
from tests.workflow.circles import Someone, real_witnesses
from tests.workflow.erasures import Records, records
from tests.workflow.furniture import Furniture, furniture
from tests.workflow.losses import Lost, lose
from tests.workflow.tampered import Sealed, in_the_runs_of_rounds, restore, seal_and_open


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server each of whose models misbehaves as its name says."""
    with misbehaving() as served:
        yield served


@pytest.fixture
def copies(server: EmbeddedPostgres, database: Database) -> Iterator[Copies]:
    made = Copies(server, database)
    yield made
    made.drop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pristine(
    server: EmbeddedPostgres, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Copies, str, str, Lost]]:
    """The loss, made once."""
    async with lose(server, module_database, tmp_path_factory.mktemp("lost")) as made:
        yield made


@pytest.fixture
def lost(pristine: tuple[Copies, str, str, Lost], tmp_path: Path) -> Iterator[Lost]:
    """The loss, for one test alone."""
    copies, behind, _, made = pristine
    folder = tmp_path / "data"
    shutil.copytree(made.folder, folder)
    with copies.another(behind) as database:
        yield replace(made, folder=folder, database=database)


@pytest.fixture
def whole(pristine: tuple[Copies, str, str, Lost]) -> Iterator[Database]:
    """The database as it was before the loss."""
    copies, _, before, _ = pristine
    with copies.another(before) as database:
        yield database


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Someone, ...]]:
    """Two real witnesses, for the whole module: each test's log has an origin of its own."""
    with real_witnesses(tmp_path_factory.mktemp("witnesses"), 2) as witnesses:
        yield witnesses


@pytest_asyncio.fixture
async def kept(tmp_path: Path, database: Database) -> AsyncIterator[Records]:
    """Cases that need not be kept any longer, and who may erase them."""
    async with records(tmp_path / "data", database) as made:
        yield made


@pytest_asyncio.fixture
async def furnished(tmp_path: Path, database: Database) -> AsyncIterator[Furniture]:
    """A house with cases to export."""
    async with furniture(tmp_path / "data", database) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sealed_once(
    server: EmbeddedPostgres, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sealed]:
    async with seal_and_open(server, module_database, tmp_path_factory.mktemp("tampering")) as made:
        yield made


@pytest.fixture
def sealed(sealed_once: Sealed) -> Iterator[Sealed]:
    """The log as it was sealed, a run a leaf; what a test does to it is undone afterwards."""
    kept_note = sealed_once.kept
    yield sealed_once
    (sealed_once.folder / "checkpoint").write_bytes(kept_note)
    restore(sealed_once)


@pytest.fixture
def in_rounds(sealed: Sealed) -> Sealed:
    """The log in the runs that its rounds wrote."""
    in_the_runs_of_rounds(sealed)
    return sealed
