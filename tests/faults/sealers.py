"""Processes that seal, started from one that has read all it needs, so that a fresh one takes a moment."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults import sealing_process
from tests.system.service import ROOT, environment


class Sealers:
    """Has one process after another do what it is ordered to."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self._trace = folder / "trace"
        self._process = process

    def carry_out(self, **order: Any) -> int:
        """Have a fresh process carry out an order (`sealing_process`); return its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "trace": str(self._trace)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def trace(self) -> list[str]:
        """Return what the last process wrote: the points that it passed, in order; the fatal one is the last."""
        return self._trace.read_text().splitlines()

    def rounds(self) -> int:
        """Return how many rounds the process that seals on has sealed something in; 0 before its first."""
        try:
            return int(self._trace.read_text() or "0")
        except FileNotFoundError:
            return 0


@contextlib.contextmanager
def some_sealers(folder: Path) -> Iterator[Sealers]:
    """Yield a source of sealing processes that works in `folder`."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", sealing_process.__name__]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Sealers(folder, process)
