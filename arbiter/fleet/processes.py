"""The processes of a session and the shared memory that they hold [proc(5)], for whoever must leave neither behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - nothing is written there

_PROCESSES: Final = Path("/proc")
_TRACKER: Final = b"multiprocessing.resource_tracker"
_GONE: Final = (FileNotFoundError, ProcessLookupError)
_KILL_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02


def living(session: int) -> list[int]:
    """Return the processes of a session that are no zombies."""
    found = []
    for entry in _PROCESSES.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(*_GONE):
                # After the name, which may hold anything: state, parent, group, session.
                state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(its_session) == session and state != "Z":
                    found.append(int(entry.name))
    return found


def kill(session: int) -> None:
    """SIGKILL whatever lives of a session, and return when it is gone, or will not go.

    Python's small process that frees shared memory for the others goes last: it does so when they are gone, and ends.
    """
    began = time.monotonic()
    while (left := living(session)) and time.monotonic() - began < 2 * _KILL_SECONDS:
        others = [process for process in left if not _is_tracker(process)]
        _signal(left if time.monotonic() - began > _KILL_SECONDS else others, signal.SIGKILL)
        # A stopped process takes the signal that kills it only when it goes on.
        _signal(left, signal.SIGCONT)
        time.sleep(_LOOK_SECONDS)


def shared_memory(processes: Iterable[int]) -> set[Path]:
    """Return the named shared memory that the processes have mapped.

    It is to be remembered while they live: an engine that dies by itself can no longer be asked what it held.
    """
    found = set()
    for process in processes:
        with contextlib.suppress(*_GONE, PermissionError):
            for line in (_PROCESSES / str(process) / "maps").read_text(errors="replace").splitlines():
                _, _, name = line.partition(f"{MEMORY}/")
                if name and not name.endswith(" (deleted)"):
                    found.add(MEMORY / name)
    return found


def free_memory(memory: Iterable[Path]) -> list[Path]:
    """Remove what is still there of this shared memory, and return it."""
    left = sorted(path for path in memory if path.exists())
    for path in left:
        path.unlink(missing_ok=True)
    return left


def _signal(processes: Iterable[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _is_tracker(process: int) -> bool:
    with contextlib.suppress(*_GONE):
        return _TRACKER in (_PROCESSES / str(process) / "cmdline").read_bytes()
    return False
