"""The log's benchmark runs, small, from end to end; what it measures is asserted nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

AIMS = (
    "append and seal in bulk",
    "32 concurrent business transactions",
    "append to signed receipt",
    "inclusion proof",
    "verification of a million",
    "bytes an entry beside its body",
)


def test_the_logs_benchmark_prints_every_figure_beside_its_aim_and_draws_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.audit", "--largest", "1000", "--plots", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"fsync of 4 KiB on this disk +p50 +[\d.]+ ms +p99 +[\d.]+ ms", done.stdout)
    for aim in AIMS:
        assert re.search(rf"^ +{aim}.*\d.* aim ", done.stdout, re.MULTILINE), aim
    for fsync_ms in (1, 4):
        assert f"+ {fsync_ms} ms: one durable INSERT" in done.stdout
    assert len(list(tmp_path.glob("*.svg"))) == len(AIMS)


def test_a_log_too_small_to_measure_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.audit", "--largest", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    assert "at least 1000" in done.stderr
