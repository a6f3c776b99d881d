"""What is measured in which order: what tells most comes first, because the time may be over before the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.gpu.asking import Panel, Sizes
from benchmarks.gpu.server import Setting
from benchmarks.gpu.shapes import SHAPES

CENTRE: Final = Panel()
"""Of every sweep but its own axis."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One server, and the panels put before it. `share_of_cache` starts it with that share of the blocks seen before."""

    setting: Setting
    panels: tuple[Panel, ...]
    share_of_cache: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in order, the sizes of what is asked, seconds a point, seconds that a server may take to start."""

    stages: tuple[Stage, ...]
    sizes: Sizes
    seconds: float
    start_seconds: float


def gpu_plan(shapes: tuple[str, ...]) -> Plan:
    """Return the plan for a GPU: for each shape everything at 8 adapters, then other numbers of adapters, then less cache."""
    stages = [Stage(Setting(SHAPES[shape], 8), tuple(dict.fromkeys(_sweeps()))) for shape in shapes]
    crowded = replace(CENTRE, at_once=64)
    busy = replace(CENTRE, at_once=32)
    stages += [Stage(Setting(SHAPES[shape], 8), (CENTRE, busy, crowded), 0.125) for shape in shapes]
    for adapters in (16, 2, 4):
        stages += [Stage(Setting(SHAPES[shape], adapters), (CENTRE, crowded)) for shape in shapes]
    return Plan(
        tuple(stages), Sizes(instructions=700, case=400, answer=160), seconds=12.0, start_seconds=600.0
    )


def _sweeps() -> Iterator[Panel]:
    yield CENTRE
    for at_once in (1, 4, 16, 32, 64, 96):
        yield replace(CENTRE, at_once=at_once)
    yield replace(CENTRE, shared_salt=True)
    yield replace(CENTRE, at_once=64, shared_salt=True)
    for samples in (1, 2, 8):
        yield replace(CENTRE, samples=samples)
    for members in (3, 7):
        yield replace(CENTRE, members=members)
    yield replace(CENTRE, schema=True)
    yield replace(CENTRE, members=7, samples=8, at_once=32)


def cpu_plan() -> Plan:
    """Return a small plan of the same kind, for a machine without a GPU; its figures say nothing about one that has one."""
    small = Panel(members=3, samples=2, at_once=2)
    sweeps = (
        small,
        replace(small, at_once=1),
        replace(small, at_once=6),
        replace(small, shared_salt=True),
        replace(small, samples=1),
        replace(small, samples=4),
        replace(small, members=5),
        replace(small, schema=True),
    )
    tiny = SHAPES["tiny"]
    stages = (
        Stage(Setting(tiny, 3), sweeps),
        # So few blocks that a handful of samples fills them: what the GPU shows with dozens of cases.
        Stage(Setting(tiny, 3, blocks=40), (replace(small, at_once=6, samples=4),)),
        Stage(Setting(tiny, 2), (small,)),
    )
    return Plan(stages, Sizes(instructions=300, case=48, answer=24), seconds=3.0, start_seconds=420.0)
