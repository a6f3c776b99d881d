"""Shows by simulation what adjudication promises: `make bench-adjudication`, or `python -m benchmarks.adjudication`.

`simulate` compares ways to put a panel together, counts how often a certificate is exceeded, how long a shift goes
unseen and what strata are for; `timing` measures `decide`; `all` does both. Everything is drawn from the seed, each run
by a name of its own: the same seed gives the same tables on any number of cores, but for times.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Final, TypeVar

from benchmarks.adjudication import certifying, comparing, strata, watching
from benchmarks.adjudication.figures import (
    print_certified,
    print_compared,
    print_false_alarms,
    print_rises,
    print_strata,
    print_timing,
)
from benchmarks.adjudication.panels import Setting
from benchmarks.adjudication.timing import profile_decide, time_decide

Found = TypeVar("Found")

RUNS: Final = 1_000
LEAST_RUNS: Final = 20
QUICK_RUNS: Final = 20
QUICK_SETTINGS: Final = (comparing.SETTINGS[0], comparing.SETTINGS[-1])
PANELS_OF_RUNS: Final = 40
"""For so many runs of the rest one panel of each setting is compared, at least two."""

WARDS_OF_RUNS: Final = 10
TIMES: Final = 2_000
SEED: Final = 20261127


@dataclass(frozen=True, slots=True)
class Simulation:
    """A seed, a number of runs, the settings in which panels are compared, and the processes that share the work."""

    seed: int
    runs: int
    settings: Sequence[Setting]
    processes: Executor
    began: float

    def each(self, name: str, run: Callable[[str], Found], runs: int) -> Sequence[Found]:
        """Return what each run found, each with a seed of its own, in their order."""
        print(f"{time.monotonic() - self.began:5.0f} s  {name}", file=sys.stderr, flush=True)
        seeds = [f"{self.seed} {name} {number}" for number in range(runs)]
        return list(self.processes.map(run, seeds, chunksize=max(1, runs // 50)))


def simulate(simulation: Simulation) -> None:
    """Run and print everything but times."""
    _compare(simulation)
    _certify(simulation)
    _watch(simulation)
    _stratify(simulation)


def _compare(simulation: Simulation) -> None:
    panels = max(2, simulation.runs // PANELS_OF_RUNS)
    found = []
    for setting in simulation.settings:
        repetitions = simulation.each(setting.name, partial(comparing.repeat, setting), panels)
        found.append(comparing.compare(setting, repetitions))
    print_compared(found)


def _certify(simulation: Simulation) -> None:
    runs = simulation.runs
    by_option = zip(*simulation.each("panels certified", certifying.run_panel, runs), strict=True)
    smooth = simulation.each("scores whose errors rise smoothly", certifying.run_smooth, runs)
    above = simulation.each("scores that all err just above alpha", certifying.run_above, runs)
    print_certified(
        [
            *(
                (f"a panel, decided for option {at}", certifying.count(own))
                for at, own in enumerate(by_option, 1)
            ),
            ("scores, errors rise smoothly", certifying.count(smooth)),
            (f"scores, all err in {certifying.ABOVE:.1%}", certifying.count(above)),
        ]
    )


def _watch(simulation: Simulation) -> None:
    rises = []
    for quiet, times in product((0, watching.QUIET), watching.RISES):
        name = f"a rise to {times} times alpha after {quiet} audits"
        delays = simulation.each(name, partial(watching.rise, times, quiet), simulation.runs)
        rises.append(watching.spread(times, quiet, delays))
    print_rises(rises)
    alarms = []
    for times in watching.FALSE:
        name = f"no rise, {times} times alpha"
        alarmed = simulation.each(name, partial(watching.stay, times), simulation.runs)
        alarms.append(watching.count(times, alarmed))
    print_false_alarms(alarms)


def _stratify(simulation: Simulation) -> None:
    wards = max(2, simulation.runs // WARDS_OF_RUNS)
    lines = []
    for panel in (strata.SEES_NOTHING, strata.SEES):
        certified = simulation.each(f"wards: {panel}", partial(strata.ward, panel), wards)
        lines += strata.count(panel, certified)
    print_strata(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="all", choices=("simulate", "timing", "all"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--runs", type=int, help=f"of each simulation, {RUNS} if not given")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_RUNS} runs, {len(QUICK_SETTINGS)} settings"
    )
    arguments = parser.parse_args()
    runs = arguments.runs or (QUICK_RUNS if arguments.quick else RUNS)
    settings = QUICK_SETTINGS if arguments.quick else comparing.SETTINGS
    if runs < LEAST_RUNS:
        parser.error(f"--runs is at least {LEAST_RUNS}")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, seed {arguments.seed}"
    )
    if arguments.what != "timing":
        with ProcessPoolExecutor() as processes:
            simulate(Simulation(arguments.seed, runs, settings, processes, time.monotonic()))
    if arguments.what != "simulate":
        times = TIMES // 10 if arguments.quick else TIMES
        print_timing(time_decide(times), profile_decide(times))


if __name__ == "__main__":
    main()
