"""A run killed in the middle, as by the power going, and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from arbiter.evaluation.opinions_file import FILE
from tests.evaluation.small import heard, invented, write
from tests.patience import PATIENCE_SECONDS
from tests.system.service import ROOT

CASES = 900
PROGRAM = "from arbiter.cli import main; main()"


def _evaluate(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "evaluate", "deterioration", "cases.jsonl", "--out", "out"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_run_killed_twice_goes_on_and_ends_with_the_bytes_of_one_that_was_not(tmp_path: Path) -> None:
    lines = invented("deterioration", CASES)
    write(tmp_path / "cases.jsonl", lines)
    (tmp_path / "undisturbed").mkdir()
    _, whole = heard("deterioration", lines, tmp_path / "undisturbed")
    path, reached = tmp_path / "out" / FILE, 0
    for least in (50, 250):
        process = _evaluate(tmp_path)
        ends = time.monotonic() + PATIENCE_SECONDS
        while _lines(path) < least and process.poll() is None and time.monotonic() < ends:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert least <= _lines(path) < CASES
        reached = _lines(path)
    # What a torn write leaves.
    with path.open("ab") as file:
        file.write(b'{"case":"synthetic-3-')
    process = _evaluate(tmp_path)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert f"{CASES - reached} cases asked, {reached} used again" in out
    assert "the last line of the opinions was torn and is dropped" in err
    assert f"{reached} of {CASES} cases: heard before, used again" in err
    assert path.read_bytes() == (tmp_path / "undisturbed" / FILE).read_bytes()
    assert whole.asked == CASES
