"""Every command of the command line, found as the library itself finds them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from arbiter.cli import app


def commands_below(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with the words that lead to it, hidden ones and groups left out."""
    for name, below in sorted(getattr(command, "commands", {}).items()):
        if below.hidden:
            continue
        if getattr(below, "commands", None):
            yield from commands_below(below, (*path, name))
        else:
            yield (*path, name), below


@functools.cache
def every_command() -> tuple[tuple[tuple[str, ...], Any], ...]:
    return tuple(commands_below(get_command(app)))
