"""`benchmarks/gpu_panel.py` in its small setting on a real vLLM: it ends within its time and leaves nothing running."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.vllm.conftest import ROOT

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1500)]


def processes_about(folder: Path) -> list[str]:
    """Every process whose command line names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_panels_on_a_real_vllm_are_measured_from_end_to_end(vllm_python: Path, tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "w"
    command = [str(vllm_python), "-m", "benchmarks.gpu_panel", "--cpu", "--minutes", "20", "--seconds", "1"]
    done = subprocess.run(
        [*command, "--out", str(out), "--work", str(work)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1400,
    )
    assert done.returncode == 0, done.stderr
    points = json.loads((out / "results.json").read_text())["points"]
    assert {point["panel"]["samples"] for point in points} == {1, 2, 4}
    assert all(
        point["cases"] > 0 and point["p50"] <= point["p99"] and not point["failures"] for point in points
    )
    shared, own = (
        next(p["prefix_hits"] for p in points if p["panel"]["shared_salt"] is shared)
        for shared in (True, False)
    )
    assert shared > own, (
        "instructions of a member are found again where all cases share a salt, and only there"
    )
    assert "it was full from" in done.stdout, "the small cache is the limit somewhere"
    drawings = list((out / "plots").glob("*.svg"))
    assert drawings
    for drawing in drawings:
        ET.fromstring(drawing.read_text())
    assert processes_about(work) == []
