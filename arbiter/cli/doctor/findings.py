"""What a check of `arbiter doctor` says, and how one that cannot be made says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from arbiter.errors import ArbiterError, Problem

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: how it stands, what was found, and what to do unless it is right."""

    check: str
    state: State
    found: str
    advice: str = ""


def first_problems(problems: Sequence[Problem], most: int) -> str:
    """Return what is wrong with a file in a line: the first problems, and how many more there are."""
    return first_of([f"{problem.pointer}: {problem.detail}" for problem in problems], most)


def first_of(told: Sequence[str], most: int) -> str:
    """Return the first of what is to be told in a line, and how many more there are."""
    more = [f"{len(told) - most} more"] if len(told) > most else []
    return "; ".join([*told[:most], *more])


def attempted(check: str, advice: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what `look` finds; an error on the way becomes a failure with this advice."""
    try:
        yield from look()
    except ArbiterError as error:
        yield Finding(check, "fail", str(error), advice)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        yield Finding(check, "fail", f"{named}{error.strerror or error}", advice)
