"""Runs the servers of a fleet on this machine: each in a session of its own, kept running, and gone without a trace.

Guarantees: a server counts as ready when every name that a seat may ask has given a real completion, since `/health` may be
green over a dead engine; one that ends after that is started again after a growing pause, and the others go on; one that
ends before has something wrong with it, and everything is stopped. Whatever happens inside `serve`, afterwards no process of
the servers lives and no shared memory of theirs is left. If this process is killed outright, the servers are told to end
by the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from arbiter.errors import ConfigurationError
from arbiter.fleet.probing import client, completes
from arbiter.fleet.processes import free_memory, kill, living, shared_memory
from arbiter.fleet.serving import Serving
from arbiter.fleet.surroundings import environment, require_free, require_program

PATIENCE_SECONDS: Final = 1_800.0
"""How long a server may take from its start until every adapter has answered: large weights take their time."""
STOP_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 600.0
"""A server that ran this long has recovered: its next end is met with the first pause again."""

_LOOK_SECONDS: Final = 0.2
_UPKEEP_SECONDS: Final = 10.0
"""To look into a server's memory holds it up for a moment, and what it maps hardly changes once it answers."""
_LOG_BYTES: Final = 64 * 1024 * 1024
"""Above that a log begins anew: a server writes a line for each request for as long as it lives."""
_TAIL_BYTES: Final = 4_000
_LAUNCH: Final = Path(__file__).with_name("launch.py")

Tell = Callable[[str], None]


@dataclass(slots=True)
class Running:
    """One replica that is kept running.

    `starts` counts its lives. `ready` is set while it lives and every name has answered, `worked` from then on.
    """

    serving: Serving
    folder: Path
    token: str | None
    tell: Tell
    patience_seconds: float
    again: bool
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    starts: int = 0
    worked: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _memory: set[Path] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The replica's name."""
        return self.serving.replica.name

    @property
    def log(self) -> Path:
        """The file that holds what the server writes; what came before ends in `.1`."""
        return self.folder / f"{self.serving.server}.{self.name}.log"

    @property
    def _older_log(self) -> Path:
        return self.log.with_suffix(".log.1")

    def processes(self) -> list[int]:
        """Return every living process of the server's session."""
        return [] if self._process is None else living(self._process.pid)

    async def keep(self) -> None:
        """Start the server, and again whenever it ends, until cancelled; nothing of it is left then.

        Raises:
            ConfigurationError: when it cannot be started, ends before it was ready, or ends and is not to start again.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            # A path of a socket must be short, so this is no folder below the other one.
            temporary = Path(tempfile.mkdtemp(prefix="arb-vllm-"))
            try:
                lived_seconds = await self._live(temporary)
            except ConfigurationError as error:
                # Nothing is gained by ending the others because one that has worked does not come back.
                if not (self.again and self.worked):
                    raise
                lived_seconds = 0.0
                self.tell(str(error))
            finally:
                self.ready.clear()
                await self._end()
                shutil.rmtree(temporary, ignore_errors=True)
            pause = FIRST_PAUSE_SECONDS if lived_seconds > STEADY_SECONDS else pause
            self.tell(f"{self.name}: is started again in {pause:.0f} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _live(self, temporary: Path) -> float:
        """Start the server and return how many seconds it lived after it was ready."""
        self._start(temporary)
        await self._answered()
        began = time.monotonic()
        self.worked = True
        self.ready.set()
        self.tell(f"{self.name}: ready at {self.serving.replica.url}")
        upkeep_at = began
        while (status := self._status()) is None:
            if time.monotonic() >= upkeep_at:
                self._memory |= await asyncio.to_thread(self._look_after)
                upkeep_at = time.monotonic() + _UPKEEP_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
        told = f"{self.name}: ended with status {status}; its last words are in {self.log}"
        if not self.again:
            raise ConfigurationError(told)
        self.tell(told)
        return time.monotonic() - began

    def _start(self, temporary: Path) -> None:
        require_program(self.serving)
        require_free(self.serving)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self._older_log)
        command = [sys.executable, "-I", str(_LAUNCH), str(os.getpid()), *self.serving.command]
        with _for_us_alone(self.log) as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is the fleet file's own
                command,
                cwd=temporary,
                env=environment(
                    self.serving,
                    self.folder / "cache" / self.serving.server / self.name,
                    temporary,
                    self.token,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        self.tell(f"{self.name}: started as process {self._process.pid}, log in {self.log}")

    async def _answered(self) -> None:
        """Return when every name has given a completion."""
        ends_at = time.monotonic() + self.patience_seconds
        silent = list(self.serving.names)
        async with client(self.serving.replica.url, self.token) as http:
            while silent:
                status = self._status()
                if status is not None:
                    raise ConfigurationError(
                        f"{self.name}: ended with status {status} before it was ready\n{self._tail()}"
                    )
                if time.monotonic() > ends_at:
                    raise ConfigurationError(
                        f"{self.name}: {', '.join(silent)} gave no completion in {self.patience_seconds:.0f} s\n{self._tail()}"
                    )
                self._memory |= shared_memory(self.processes())
                if await completes(http, silent[0]) is None:
                    self.tell(f"{self.name}: {silent.pop(0)} answers")
                else:
                    await asyncio.sleep(_LOOK_SECONDS)

    def _look_after(self) -> set[Path]:
        """Keep the log within bounds, and return the shared memory that the server has now."""
        # A full disk ends no server: the log is tried again the next time.
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > _LOG_BYTES:
                with self.log.open("rb") as log, _for_us_alone(self._older_log) as older:
                    shutil.copyfileobj(log, older)
                os.truncate(self.log, 0)
        return shared_memory(self.processes())

    def _status(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def _tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read(_TAIL_BYTES).decode("utf-8", errors="replace")

    async def _end(self) -> None:
        """SIGTERM to the session, as a service manager does; SIGKILL to what is left of it; its memory given back."""
        if self._process is None:
            return
        try:
            self._memory |= shared_memory(self.processes())
            if self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone(), STOP_SECONDS)
        finally:
            # Also when there is no time to wait: this asks nobody for patience.
            kill(self._process.pid)
            self._process.wait()
            free_memory(self._memory)
            self._memory.clear()
            self._process = None

    async def _gone(self) -> None:
        # Nobody tells when the last process of a session is gone: it is looked for.
        while self.processes():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)


def _for_us_alone(path: Path) -> BinaryIO:
    """Open a new file that nobody else may read, whatever folder it lies in: a server's log may tell what it was asked.

    What is written goes to its end, wherever that is by then.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600), "wb")


@dataclass(frozen=True, slots=True)
class Served:
    """Servers that are kept running."""

    running: tuple[Running, ...]
    _keeping: tuple[asyncio.Task[None], ...]

    async def ended(self) -> None:
        """Wait for as long as all of them are kept running.

        Raises:
            ConfigurationError: when one ended and is not to start again.
        """
        done, _ = await asyncio.wait(self._keeping, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


@contextlib.asynccontextmanager
async def serve(
    servings: Sequence[Serving],
    folder: Path,
    *,
    token: str | None = None,
    tell: Tell = lambda _: None,
    patience_seconds: float = PATIENCE_SECONDS,
    again: bool = True,
) -> AsyncIterator[Served]:
    """Start these servers and yield when every one is ready; afterwards nothing of them is left.

    `folder` keeps their logs and caches from one run to the next. `token` is the key that they ask of callers. Where `again`
    is false, a server that ends is not started again: `ended` tells.

    Raises:
        ConfigurationError: when one of them cannot be started or ends before all are ready.
    """
    running = tuple(Running(serving, folder, token, tell, patience_seconds, again) for serving in servings)
    keeping = tuple(asyncio.create_task(one.keep()) for one in running)
    ready = asyncio.create_task(_all_ready(running))
    try:
        await asyncio.wait({*keeping, ready}, return_when=asyncio.FIRST_COMPLETED)
        for task in keeping:
            if task.done():
                task.result()
        yield Served(running, keeping)
    finally:
        for task in (ready, *keeping):
            task.cancel()
        await asyncio.gather(ready, *keeping, return_exceptions=True)


async def _all_ready(running: Sequence[Running]) -> None:
    for one in running:
        await one.ready.wait()
