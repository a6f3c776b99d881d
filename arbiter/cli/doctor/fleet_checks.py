"""What `arbiter doctor` says about the fleet file: whether it can be read, and whether every model on a panel has a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arbiter.cli.doctor.findings import Finding, attempted, first_problems
from arbiter.errors import InvalidFleetError, counted
from arbiter.fleet.checking import seats_of
from arbiter.fleet.fleet import NO_FLEET, Fleet
from arbiter.fleet.loader import read_fleet
from arbiter.settings import Settings
from arbiter.workflow.protocol_checking import bundles

_SHOWN = 3
_READABLE = "correct the file that ARBITER_FLEET names: Arbiter does not start with it"
_SEATS = (
    "add the server with its replicas to the file that ARBITER_FLEET names: Arbiter does not start without"
)


def fleet(settings: Settings) -> Iterator[Finding]:
    """Read the fleet file as a start would, and look for seats whose model nobody serves by it."""
    path = settings.fleet
    if path is None:
        yield Finding("fleet file", "ok", "none: no model server is known")
        yield from attempted("fleet seats", _SEATS, lambda: _seats(NO_FLEET, settings))
        return
    yield from attempted("fleet file", _READABLE, lambda: _file(path, settings))


def _file(path: Path, settings: Settings) -> Iterator[Finding]:
    try:
        read = read_fleet(path)
    except InvalidFleetError as error:
        yield Finding("fleet file", "fail", first_problems(error.problems, _SHOWN), _READABLE)
        return
    replicas = sum(len(server.replicas) for server in read.servers.values())
    yield Finding(
        "fleet file", "ok", f"{counted(len(read.servers), 'server')} with {counted(replicas, 'replica')}"
    )
    yield from attempted("fleet seats", _SEATS, lambda: _seats(read, settings))


def _seats(read: Fleet, settings: Settings) -> Iterator[Finding]:
    in_force = {bundle.protocol.id: bundle.protocol for bundle in bundles(settings.protocols)}
    seats = seats_of(read, in_force.values())
    unstated = [expected for expected in seats if expected.model.weights_sha256 is None]
    if unstated:
        named = ", ".join(f"{expected.protocol}/{expected.member}" for expected in unstated[:_SHOWN])
        advice = "write `weights_sha256` into each: `arbiter panel weights` prints it"
        yield Finding(
            "fleet seats", "warn", f"{counted(len(unstated), 'seat')} state no weights: {named}", advice
        )
        return
    told = (
        f"{counted(len(seats), 'seat')} asks a model" if len(seats) == 1 else f"{len(seats)} seats ask models"
    )
    more = "; `arbiter panel check` proves them" if seats else ""
    yield Finding("fleet seats", "ok", told + more)
