"""What went wrong, in words for whoever typed the command, and as an exit status for the script that did."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import IntEnum

from rich.table import Table

from arbiter.cli.output import err
from arbiter.errors import ArbiterError, Problem, RefusedError, UnavailableError, counted


class Status(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """A check did not pass, a setting or file is unfit, or what was named is not there."""
    USAGE = 2
    """The command line or the file given to it does not fit; nothing was sent or changed."""
    REFUSED = 3
    """A running Arbiter refused the request; sending the same again will not help."""
    UNAVAILABLE = 4
    """A running Arbiter, or its database, did not answer or failed; the same command may be tried again."""
    UNSETTLED = 5
    """The case was taken and has not settled in the time that was waited for."""
    UNPROVEN = 6
    """What was checked agrees with itself, and no key from elsewhere vouches for it: no proof of anything."""
    INTERRUPTED = 130


class UsageError(ArbiterError):
    """What was given on the command line, or in the file it names, does not fit."""


class RequestRefusedError(RefusedError):
    """A running Arbiter refused a request."""


def status_of(error: Exception) -> Status | None:
    """Tell of an error on standard error and return the exit status; None for one that nobody foresaw."""
    from arbiter.audit.verify import LogRefusedError

    match error:
        case RefusedError():
            _tell_refusal(error)
        case LogRefusedError():
            _tell_findings([finding.detail for finding in error.findings])
        case ArbiterError():
            _say(str(error))
        case OSError():
            _say(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        case _ if _is_http(error):
            _say(f"the server did not answer as expected: {type(error).__name__}")
            return Status.UNAVAILABLE
        case _:
            return None
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), Status.FAILED)


_STATUSES: tuple[tuple[type[Exception], Status], ...] = (
    (RequestRefusedError, Status.REFUSED),
    (UsageError, Status.USAGE),
    (UnavailableError, Status.UNAVAILABLE),
)


def _is_http(error: Exception) -> bool:
    # Whoever raised one has loaded the library already; the light commands never do.
    httpx = sys.modules.get("httpx")
    return httpx is not None and isinstance(error, httpx.HTTPError)


def _say(words: str) -> None:
    err.print(f"arbiter: {words}", style="bold red", markup=False)


def _tell_refusal(error: RefusedError) -> None:
    err.print("[bold red]refused:[/]", end=" ")
    err.print(str(error), markup=False)
    if err.is_terminal and error.problems:
        err.print(_table(error.problems), soft_wrap=False)
        return
    for problem in error.problems:
        err.print(f"  {problem.pointer}: {problem.detail}", markup=False)


def _table(problems: tuple[Problem, ...]) -> Table:
    table = Table("place", "what is wrong", "code")
    for problem in problems:
        table.add_row(*(cell.replace("[", "\\[") for cell in (problem.pointer, problem.detail, problem.code)))
    return table


def _tell_findings(findings: Sequence[str]) -> None:
    _say(f"the log does not check out, {counted(len(findings), 'finding')}")
    for finding in findings:
        err.print(f"  {finding}", markup=False)
