"""Models that no replica of their server gives answers for, by what processes tell, whichever protocols the looker has. Pure.

Seats come from the protocols of whoever looks, and those may be others than the running processes': what these tell of their
servers must raise the alarm by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from arbiter.fleet.finding import Finding, Level, listed
from arbiter.fleet.overview import Overview
from arbiter.fleet.seats import Standing
from arbiter.fleet.state import Position, ReplicaState, ServerState, Withheld


def unanswered(overview: Overview) -> Iterator[Finding]:
    """Tell of each server whose models none of the processes that asked them can ask on any replica.

    A model that a silent seat sits on is told with the seat.
    """
    told = {(seat.server, seat.model) for seat in overview.seats if seat.standing is Standing.SILENT}
    present = [each.state for each in overview.processes if each.state is not None and not each.silent]
    for server in overview.servers:
        states = [each for state in present for each in state.servers if each.name == server.name]
        models = [name for name in _without_answers(states) if (server.name, name) not in told]
        if models:
            yield Finding(
                Level.ALARM,
                f"No replica of {server.name} gives answers for {listed(models)}",
                "Cases are judged without what sits there, or go to clinicians. See below which breakers are open and what is "
                "withheld, and bring a replica back: arbiter panel check, with the protocols (ARBITER_PROTOCOLS) and the fleet "
                "file (ARBITER_FLEET) of the running processes, asks for a real answer.",
            )


def _without_answers(states: list[ServerState]) -> list[str]:
    """Return the models that every process which asked them finds closed to it on every replica."""
    replicas = [replica for state in states for replica in state.replicas]
    names = {breaker.model for replica in replicas for breaker in replica.breakers}
    asked: set[tuple[str, Withheld | None]] = {(name, None) for name in names}
    asked |= {(each.model, _bare(each)) for replica in replicas for each in replica.withheld}
    return sorted({name for name, kind in asked if _is_lost(name, kind, states)})


def _is_lost(name: str, kind: Withheld | None, states: list[ServerState]) -> bool:
    telling = [state for state in states if any(_tells(replica, name, kind) for replica in state.replicas)]
    return bool(telling) and all(
        _is_closed_off(replica, name, kind) for state in telling for replica in state.replicas
    )


def _tells(replica: ReplicaState, name: str, kind: Withheld | None) -> bool:
    return any(each.model == name for each in replica.breakers) or _withholds(replica, kind)


def _is_closed_off(replica: ReplicaState, name: str, kind: Withheld | None) -> bool:
    broken = any(each.model == name and each.position is not Position.CLOSED for each in replica.breakers)
    return broken or _withholds(replica, kind)


def _withholds(replica: ReplicaState, kind: Withheld | None) -> bool:
    return kind is not None and any(_bare(each) == kind for each in replica.withheld)


def _bare(withheld: Withheld) -> Withheld:
    """Return what is withheld without why: replicas may have different causes."""
    return replace(withheld, cause="")
