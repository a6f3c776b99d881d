"""The misbehaving server as a process of its own, and what is asked of it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.question import ModelSpec

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def misbehaving() -> Iterator[str]:
    """Yield the base URL of a server process that ends with the block."""
    command = [sys.executable, "-m", "tests.panels.misbehaving_server"]
    with subprocess.Popen(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def refusing_url() -> str:
    """The URL of a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


def model(name: str, **changes: Any) -> ModelSpec:
    """A model that does what its name says, asked for three samples."""
    spec: dict[str, Any] = {
        "server": "gpu-a",
        "name": name,
        "revision": "r1",
        "weights_sha256": None,
        "adapter": None,
        "dtype": "bfloat16",
        "prompt": "question-v1",
        "samples": 3,
        "temperature": Decimal("0.7"),
        "top_p": Decimal("0.95"),
        "max_tokens": 512,
    }
    return ModelSpec(**(spec | changes))


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
