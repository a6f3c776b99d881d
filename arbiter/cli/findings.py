"""What a check of `arbiter doctor` says, and how one that cannot be made says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from arbiter.errors import ArbiterError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: how it stands, what was found, and what to do unless it is right."""

    check: str
    state: State
    found: str
    advice: str = ""


def attempted(check: str, advice: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what `look` finds; an error on the way becomes a failure with this advice."""
    try:
        yield from look()
    except ArbiterError as error:
        yield Finding(check, "fail", str(error), advice)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        yield Finding(check, "fail", f"{named}{error.strerror or error}", advice)
