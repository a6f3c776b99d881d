"""A real vLLM on the CPU in a process group of its own: started, waited for by a real completion, stopped without a trace.

Guarantees: the server reads and writes only folders made for it, sends nothing to anybody, and after the block no
process of its group lives and no shared memory of theirs is left, whatever happened inside.
"""

from __future__ import annotations

import contextlib
import hashlib
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

import httpx

from tests.system.service import free_port

HERE: Final = Path(__file__).parent
MEMORY: Final = "/dev/shm"
CONTEXT: Final = 8_192
READY_SECONDS: Final = 420.0
STOP_SECONDS: Final = 30.0
_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def make_models(python: Path, folder: Path) -> None:
    """Write `model/` and `adapters/` under the folder, by the vLLM environment's own Python."""
    ended = subprocess.run(
        [python, "-P", HERE / "make_model.py", folder],
        env=_environment(folder),
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
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
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
        """Return the hash of all that makes an adapter's answers: SHA-256 over `sha256sum` of its files and the model's."""
        files = sorted([*self.model.glob("*.safetensors"), *self.adapters[adapter].glob("*.safetensors")])
        lines = [
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(self.models)}\n"
            for file in files
        ]
        return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return (self.folder / "vllm.log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        """Start the server and return when every adapter has answered: `/health` may be green over a dead engine."""
        with (self.folder / "vllm.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.python, "-P", HERE / "start_vllm.py", "serve", *self._arguments()],
                cwd=self.folder,
                env=_environment(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends_at = time.monotonic() + READY_SECONDS
        while not all(self._speaks(name) for name in self.adapters):
            assert self._process.poll() is None, self.log[-4000:]
            assert time.monotonic() < ends_at, self.log[-4000:]
            time.sleep(0.2)
        # Remembered now: an engine that dies by itself can no longer be asked what it held.
        self._memory |= _shared_memory(self.processes())
        assert self._memory, "vLLM's processes share memory; else nothing says that they give it back"

    def freeze(self) -> None:
        """Let nothing of the server run: connections are accepted by the kernel, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to every process that computes or answers, as when the machine runs out of memory.

        Python's small process that frees shared memory for the others outlives them, does so and ends.
        """
        for process in self.processes():
            if not _is_tracker(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self.thaw()
        self._await_end()

    def stop(self) -> None:
        """SIGTERM to the group, as a service manager does; the server gives its memory back by itself."""
        self._signal(signal.SIGTERM)
        self._await_end()

    def processes(self) -> list[int]:
        """Return every living process of the server's session."""
        return [] if self._process is None else _living(self._process.pid)

    def left_in_memory(self) -> list[Path]:
        """Return what is still there of the shared memory that was seen in use."""
        return sorted(path for path in self._memory if path.exists())

    def tear_down(self) -> None:
        """End whatever is left and free what nobody else did."""
        if self.processes():
            self.kill()
        for path in self.left_in_memory():
            path.unlink()

    def _arguments(self) -> list[str]:
        modules = [f"{name}={folder}" for name, folder in self.adapters.items()]
        return [
            str(self.model),
            *("--served-model-name", "unseated"),
            *("--dtype", "bfloat16"),
            *("--max-model-len", str(CONTEXT)),
            # On the CPU a seeded request whose prompt is taken in by parts kills the engine: the generator there has no
            # offset to set back. So every prompt fits whole into one step.
            *("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(4 * CONTEXT)),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            "--enforce-eager",
            *("--structured-outputs-config", '{"backend":"guidance","disable_any_whitespace":true}'),
            *("--enable-lora", "--max-lora-rank", "8", "--max-loras", str(len(modules))),
            *("--lora-modules", *modules),
        ]

    def _speaks(self, name: str) -> bool:
        asked = {"model": name, "prompt": "ready", "max_tokens": 1}
        try:
            reply = httpx.post(f"{self.url}/v1/completions", json=asked, trust_env=False, timeout=30)
        except httpx.TransportError:
            return False
        return reply.status_code == 200

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _await_end(self) -> None:
        assert self._process is not None
        self._process.wait(STOP_SECONDS)
        ends_at = time.monotonic() + STOP_SECONDS
        while self.processes():
            assert time.monotonic() < ends_at, f"still alive: {self.processes()}\n{self.log[-4000:]}"
            time.sleep(0.1)


@contextlib.contextmanager
def a_vllm(python: Path, models: Path) -> Iterator[VllmServer]:
    """A running server; afterwards it is stopped, and its folders are gone."""
    # Not under pytest's folders: the engine's sockets lie here, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="arb-vllm-"))
    server = VllmServer(python, models, folder)
    try:
        server.start()
        yield server
        if server.processes():
            server.stop()
        assert server.left_in_memory() == []
    finally:
        server.tear_down()
        shutil.rmtree(folder)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment of few names, whose every folder is the server's own: the caller's settings stay out."""
    own = {}
    for name in (
        "VLLM_CACHE_ROOT",
        "VLLM_CONFIG_ROOT",
        "XDG_CACHE_HOME",
        "HF_HOME",
        "TMPDIR",
        "TORCHINDUCTOR_CACHE_DIR",
    ):
        place = folder / "own" / name.lower()
        place.mkdir(parents=True, exist_ok=True)
        own[name] = str(place)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_HOST_IP": "127.0.0.1",
        # One thread: the same seed then gives the same text, alone or in a batch, before and after a restart.
        "OMP_NUM_THREADS": "1",
        **_OFFLINE,
        **own,
    }


def _living(session: int) -> list[int]:
    """Return the processes of a session that are no zombies [proc(5), /proc/pid/stat]."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(its_session) == session and state != "Z":
                    found.append(int(entry.name))
    return found


def _is_tracker(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def _shared_memory(processes: list[int]) -> set[Path]:
    """Return the named shared memory that the processes have mapped."""
    found = set()
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for line in Path(f"/proc/{process}/maps").read_text().splitlines():
                _, _, name = line.partition(MEMORY + "/")
                if name and not name.endswith(" (deleted)"):
                    found.add(Path(MEMORY, name))
    return found
