"""What `arbiter doctor` looks at about witnesses: the file that names them, and in the database who is behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from arbiter.cli.doctor.findings import Finding, attempted, first_problems
from arbiter.cosigning.circle import NOBODY, Circle
from arbiter.cosigning.loader import read_circle
from arbiter.errors import ArbiterError, InvalidWitnessesError
from arbiter.settings import Settings
from arbiter.store.transaction import Where
from arbiter.workflow.log.witness_standings import Standing, standings_of

_READABLE = "correct the file that ARBITER_WITNESSES names: Arbiter does not start with it"
_SHOWN = 5


def witnesses(settings: Settings) -> Iterator[Finding]:
    """Look at the file of witnesses."""
    path = settings.witnesses
    if path is None:
        yield Finding("witnesses file", "ok", "none: nobody else cosigns this log")
        return
    yield from attempted("witnesses file", _READABLE, lambda: _file(path))


def _file(path: Path) -> Iterator[Finding]:
    try:
        circle = read_circle(path)
    except InvalidWitnessesError as error:
        yield Finding("witnesses file", "fail", first_problems(error.problems, _SHOWN), _READABLE)
        return
    needs = ", ".join(f"{risk_class.value} {needed}" for risk_class, needed in circle.quorum.items())
    yield Finding("witnesses file", "ok", f"{len(circle.witnesses)} named; needed: {needs}")


def circle_of(settings: Settings) -> Circle:
    """Return the witnesses that the settings name; nobody where the file is unfit, which `witnesses` has told."""
    try:
        return NOBODY if settings.witnesses is None else read_circle(settings.witnesses)
    except ArbiterError:
        return NOBODY


async def behind(settings: Settings, where: Where) -> tuple[Finding, ...]:
    """Look at how each witness stands."""
    return tuple(_standing(s) for s in await standings_of(circle_of(settings), where, datetime.now(UTC)))


def _standing(standing: Standing) -> Finding:
    check = f"witness {standing.witness.name}"
    since = standing.behind_since or standing.fault_since
    if since is None:
        return Finding(
            check, "ok", "has cosigned what is sealed" if standing.size else "nothing to cosign yet"
        )
    found = f"behind since {since.isoformat(sep=' ', timespec='seconds')}"
    if standing.fault is not None:
        found += f": {standing.fault}"
    advice = (
        "ask whoever runs it whether it is up and trusts this log's key (`arbiter keys show`); if it says that it has "
        "seen another history, keep everything as it is and compare checkpoints"
    )
    return Finding(check, "warn", found, advice)
