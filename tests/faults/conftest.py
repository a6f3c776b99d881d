"""Processes that seal, a ward that gives them something to seal, and a disk so small that a test can fill it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg.sql import SQL, Identifier

from arbiter.store.database import APPLICATION_ROLE, Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from tests.faults.ledger import Ledger
from tests.faults.sealers import Sealers, some_sealers
from tests.faults.ward import SEALER, Ward
from tests.houses import a_client, a_house

_BLOCK = 4096


@dataclass(frozen=True)
class TinyDisk:
    """A file system of some megabytes in memory."""

    folder: Path

    def fill(self, but_bytes: int = 0) -> None:
        """Leave no room for more than so many bytes, and for what fits into blocks that are begun."""
        filler = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with pytest.raises(OSError, match="No space left"):
                _write_for_ever(filler)
            os.ftruncate(filler, os.fstat(filler).st_size - but_bytes)
        finally:
            os.close(filler)

    def free(self) -> None:
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


def _write_for_ever(handle: int) -> None:
    while True:
        os.write(handle, bytes(_BLOCK))


@pytest.fixture
def tiny_disk(short_folder: Path, tmp_path: Path) -> Iterator[TinyDisk]:
    """A mounted disk of 48 MB; skips the test where none can be mounted."""
    folder = short_folder / f"disk-{tmp_path.name}"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system to fill")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m,mode=0755", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"this place lets nobody mount a small file system: {done.stderr.strip()}")
    try:
        yield TinyDisk(folder)
    finally:
        # Lazily: a server that a failed test left running must not keep it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture(scope="session")
def sealers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealers]:
    with some_sealers(tmp_path_factory.mktemp("sealers")) as started:
        yield started


@pytest.fixture(scope="session")
def sealers_login(server: EmbeddedPostgres) -> None:
    with psycopg.connect(conninfo(server.superuser_url), autocommit=True) as administrator:
        administrator.execute(
            SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(Identifier(SEALER), Identifier(APPLICATION_ROLE))
        )


@pytest_asyncio.fixture
async def ward(
    database: Database, server: EmbeddedPostgres, sealers_login: None, tmp_path: Path
) -> AsyncIterator[Ward]:
    folder = tmp_path / "data"
    async with a_house(folder, database, running=False) as house:
        client, _ = await a_client(house)
        ledger = Ledger(house, client, folder / "checkpoint")
        yield Ward(house, client, ledger, folder, database, server)
