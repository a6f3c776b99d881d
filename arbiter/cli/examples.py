"""Examples under a command's help: a test reads them back and parses each."""

from __future__ import annotations

_HEADING = "[bold]Examples[/]"


def examples(*lines: str) -> str:
    """Return the epilog that shows these commands, each on a line of its own."""
    # The help takes single line breaks for spaces.
    return "\n\n".join((_HEADING, *(f"  {line}" for line in lines)))


def commands_in(epilog: str) -> tuple[str, ...]:
    """Return the commands that an epilog shows."""
    return tuple(line.strip() for line in epilog.split("\n\n") if line != _HEADING)
