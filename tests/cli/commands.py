"""Every command of the command line, found as the library itself finds them, and one called without a process of its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from arbiter.cli import app
from arbiter.cli.failing import status_of


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


def invoked(*arguments: str) -> tuple[int, str, str]:
    """Return the exit status, standard output and what was said of an error, of one call."""
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        # `main` does this around the command.
        return int(status_of(result.exception) or -1), result.stdout, str(result.exception)
    return result.exit_code, result.stdout, result.stderr
