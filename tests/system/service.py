"""A serving process of its own for tests that kill it: `arbiter serve` on an embedded database with fsync, real sockets."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg

from arbiter.clock import SystemChance
from arbiter.model import FactValue
from arbiter.settings import Mode, Settings
from arbiter.store.database import DATABASE, conninfo
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.keys import init_keys
from arbiter.wiring import open_house
from arbiter.workflow.house import House
from tests.houses import a_client, facts
from tests.patience import PATIENCE_SECONDS
from tests.system.forking import Forks

ROOT = Path(__file__).parents[2]
ORIGIN = "log.hospital.example/arbiter"
COMMAND = [sys.executable, "-c", "from arbiter.cli import main; main()"]
STOP_SECONDS = 30.0

KINDS: tuple[dict[str, tuple[FactValue, str | None] | None], ...] = (
    {},
    {"systolic_bp": (Decimal(85), "mm[Hg]")},
    {"temperature": None},
    {"pregnant": (True, None)},
)
"""What changes about a calm patient to have a case decided, escalated by policy, waiting for facts, excluded."""


class Service:
    """One data folder, one port; the process may be started, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.command = COMMAND
        self.variables: dict[str, str] = {}
        self.database = EmbeddedPostgres(self.data)
        self._log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the process wrote so far, over all its lives."""
        return self._log.read_text("utf-8", errors="replace") if self._log.exists() else ""

    @property
    def settings(self) -> Settings:
        return Settings(data=self.data, mode=Mode.DEMONSTRATION, secure_cookies=False)

    @property
    def kept(self) -> Path:
        return self.data / "checkpoint"

    async def furnish(self) -> None:
        """Make keys, a site and a client; from here on the database server is held until `tear_down`."""
        self.data.mkdir(mode=0o700)
        init_keys(self.data, ORIGIN, SystemChance())
        self.database.start()
        async with self.house() as house:
            await house.identities.add_site("north", "North Hospital")
            _, self.token = await a_client(house)

    @contextlib.asynccontextmanager
    async def house(self) -> AsyncIterator[House]:
        """A second process' worth of the same installation: reads and writes, seals nothing."""
        async with open_house(self.settings) as house:
            yield house

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, "serve"],
                cwd=ROOT,
                env=environment(self.data, ARBITER_PORT=str(self.port), **self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, self.log[-4000:]
            assert time.monotonic() < ends_at, self.log[-4000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop as an operator does and return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(STOP_SECONDS)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def arbiter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the command line on the same data."""
        return run_arbiter(self.data, *arguments)

    def arbiter_with(self, variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same with these variables."""
        return run_arbiter(self.data, *arguments, **variables)

    def door(self, **more: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            trust_env=False,
            timeout=30,
            limits=httpx.Limits(max_connections=100),
            **more,
        )

    @contextlib.contextmanager
    def superuser(self) -> Iterator[psycopg.Connection]:
        """A connection that may do anything to the service's database, as an insider with the machine could."""
        with psycopg.connect(conninfo(self.database.url(SUPERUSER, DATABASE)), autocommit=True) as connection:
            yield connection

    def tear_down(self) -> None:
        """Leave no process behind, neither ours nor the database's."""
        if self.alive:
            self.kill()
        self.database.stop()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def a_service() -> Iterator[Service]:
    """A furnished service that is not running yet, on the disk and under a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="arb-"))
    service = Service(folder)
    try:
        asyncio.run(service.furnish())
        yield service
    finally:
        service.tear_down()
        shutil.rmtree(folder)


@functools.cache
def bytecode_folder() -> Path:
    """One folder of compiled code for all the processes of a test session."""
    folder = Path(tempfile.mkdtemp(prefix="arb-bytecode-"))
    atexit.register(shutil.rmtree, folder)
    return folder


def environment(data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process of ours on a data folder, untouched by the settings of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("ARBITER_", "OTEL_"))
    }
    # Starting again is most of what these tests wait for: compile our code and the libraries' once, where it may be kept.
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(bytecode_folder())
    return kept | {
        "ARBITER_DATA": str(data),
        "ARBITER_MODE": Mode.DEMONSTRATION.value,
        "ARBITER_CANARY_AT": "off",
        "ARBITER_SECURE_COOKIES": "false",
        "COLUMNS": "400",
        **more,
    }


@functools.cache
def forks() -> Forks:
    """Return the session's process that forks commands, started at its first use."""
    started = Forks(environment(ROOT))
    atexit.register(started.close)
    return started


_begun: set[tuple[str, ...]] = set()


def run_arbiter(data: Path, *arguments: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line to its end, with `said` on its standard input.

    The first time it is a process from nothing, as whoever types it has one; from then on it is forked.
    """
    environ = environment(data, **more)
    words = tuple(itertools.takewhile(re.compile("[a-z-]+").fullmatch, arguments[:2]))
    if words in _begun:
        done = forks().run(arguments, environ, said, PATIENCE_SECONDS)
        if done is not None:
            return done
    _begun.add(words)
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environ,
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def case_body(
    subject: str = "made-up-1",
    changes: Mapping[str, tuple[FactValue, str | None] | None] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a case as a hospital system posts it: the calm patient with changes."""
    return {
        "protocol": "deterioration",
        "site": "north",
        "subject": {"system": "urn:example:patients", "value": subject},
        "encounter": "visit-1",
        "risk_class": "urgent",
        "facts": facts_body(**(changes or {})),
        **more,
    }


def facts_body(**changes: tuple[FactValue, str | None] | None) -> dict[str, Any]:
    """Return facts as a hospital system posts them."""
    return {
        name: {
            "value": float(raw.value) if isinstance(raw.value, Decimal) else raw.value,
            **({} if raw.unit is None else {"unit": raw.unit}),
            "observed_at": raw.observed_at.isoformat(),
            "status": raw.status,
            "source": raw.source,
        }
        for name, raw in facts(datetime.now(UTC), **changes).items()
    }


async def until(condition: Any, seconds: float = 30.0, every: float = 0.05) -> Any:
    """Return the first true value of an asynchronous condition."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(every)
        return value
