"""A run killed in the middle, as by the power going, and begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from arbiter.evaluation.opinions_file import FILE
from tests.evaluation.small import heard, invented, write
from tests.patience import PATIENCE_SECONDS
from tests.system.service import ROOT

CASES = 600
PROGRAM = "from arbiter.cli import main; main()"
KILLED = """
import os, signal
from arbiter.evaluation.opinions_file import OpinionsFile
append = OpinionsFile.append
def killed(file, hearing):
    append(file, hearing)
    if len(file.hearings) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
OpinionsFile.append = killed
"""
"""Has a run killed, by the system, right behind a certain line: however fast it is, it is killed in the middle."""


def _evaluate(folder: Path, killed_at: int | None = None, *more: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM if killed_at is None else KILLED.format(at=killed_at) + PROGRAM
    return subprocess.run(
        [sys.executable, "-c", program, "evaluate", "deterioration", "cases.jsonl", "--out", "out", *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


@pytest.mark.parametrize("fresh", [(), ("--fresh",)], ids=["a run", "a fresh run"])
def test_a_run_killed_twice_goes_on_and_ends_with_the_bytes_of_one_that_was_not(
    tmp_path: Path, fresh: tuple[str, ...]
) -> None:
    lines = invented("deterioration", CASES)
    write(tmp_path / "cases.jsonl", lines)
    (tmp_path / "undisturbed").mkdir()
    _, whole = heard("deterioration", lines, tmp_path / "undisturbed")
    path = (tmp_path / "out" / FILE).with_suffix(".fresh" if fresh else ".jsonl")
    for at in (50, 250):
        assert _evaluate(tmp_path, at, *fresh).returncode == -signal.SIGKILL
        assert _lines(path) == at
        assert not (tmp_path / "out" / "report.json").exists()
    # What a torn write leaves.
    with path.open("ab") as file:
        file.write(b'{"case":"synthetic-3-')
    ended = _evaluate(tmp_path, None, *fresh)
    assert ended.returncode == 0, ended.stderr
    assert f"{CASES - 250} cases asked, 250 used again" in ended.stdout
    assert "the last line of the opinions was torn and is dropped" in ended.stderr
    assert f"250 of {CASES} cases: heard before, used again" in ended.stderr
    assert (tmp_path / "out" / FILE).read_bytes() == (tmp_path / "undisturbed" / FILE).read_bytes()
    assert whole.asked == CASES
