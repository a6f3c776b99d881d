"""`arbiter demo` as somebody meets it: it reaches its summary, stops at Ctrl-C, and goes on with its data the next time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from arbiter.protocols.loader import read_shipped, shipped
from arbiter.store.embedded import EmbeddedPostgres
from tests.system.service import COMMAND, ROOT, environment, free_port, run_arbiter

SUMMARY = "Arbiter is running; Ctrl-C stops it"
SUMMARY_SECONDS = 60
EXAMPLES = {name: len(read_shipped(name).examples) for name in shipped()}


def told_of_every_protocol(said: str) -> bool:
    return all(f"{name}: {count} example cases" in said for name, count in EXAMPLES.items())


@dataclass
class Demonstration:
    """A data folder, a port, and what each run said."""

    data: Path
    port: int

    @contextlib.contextmanager
    def run(self) -> Iterator[Run]:
        output = self.data.parent / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*COMMAND, "demo"],
                cwd=ROOT,
                env=environment(self.data, ARBITER_PORT=str(self.port), COLUMNS="200"),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            yield Run(process, output, f"http://127.0.0.1:{self.port}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


@dataclass
class Run:
    """One life of the demonstration."""

    process: subprocess.Popen[bytes]
    output: Path
    url: str

    @property
    def said(self) -> str:
        return self.output.read_text("utf-8", errors="replace")

    def until_said(self, words: str) -> None:
        self._until(lambda: words in self.said)

    def until_it_answers(self) -> None:
        self._until(self._answers)

    def interrupt(self) -> int:
        """Press Ctrl-C: a terminal sends SIGINT to every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(30)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _until(self, condition: object) -> None:
        assert callable(condition)
        ends_at = time.monotonic() + SUMMARY_SECONDS
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < ends_at, self.said
            time.sleep(0.02)


@contextlib.contextmanager
def a_demonstration() -> Iterator[Demonstration]:
    """Yield a demonstration in a folder of its own, of which nothing is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="arb-"))
    try:
        yield Demonstration(folder / "data", free_port())
    finally:
        EmbeddedPostgres(folder / "data").stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def demonstration() -> Iterator[Demonstration]:
    with a_demonstration() as one:
        yield one


def cases_known(demonstration: Demonstration) -> dict[str, str]:
    known: dict[str, str] = json.loads((demonstration.data / "demonstration.json").read_text())["cases"]
    return known


def test_the_demonstration_reaches_its_summary_and_stops_cleanly(demonstration: Demonstration) -> None:
    with demonstration.run() as run:
        run.until_said(SUMMARY)
        assert httpx.get(f"{run.url}/login", trust_env=False).status_code == 200
        assert run.interrupt() == 0
        said = run.said
    assert told_of_every_protocol(said)
    assert "decided: " in said
    assert "escalated" in said
    assert "median time from POST to released decision" in said
    assert "verified the receipt of c_" in said
    assert len(re.findall(r"log in as +\w+ +password \S{12,}", said)) == 3
    assert "Traceback" not in said
    assert EmbeddedPostgres(demonstration.data).postmaster_pid() is None, "the database was left running"
    assert len(cases_known(demonstration)) == sum(EXAMPLES.values())


def test_another_run_goes_on_with_the_data_and_its_receipt_verifies_as_printed(
    demonstration: Demonstration,
) -> None:
    before = cases_known(demonstration)
    with demonstration.run() as run:
        run.until_said(SUMMARY)
        assert run.interrupt() == 0
        said = run.said
    assert "with the passwords that the first run printed" in said
    assert told_of_every_protocol(said)
    assert cases_known(demonstration) == before
    assert "Traceback" not in said
    key = re.search(r"--key '([^']+)'", said)
    assert key is not None
    receipt = str(demonstration.data / "receipt.json")
    done = run_arbiter(demonstration.data, "audit", "verify-receipt", receipt, "--key", key[1])
    assert done.returncode == 0, done.stderr
    assert "case.decided of case c_" in done.stdout


def test_ctrl_c_while_cases_are_sent_stops_cleanly(demonstration: Demonstration) -> None:
    (demonstration.data / "demonstration.json").unlink()
    with demonstration.run() as run:
        run.until_it_answers()
        assert run.interrupt() == 0
        assert "Traceback" not in run.said
        assert "stopped; the data stays in" in run.said
    done = run_arbiter(demonstration.data, "audit", "verify")
    assert done.returncode == 0, done.stderr
