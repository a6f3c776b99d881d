"""What `arbiter doctor` looks at, in order. A check that cannot be made is told as a failure, never passed over."""

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


async def examine() -> tuple[Finding, ...]:
    """Look at everything that can be looked at and return what was found."""
    from arbiter.cli.checking_database import database
    from arbiter.cli.checking_machine import clock, disk, endpoints, keys, protocols
    from arbiter.settings import read_settings

    try:
        settings = read_settings()
    except ArbiterError as error:
        advice = "correct the variable; README.md lists every setting. Nothing else was checked"
        return (Finding("settings", "fail", str(error), advice),)
    said = "panels may decide" if settings.may_decide_alone else "every verdict goes to a clinician"
    findings = [Finding("settings", "ok", f"{settings.mode.value} mode; {said}")]
    findings += [*protocols(), *keys(settings), *disk(settings), *clock()]
    findings += [finding async for finding in database(settings)]
    findings += [finding async for finding in endpoints(settings)]
    return tuple(findings)
