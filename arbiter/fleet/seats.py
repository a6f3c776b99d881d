"""The seats that models sit in, and whether each can be asked, by what all processes know of the servers. Pure.

Guarantees: a seat is said to answer only where every process that was heard from could ask it. A replica whose breaker is
not closed for the model is not asked, and neither is one that is withheld because the last check did not prove it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from arbiter.fleet.state import FleetState, Position, ReplicaState
from arbiter.question import ModelSpec, Protocol, Seat


class Standing(StrEnum):
    """Whether a seat that a model sits in can be asked."""

    ANSWERS = "answers"
    STRAINED = "answers with fewer replicas"
    PARTLY = "does not answer every process"
    SILENT = "does not answer"
    UNASKED = "not asked yet"
    UNKNOWN = "not known"


class CanaryResult(StrEnum):
    """What the last canary of a seat showed."""

    BASELINE = "baseline taken"
    STEADY = "steady"
    MOVED = "moved"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class SeatCanary:
    """The last canary of a seat: what it showed, and since when or when; and when the seat was heard last, if ever.

    `p_value` is the chance of a night at least so strange without any change, where the night that moved told it.
    """

    at: datetime
    result: CanaryResult
    heard_at: datetime | None
    p_value: str | None


@dataclass(frozen=True, slots=True)
class SeatLine:
    """A seat with a model in it: what sits there, on which server, and whether it can be asked.

    `answering` of the server's `replicas` are asked for this model by every process that was heard from.
    """

    protocol: str
    protocol_title: str
    member: str
    title: str
    role: str | None
    server: str
    model: str
    adapter: str | None
    required: bool
    veto: tuple[str, ...]
    standing: Standing
    answering: int
    replicas: int
    canary: SeatCanary | None


Canaries = Mapping[tuple[str, str], SeatCanary]
"""The last canary by protocol id and member."""


def seat_lines(
    protocols: Iterable[Protocol], states: Sequence[FleetState], canaries: Canaries
) -> tuple[SeatLine, ...]:
    """Return how every seat with a model stands for the processes that told these states, by protocol."""
    return tuple(
        _seat_line(protocol, seat, states, canaries)
        for protocol in sorted(protocols, key=lambda protocol: protocol.id)
        for seat in protocol.seats
        if seat.model is not None
    )


def _seat_line(protocol: Protocol, seat: Seat, states: Sequence[FleetState], canaries: Canaries) -> SeatLine:
    model = seat.model
    assert model is not None
    standing, answering, replicas = _standing(model, states)
    return SeatLine(
        protocol=protocol.id,
        protocol_title=protocol.title,
        member=seat.member,
        title=seat.title,
        role=seat.role,
        server=model.server,
        model=model.name,
        adapter=model.adapter,
        required=seat.required,
        veto=seat.veto,
        standing=standing,
        answering=answering,
        replicas=replicas,
        canary=canaries.get((protocol.id, seat.member)),
    )


def _standing(model: ModelSpec, states: Sequence[FleetState]) -> tuple[Standing, int, int]:
    """Return whether the model can be asked, on how many replicas by all processes, and how many replicas there are."""
    told = [each for state in states for each in state.servers if each.name == model.server]
    if not told:
        return Standing.UNKNOWN, 0, 0
    # A model that a process has not asked on a replica has no breaker there, and may be asked.
    flowing = [{replica.name for replica in each.replicas if _flows(replica, model)} for each in told]
    everywhere = set.intersection(*flowing)
    every = {replica.name for each in told for replica in each.replicas}
    counted = len(everywhere), len(every)
    if not any(flowing):
        return Standing.SILENT, *counted
    if not all(flowing):
        return Standing.PARTLY, *counted
    if not any(breaker.model == model.name for each in told for r in each.replicas for breaker in r.breakers):
        return Standing.UNASKED, *counted
    return (Standing.ANSWERS if everywhere == every else Standing.STRAINED), *counted


def _flows(replica: ReplicaState, model: ModelSpec) -> bool:
    closed = all(
        breaker.position is Position.CLOSED for breaker in replica.breakers if breaker.model == model.name
    )
    return closed and not any(withheld.is_of(model) for withheld in replica.withheld)
