"""A real vLLM on the CPU, started and stopped by `arbiter panel serve`, frozen and killed by the tests.

Guarantees: after the block no process of its session lives and no shared memory of theirs is left, whatever happened inside;
and it is the command that sees to it, else the block fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arbiter.fleet.processes import living, shared_memory
from arbiter.fleet.weights import weights_sha256
from tests.fleet.files import fleet_file
from tests.panels.model_bundles import protocol_text, write_bundle
from tests.system.service import COMMAND, ROOT, environment, free_port
from tests.vllm.seats import SERVER, seats

HERE: Final = Path(__file__).parent
CONTEXT: Final = 8_192
READY_SECONDS: Final = 420.0
STOP_SECONDS: Final = 60.0


def make_models(python: Path, folder: Path) -> None:
    """Write `model/` and `adapters/` under the folder, by the vLLM environment's own Python."""
    own = {"HOME": str(folder), "HF_HOME": str(folder / "own"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [python, "-P", HERE / "make_model.py", folder],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]


@dataclass
class VllmServer:
    """A vLLM that serves the adapters under `models` by their folders' names."""

    python: Path
    models: Path
    folder: Path
    batch_invariant: bool = False
    port: int = field(default_factory=free_port)
    _command: subprocess.Popen[bytes] | None = None
    _session: int | None = None
    _memory: set[Path] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def model(self) -> Path:
        return self.models / "model"

    @property
    def adapters(self) -> Mapping[str, Path]:
        """The name under which each adapter is asked, with its folder."""
        return {folder.name: folder for folder in sorted((self.models / "adapters").iterdir())}

    def weights_sha256(self, adapter: str) -> str:
        """Return the hash of all that makes an adapter's answers."""
        return weights_sha256(self.model, self.adapters[adapter])

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return (self.folder / "fleet" / f"{SERVER}.{SERVER}-1.log").read_text("utf-8", errors="replace")

    @property
    def told(self) -> str:
        """What the command told so far."""
        return (self.folder / "told").read_text("utf-8")

    @property
    def fleet(self) -> Path:
        """The fleet file that the server was started by."""
        return self.folder / "fleet.yaml"

    @property
    def bundle(self) -> Path:
        """The protocol whose seats the server is for."""
        return self.folder / "bundle"

    def arbiter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command about this server to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_SECONDS,
        )

    def start(self) -> None:
        """Start the server and return when the command says that it is ready."""
        self._write_files()
        options = ("--folder", str(self.folder / "fleet"), "--patience", str(READY_SECONDS))
        with (self.folder / "told").open("wb") as told:
            self._command = subprocess.Popen(
                [*COMMAND, "panel", "serve", str(self.bundle), "--run", "--no-restart", *options],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
            )
        ends_at = time.monotonic() + READY_SECONDS
        while "1 ready; Ctrl-C stops" not in self.told:
            assert self._command.poll() is None, self.told
            assert time.monotonic() < ends_at, self.told
            time.sleep(0.1)
        (self._session,) = _children(self._command.pid)
        self._memory |= shared_memory(self.processes())
        assert self._memory, "vLLM's processes share memory; else nothing says that they give it back"

    def freeze(self) -> None:
        """Let nothing of the server run: connections are accepted by the kernel, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to every process that computes or answers, as when the machine runs out of memory.

        Python's small process that frees shared memory for the others is left: the command is to see to it.
        """
        for process in self.processes():
            if b"multiprocessing.resource_tracker" not in Path(f"/proc/{process}/cmdline").read_bytes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self.thaw()
        assert self._ended() == 1, self.told

    def stop(self) -> None:
        """SIGTERM to the command, as a service manager does; it passes it on."""
        assert self._command is not None
        self._command.terminate()
        assert self._ended() == 0, self.told

    def processes(self) -> list[int]:
        """Return every living process of the server's session."""
        return [] if self._session is None else living(self._session)

    def left_in_memory(self) -> list[Path]:
        """Return what is still there of the shared memory that was seen in use."""
        return sorted(path for path in self._memory if path.exists())

    def tear_down(self) -> None:
        """End whatever is left and free what nobody else did."""
        if self._command is not None and self._command.poll() is None:
            self._command.terminate()
            self._command.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        for path in self.left_in_memory():
            path.unlink()

    @property
    def runs(self) -> bool:
        return self._command is not None and self._command.poll() is None

    def _write_files(self) -> None:
        serve = {
            "build": "cpu",
            "python": str(self.python),
            "model": str(self.model),
            "adapters": {name: str(folder) for name, folder in self.adapters.items()},
            "context": CONTEXT,
            "batch_invariant": self.batch_invariant,
        }
        fleet_file(self.folder, {SERVER: self.url}, serve=serve)
        weights = {name: self.weights_sha256(name) for name in self.adapters}
        write_bundle(self.bundle, protocol_text("with-models", *seats(weights)))

    def _environment(self) -> dict[str, str]:
        return environment(self.folder / "data", ARBITER_FLEET=str(self.fleet))

    def _signal(self, number: signal.Signals) -> None:
        if self._session is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._session, number)

    def _ended(self) -> int:
        assert self._command is not None
        return self._command.wait(STOP_SECONDS)


@contextlib.contextmanager
def a_vllm(python: Path, models: Path, *, batch_invariant: bool = False) -> Iterator[VllmServer]:
    """A running server; afterwards it is stopped, and its folders are gone."""
    folder = Path(tempfile.mkdtemp(prefix="arb-test-vllm-"))
    server = VllmServer(python, models, folder, batch_invariant)
    try:
        server.start()
        yield server
        if server.runs:
            server.stop()
        assert server.processes() == []
        assert server.left_in_memory() == []
    finally:
        server.tear_down()
        shutil.rmtree(folder)


def _children(parent: int) -> list[int]:
    """Return the living children of a process that lead sessions of their own [proc(5), /proc/pid/stat]."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                _, its_parent, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(its_parent) == parent and session == entry.name:
                    found.append(int(entry.name))
    return found
