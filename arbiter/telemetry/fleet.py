"""What the fleet's client tells telemetry: breakers that moved, requests that went elsewhere, asks turned away, probes."""

from __future__ import annotations

from arbiter.fleet.state import Position
from arbiter.model import RerouteCause, RiskClass
from arbiter.telemetry.catalogue import (
    BREAKER_POSITION,
    GEN_MODEL,
    PROBE_OUTCOME,
    REPLICA,
    REROUTE_CAUSE,
    RISK,
    SERVER,
)
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import BREAKER_MOVES, PROBES, REROUTES, SHED


def breaker_moved(server: str, replica: str, model: str, position: Position) -> None:
    """Count a move of a breaker."""
    count(
        BREAKER_MOVES,
        {SERVER: server, REPLICA: replica, GEN_MODEL: model, BREAKER_POSITION: position.value},
    )


def rerouted(server: str, cause: RerouteCause) -> None:
    """Count a request that went to another replica for the same ask."""
    count(REROUTES, {SERVER: server, REROUTE_CAUSE: cause.value})


def shed(server: str, risk_class: RiskClass) -> None:
    """Count an ask for which there was no room."""
    count(SHED, {SERVER: server, RISK: risk_class.value})


def probed(server: str, replica: str, model: str, *, answered: bool) -> None:
    """Count a probe."""
    outcome = "answered" if answered else "failed"
    count(PROBES, {SERVER: server, REPLICA: replica, GEN_MODEL: model, PROBE_OUTCOME: outcome})
