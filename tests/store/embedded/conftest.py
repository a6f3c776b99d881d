"""Servers of these tests' own, on copies of a data folder made once; `server` here is one of them, not the session's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbiter.store.embedded import EmbeddedPostgres
from tests.store.embedded.servers import SMALL, connected


@pytest.fixture(scope="session")
def made(short_folder: Path) -> Path:
    """A data folder with a server that was made and stopped, to be copied."""
    server = EmbeddedPostgres(short_folder / "made", SMALL)
    server.start()
    with connected(server) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    server.stop()
    return short_folder / "made"


@pytest.fixture
def data(made: Path, short_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = short_folder / f"e{abs(hash(request.node.nodeid)) % 10**8}"
    # Owners and modes too: the server refuses a folder that is not its own.
    subprocess.run(["cp", "-a", str(made), str(folder)], check=True)
    yield folder
    leftover = EmbeddedPostgres(folder, SMALL)
    if leftover.answers():
        leftover.start()
        leftover.stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(data: Path) -> Iterator[EmbeddedPostgres]:
    opened = EmbeddedPostgres(data, SMALL)
    opened.start()
    yield opened
    opened.stop()
