"""Which protocols a command about the fleet means, and the fleet that this environment names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from arbiter.fleet.fleet import Fleet
    from arbiter.question import Protocol
    from arbiter.settings import Settings

Protocols = Annotated[
    list[str] | None,
    typer.Argument(
        help="Ids of protocols in force, or bundles' folders. Else every protocol in force.",
        show_default=False,
    ),
]
Replicas = Annotated[
    list[str] | None,
    typer.Option(
        "--replica", help="Only this replica; may be given more than once. Else all.", show_default=False
    ),
]


def protocols_of(settings: Settings, named: Sequence[str] | None) -> tuple[Protocol, ...]:
    """Return the protocols meant; raises UsageError for a name that is neither in force nor a folder."""
    from arbiter.cli.failing import UsageError
    from arbiter.workflow.protocol_checking import bundles, check_bundle

    in_force = {bundle.protocol.id: bundle.protocol for bundle in bundles(settings.protocols)}
    found = []
    for name in named or sorted(in_force):
        if name in in_force:
            found.append(in_force[name])
        elif Path(name).is_dir():
            found.append(check_bundle(Path(name)).protocol)
        else:
            raise UsageError(
                f"expected one of the protocols in force {', '.join(sorted(in_force))} or a bundle's folder; "
                f"{name[:80]} is neither"
            )
    return tuple(found)


def require_known(replicas: Sequence[str] | None, known: AbstractSet[str]) -> None:
    """Return where every replica that was named is one of those known; raises UsageError."""
    from arbiter.cli.failing import UsageError

    for name in replicas or ():
        if name not in known:
            raise UsageError(
                f"expected one of the replicas {', '.join(sorted(known)) or 'none'}; {name[:80]} is none of them"
            )


def require_asked(fleet: Fleet, protocols: Sequence[Protocol]) -> None:
    """Return where a seat of the protocols asks a model; raises ConfigurationError, for a script must not pass on nothing."""
    from arbiter.errors import ConfigurationError

    if any(seat.model is not None for protocol in protocols for seat in protocol.seats):
        return
    raise ConfigurationError(
        f"expected a seat that asks a model of the servers {', '.join(sorted(fleet.servers))}, which the fleet file "
        f"(ARBITER_FLEET) names; no seat of {', '.join(sorted(protocol.id for protocol in protocols))} asks any. Name a "
        "protocol or a bundle's folder whose seats do, or set ARBITER_PROTOCOLS as the running processes have it"
    )


def fleet_of(settings: Settings) -> Fleet:
    """Return the fleet that the settings name; raises ConfigurationError where they name none."""
    from arbiter.errors import ConfigurationError
    from arbiter.fleet.loader import read_fleet

    if settings.fleet is None:
        raise ConfigurationError("ARBITER_FLEET is not set: expected the file that names the model servers")
    return read_fleet(settings.fleet)
