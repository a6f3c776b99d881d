"""`arbiter` that is killed at a named point of an erasure: run as a process of its own by the tests of that.

python -m tests.system.dying_eraser POINT erase CASE …
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from arbiter.cli import main
from arbiter.workflow.erasure import clearing, erasing, erasure_list
from arbiter.workflow.erasure.erasure_list import ErasureList, What

POINTS = (
    "ordered",
    "half a line",
    "listed",
    "entry written",
    "key deleted",
    "committed",
    "done listed",
    "rewritten",
)
"""In order. From `listed` on the case is erased at the next start; before, it was never to be."""


def die(*_arguments: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def then_die(work: Callable[..., Any]) -> Callable[..., Any]:
    async def dying(*arguments: Any, **named: Any) -> None:
        await work(*arguments, **named)
        die()

    return dying


def wrap(module: ModuleType, name: str, how: Callable[[Any], Any]) -> None:
    vars(module)[name] = how(vars(module)[name])


def arm(point: str) -> None:
    """Have the process die at that point."""
    add = ErasureList.add

    def adding(self: ErasureList, what: What, *rest: Any) -> Any:
        if (point, what) in {("ordered", What.INTENDED), ("committed", What.DONE)}:
            die()
        listed = add(self, what, *rest)
        if (point, what) in {("listed", What.INTENDED), ("done listed", What.DONE)}:
            die()
        return listed

    type.__setattr__(ErasureList, "add", adding)
    if point == "half a line":
        write = erasure_list._write

        def halving(descriptor: int, content: bytes, at: int) -> None:
            write(descriptor, content[: len(content) - 30], at)
            die()

        vars(erasure_list)["_write"] = halving
    if point == "entry written":
        wrap(erasing, "write_step", then_die)
    if point == "key deleted":
        wrap(erasing, "destroy_key", then_die)
    if point == "rewritten":
        wrap(clearing, "note_cleared", lambda _work: die)


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    main()
