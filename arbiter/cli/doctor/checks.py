"""What `arbiter doctor` looks at, in order. A check that cannot be made is told as a failure, never passed over."""

from __future__ import annotations

from arbiter.cli.doctor.database_checks import database
from arbiter.cli.doctor.duty_checks import duty
from arbiter.cli.doctor.findings import Finding
from arbiter.cli.doctor.fleet_checks import fleet
from arbiter.cli.doctor.machine_checks import clock, disk, endpoints, keys, modes, protocols
from arbiter.cli.doctor.witness_checks import witnesses
from arbiter.errors import ArbiterError
from arbiter.settings import read_settings


async def examine() -> tuple[Finding, ...]:
    """Look at everything that can be looked at and return what was found."""
    try:
        settings = read_settings()
    except ArbiterError as error:
        advice = "correct the variable; README.md lists every setting. Nothing else was checked"
        return (Finding("settings", "fail", str(error), advice),)
    said = "panels may decide" if settings.may_decide_alone else "every verdict goes to a clinician"
    findings = [Finding("settings", "ok", f"{settings.mode.value} mode; {said}")]
    findings += [
        *protocols(),
        *duty(settings),
        *fleet(settings),
        *witnesses(settings),
        *keys(settings),
        *modes(settings),
        *disk(settings),
        *clock(),
    ]
    findings += [finding async for finding in database(settings)]
    findings += [finding async for finding in endpoints(settings)]
    return tuple(findings)
