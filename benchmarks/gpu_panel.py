"""What panels of specialists cost on one vLLM: cases a second, the time to the slowest opinion, and what the cache limits.

Needs vLLM and a GPU and nothing of Arbiter's: `PYTHON -m benchmarks.gpu_panel`, by the Python of vLLM's environment, from
the repository's root. One base in the shape of a 1B and of an 8B Llama, with 2 to 16 LoRA adapters, all of random weights;
panels of 3 to 7 members, 1 to 8 samples, cases in flight from 1 to 128; prefixes shared between cases or, as Arbiter has it,
not. It runs unattended within its time and writes what it has after every point, so that it may be stopped at any moment:
a table, `results.json`, and drawings. Without a GPU it runs a small setting from end to end; those figures say nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu.asking import Asker, Point
from benchmarks.gpu.figures import HEAD, draw, limits, row
from benchmarks.gpu.plans import CENTRE, Plan, Stage, cpu_plan, gpu_plan
from benchmarks.gpu.server import Server, Setting, StartError
from benchmarks.gpu.shapes import adapter_name, make_adapter, make_model

STOPPING_SECONDS: Final = 30.0
"""Kept back at the end, to stop a server and draw."""


def gpu_name() -> str | None:
    """Return the GPU's name, or None where there is none; asked of the driver, so that this process never holds it."""
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip().splitlines()[0] if told.stdout.strip() else None


class Run:
    """One run: what is left of its time, and what it has found."""

    def __init__(self, out: Path, work: Path, gpu: str | None, ends_at: float) -> None:
        self.points: list[Point] = []
        self.notes: list[str] = []
        self.starts: list[dict[str, Any]] = []
        self._out = out
        self._work = work
        self._gpu = gpu
        self._ends_at = ends_at
        self._blocks: dict[str, float] = {}
        self._start_seconds = 60.0

    @property
    def left(self) -> float:
        """Seconds that may still be spent on measuring."""
        return self._ends_at - time.monotonic() - STOPPING_SECONDS

    async def measure(self, plan: Plan) -> None:
        """Measure stage after stage until the time is over."""
        for stage in plan.stages:
            setting = self._setting(stage)
            if setting is None:
                continue
            if self.left < self._start_seconds + 2 * plan.seconds:
                self._skip(stage, "no time left")
                continue
            self._make(setting)
            await self._stage(stage, setting, plan)

    def _setting(self, stage: Stage) -> Setting | None:
        """Return the setting with its share of the cache as blocks; None where the whole was never seen."""
        if stage.share_of_cache is None:
            return stage.setting
        whole = self._blocks.get(stage.setting.shape.name)
        if whole is None:
            self._skip(stage, "the whole cache was never measured")
            return None
        return replace(stage.setting, blocks=max(64, int(whole * stage.share_of_cache)))

    def _make(self, setting: Setting) -> None:
        folder = self._work / "models" / setting.shape.name
        if not (folder / "base" / "config.json").exists():
            make_model(setting.shape, folder / "base")
        for number in range(1, setting.adapters + 1):
            adapter = folder / "adapters" / adapter_name(number)
            if not (adapter / "adapter_config.json").exists():
                make_adapter(setting.shape, adapter, number)

    async def _stage(self, stage: Stage, setting: Setting, plan: Plan) -> None:
        folder = self._work / f"server-{len(self.starts)}"
        server = Server(setting, self._work / "models", folder, on_gpu=self._gpu is not None)
        asker = Asker(server, plan.sizes)
        try:
            took = await server.start(min(plan.start_seconds, max(30.0, self.left)))
            self._start_seconds = 1.2 * took
            told = await server.metrics()
            blocks = told.get("blocks", float("nan"))
            if stage.share_of_cache is None and setting.blocks is None:
                self._blocks.setdefault(setting.shape.name, blocks)
            self.starts.append(
                {"shape": setting.shape.name, "adapters": setting.adapters, "blocks": blocks, "seconds": took}
            )
            print(
                f"# {setting.shape.name}, {setting.adapters} adapters: ready in {took:.0f} s, "
                f"{blocks:.0f} blocks of {told.get('block_size', float('nan')):.0f} tokens",
                flush=True,
            )
            for panel in stage.panels:
                if self.left < 2 * plan.seconds:
                    self._skip(replace(stage, panels=(panel,)), "no time left")
                    continue
                point = await asker.measure(panel, plan.seconds, self.left)
                self.points.append(point)
                print(row(point), flush=True)
                self.write()
        except StartError as error:
            self._skip(stage, "the server did not start")
            print(f"{error}", file=sys.stderr, flush=True)
        finally:
            asker.close()
            await asyncio.to_thread(server.stop)

    def _skip(self, stage: Stage, why: str) -> None:
        for panel in stage.panels:
            note = (
                f"not measured, {why}: {stage.setting.shape.name}, {stage.setting.adapters} adapters, {panel}"
            )
            self.notes.append(note)

    def write(self) -> None:
        """Write what was found so far."""
        document = {
            "machine": {"gpu": self._gpu, "machine": platform.machine(), "python": platform.python_version()},
            "starts": self.starts,
            "points": [point.to_document() for point in self.points],
            "notes": self.notes,
        }
        whole = self._out / "results.json"
        beside = whole.with_suffix(".part")
        beside.write_text(json.dumps(document, indent=1), "utf-8")
        beside.replace(whole)

    def finish(self, plan: Plan) -> None:
        """Print the whole table and what limits, and draw."""
        print(f"\n{HEAD}")
        for point in self.points:
            print(row(point))
        print()
        for line in (*limits(self.points), *self.notes):
            print(line)
        centre = CENTRE if self._gpu is not None else plan.stages[0].panels[0]
        drawn = draw(self.points, centre, self._out / "plots")
        self.write()
        print(f"{self._out / 'results.json'} and {len(drawn)} drawings beside it")


async def _run(run: Run, plan: Plan) -> None:
    """Measure, and stop in good order when told to."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await run.measure(plan)
    except asyncio.CancelledError:
        run.notes.append("stopped from outside")


def main() -> int:
    """Run from the command line; the exit status tells whether anything was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="the time it may take")
    parser.add_argument(
        "--shape", action="append", choices=["1b", "8b"], help="one shape alone; may come twice"
    )
    parser.add_argument("--out", type=Path, help="the folder for what is found; a fresh one if not given")
    parser.add_argument(
        "--work", type=Path, help="the folder for models and caches; a passing one if not given"
    )
    parser.add_argument("--cpu", action="store_true", help="the small setting, even where there is a GPU")
    parser.add_argument("--seconds", type=float, help="seconds a point, instead of the plan's")
    arguments = parser.parse_args()
    if importlib.util.find_spec("vllm") is None:
        parser.error("expected the Python of an environment that holds vLLM, this one does not")
    began = time.monotonic()
    gpu = None if arguments.cpu else gpu_name()
    plan = cpu_plan() if gpu is None else gpu_plan(tuple(arguments.shape or ("1b", "8b")))
    if arguments.seconds is not None:
        plan = replace(plan, seconds=arguments.seconds)
    out = arguments.out or Path(tempfile.mkdtemp(prefix="arbiter-gpu-panel-"))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-") as passing:
        run = Run(out, arguments.work or Path(passing), gpu, began + 60 * arguments.minutes)
        print(gpu or "no GPU: a small setting, whose figures say nothing about one", flush=True)
        print(HEAD, flush=True)
        asyncio.run(_run(run, plan))
        run.finish(plan)
    return 0 if run.points else 1


if __name__ == "__main__":
    sys.exit(main())
