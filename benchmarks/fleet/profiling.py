"""Where the serving process's time goes while cases are in flight: `arbiter serve` under Python's own profiler.

The profiler makes every call dearer, calls of Python more than those of C; so these are shares, not milliseconds, and the
processor time of a case is measured without it.
"""

from __future__ import annotations

import os
import pstats
import signal
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cases import serving
from benchmarks.fleet.houses import Furnished
from benchmarks.fleet.loads import load

_PROGRAM: Final = (
    "import cProfile, signal\n"
    "from arbiter.cli import main\n"
    "profile = cProfile.Profile()\n"
    "signal.signal(signal.SIGUSR1, lambda *_: profile.enable())\n"
    "signal.signal(signal.SIGUSR2, lambda *_: profile.disable())\n"
    "try:\n"
    "    main()\n"
    "finally:\n"
    "    profile.dump_stats({path!r})\n"
)
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Profile:
    """Shares of the profiled time by part of the code, and the dearest functions with what is called from them."""

    parts: Mapping[str, float]
    functions: tuple[tuple[str, float, float], ...]


def processor_seconds(process: int) -> float:
    """Return the processor time that a process took so far [proc(5), /proc/pid/stat]."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def profile(house: Furnished, cases: int, at_once: int) -> Profile:
    """Return where the time goes while cases are in flight, after a warm-up."""
    path = house.settings.data / "serve.profile"
    program = _PROGRAM.format(path=str(path))
    async with serving(house.settings, program=program, **house.variables) as process:
        await load(house, 2 * at_once, at_once, "warm")
        process.send_signal(signal.SIGUSR1)
        await load(house, cases, at_once, "profiled")
        process.send_signal(signal.SIGUSR2)
    return _read(path)


def _read(path: Path) -> Profile:
    entries = {
        place: (own, whole)
        for place, (_, _, own, whole, _) in pstats.Stats(str(path)).stats.items()  # type: ignore[attr-defined]
        if "poll" not in place[2] and "run_forever" not in place[2]
    }
    everything = sum(own for own, _ in entries.values())
    parts: defaultdict[str, float] = defaultdict(float)
    for (file, _, name), (own, _) in entries.items():
        parts[_part(file, name)] += own / everything
    dearest = sorted(entries.items(), key=lambda item: -item[1][1])
    return Profile(
        dict(sorted(parts.items(), key=lambda item: -item[1])),
        tuple(
            (f"{_part(file, name)}: {name}", own / everything, whole / everything)
            for (file, _, name), (own, whole) in dearest
            if "/arbiter/" in file
        ),
    )


def _part(file: str, name: str) -> str:
    """Return the part of the code that a file belongs to: a package, or a module of ours."""
    if file in {"~", ""} or file.startswith("<"):
        return f"C: {name.rpartition(' of ')[2].strip('<>')}"[:60]
    path = Path(file)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    if "arbiter" in path.parts:
        within = path.parts[len(path.parts) - 1 - path.parts[::-1].index("arbiter") :]
        return ".".join((*within[:-1], path.stem))
    return f"Python: {path.stem}"
