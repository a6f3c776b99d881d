"""Witness processes of their own on loopback, made and started by the command line."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from arbiter.audit.note import VerifierKey
from tests.patience import PATIENCE_SECONDS
from tests.system.service import COMMAND, ROOT, environment, free_port, run_arbiter


class WitnessProcess:
    """`arbiter witness` on a folder."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_arbiter(self.folder / "unused", "witness", *arguments, "--folder", str(self.folder))

    def make(self, name: str, *trusted: VerifierKey) -> VerifierKey:
        """Make the witness, have it trust these logs, and return its key."""
        made = self.run("init", name)
        assert made.returncode == 0, made.stderr
        for key in trusted:
            told = self.run("trust", key.encode())
            assert told.returncode == 0, told.stderr
        return VerifierKey.parse(made.stdout.strip())

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "witness", "serve", "--port", str(self.port), "--folder", str(self.folder)],
                cwd=ROOT,
                env=environment(self.folder / "unused"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < ends_at
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def add(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/add-checkpoint", content=body, trust_env=False, timeout=30)

    def _answers(self) -> bool:
        try:
            return (
                httpx.get(f"{self.url}/verifier-key", trust_env=False, timeout=5).status_code
                == httpx.codes.OK
            )
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def a_witness(folder: Path, name: str, *trusted: VerifierKey) -> Iterator[tuple[WitnessProcess, VerifierKey]]:
    """A running witness that trusts these logs, and its key."""
    process = WitnessProcess(folder)
    key = process.make(name, *trusted)
    process.start()
    try:
        yield process, key
    finally:
        process.kill()
