"""A vLLM of a shape with its adapters, in a process group of its own; spoken to in plain HTTP/1.1.

Guarantees: what the server reads and writes lies in the benchmark's folder, it is waited for by a real completion of every
adapter, and when it is stopped every process of its group has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.gpu.shapes import CONTEXT, RANK, Shape, adapter_name

STOP_SECONDS: Final = 60.0
SEQUENCES: Final = 2_048
"""Samples that may decode at once: as many as any panel of the plan asks for, so that the cache is what limits."""

# Run as a file, never imported: it needs nothing of Arbiter's, and neither does the benchmark.
_SHIM: Final = Path(__file__).parents[2] / "arbiter" / "fleet" / "start_vllm.py"

IDLE_SECONDS: Final = 3.0
"""Below the 5 seconds after which vLLM's own HTTP server closes an idle connection."""

_OWN: Final = ("VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "XDG_CACHE_HOME", "HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")  # fmt: skip


class StartError(Exception):
    """The server ended, or did not answer in time; the message is the end of its log."""


class Connection:
    """One keep-alive connection, as lean as a client can be: the server is measured, not its caller."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Return the status and the body."""
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: panel\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            content = await reader.readexactly(_length(answered))
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        if re.search(r"(?i)\r\nconnection: *close", answered):
            self.close()
        return int(answered.split(" ", 2)[1]), content

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def _length(head: str) -> int:
    found = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
    if found is None:
        raise OSError("a reply without a length")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Setting:
    """What a server is started with: a shape, so many adapters, and perhaps fewer blocks of cache than there is room for."""

    shape: Shape
    adapters: int
    blocks: int | None = None


class Server:
    """A running vLLM."""

    def __init__(self, setting: Setting, models: Path, folder: Path, *, on_gpu: bool) -> None:
        self.setting = setting
        self.port = _free_port()
        self._models = models
        self._folder = folder
        self._on_gpu = on_gpu
        self._process: subprocess.Popen[bytes] | None = None
        # Of its own and short, wherever the work lies: vLLM's sockets lie in it, and a socket's path holds 107 characters.
        self._temporary = tempfile.TemporaryDirectory(prefix="arb-vllm-")

    @property
    def names(self) -> Sequence[str]:
        """The adapters' names."""
        return [adapter_name(number) for number in range(1, self.setting.adapters + 1)]

    async def start(self, patience_seconds: float) -> float:
        """Start it and wait until every adapter has answered; return the seconds that took."""
        began = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
                [sys.executable, "-P", str(_SHIM), *self.arguments()],
                env=_environment(self._folder, Path(self._temporary.name), on_gpu=self._on_gpu),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for name in self.names:
            while not await self._speaks(name):
                if self._process.poll() is not None or time.monotonic() - began > patience_seconds:
                    raise StartError(self._log.read_text("utf-8", errors="replace")[-6000:])
                await asyncio.sleep(0.5)
        return time.monotonic() - began

    @property
    def _log(self) -> Path:
        return self._folder / "vllm.log"

    def arguments(self) -> list[str]:
        """Return the `vllm` command line."""
        setting = self.setting
        model = self._models / setting.shape.name
        modules = [f"{name}={model / 'adapters' / name}" for name in self.names]
        return [
            *("serve", str(model / "base"), "--served-model-name", "unseated"),
            *("--load-format", "dummy", "--dtype", "bfloat16", "--max-model-len", str(CONTEXT)),
            *("--host", "127.0.0.1", "--port", str(self.port), "--disable-uvicorn-access-log"),
            # Sampling comes from the request alone.
            *("--generation-config", "vllm"),
            *("--structured-outputs-config", '{"backend":"guidance","disable_any_whitespace":true}'),
            *("--enable-prefix-caching", "--max-num-seqs", str(SEQUENCES if self._on_gpu else 64)),
            *("--enable-lora", "--max-lora-rank", str(RANK)),
            *("--max-loras", str(setting.adapters), "--max-cpu-loras", str(setting.adapters)),
            *("--lora-modules", *modules),
            *(() if setting.blocks is None else ("--num-gpu-blocks-override", str(setting.blocks))),
            *(("--gpu-memory-utilization", "0.90") if self._on_gpu else _CPU_ARGUMENTS),
        ]

    async def metrics(self) -> Mapping[str, float]:
        """Return `/metrics` summed by name; of the cache's configuration, its blocks and their size."""
        connection = Connection(self.port)
        try:
            _, content = await connection.ask("GET", "/metrics")
        finally:
            connection.close()
        return read_metrics(content.decode())

    async def _speaks(self, name: str) -> bool:
        asked = {"model": name, "prompt": "ready", "max_tokens": 1}
        connection = Connection(self.port)
        try:
            status, _ = await connection.ask("POST", "/v1/completions", json.dumps(asked).encode())
        except (OSError, EOFError):
            return False
        finally:
            connection.close()
        return status == 200

    def stop(self) -> None:
        """End the group: politely, then not."""
        if self._process is not None:
            _end(self._process)
        self._temporary.cleanup()


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        ends_at = time.monotonic() + patience
        while time.monotonic() < ends_at:
            process.poll()
            if not _group_lives(process.pid):
                return
            time.sleep(0.1)


# On the CPU a seeded request whose prompt is taken in by parts kills the engine: every prompt fits whole into one step.
_CPU_ARGUMENTS: Final = (
    "--enforce-eager",
    "--no-enable-chunked-prefill",
    *("--max-num-batched-tokens", str(4 * CONTEXT)),
)


def read_metrics(text: str) -> Mapping[str, float]:
    """Return Prometheus' text form as sums by name, without the `vllm:`; the cache's configuration as `blocks`, `block_size`."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"vllm:([a-z_]+)(?:\{(.*)\})? ([^ ]+)", line)
        if match is None:
            continue
        name, labels, value = match.groups()
        if name == "cache_config_info":
            told = dict(re.findall(r'(\w+)="([^"]*)"', labels or ""))
            found["blocks"] = float(told.get("num_gpu_blocks", "nan").replace("None", "nan"))
            found["block_size"] = float(told.get("block_size", "nan").replace("None", "nan"))
        else:
            found[name] = found.get(name, 0.0) + float(value)
    return found


def _environment(folder: Path, temporary: Path, *, on_gpu: bool) -> dict[str, str]:
    own = {"TMPDIR": str(temporary)}
    for name in _OWN:
        # One for all servers: what was compiled once is not compiled again.
        place = folder.parent / "own" / name.lower()
        place.mkdir(parents=True, exist_ok=True)
        own[name] = str(place)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "HF_"))},
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HOST_IP": "127.0.0.1",
        **own,
    }
    if not on_gpu:
        environment |= {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    return environment


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
