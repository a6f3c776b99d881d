"""What all processes know of the fleet, seen together: servers, replicas, and the seats that depend on them. Pure.

Guarantees: what a process told too long ago counts for nothing that is said of the present. Counters are since each process
began and are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from arbiter.fleet.seats import Canaries, SeatLine, seat_lines
from arbiter.fleet.sketches import joined
from arbiter.fleet.state import (
    BreakerState,
    FleetState,
    Latency,
    Position,
    ReplicaState,
    ServerState,
    Withheld,
)
from arbiter.question import Protocol

SILENT_AFTER: Final = timedelta(seconds=15)
"""A process that told nothing for so long has ended, or does not reach the database."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came from a process and how long ago; `state` is None where it cannot be read."""

    process: str
    began: datetime
    at: datetime
    age: timedelta
    state: FleetState | None

    @property
    def silent(self) -> bool:
        """Whether that is too long ago to say anything of the present."""
        return self.age > SILENT_AFTER


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breakers of one model on one replica over all processes: in how many each position is, and the worst of them.

    `since`, `cause` and `failures` are those of the longest that is not closed, or of the oldest where all are closed.
    """

    model: str
    position: Position
    since: datetime
    cause: str
    failures: int
    probes: int
    closed: int
    half_open: int
    open: int

    @property
    def processes(self) -> int:
        """How many processes have asked this model here."""
        return self.closed + self.half_open + self.open


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica over all processes, which may have `concurrency` requests under way together.

    `urls` and `engines` are several only where processes disagree; `withheld` is what any of them does not ask here.
    """

    name: str
    urls: tuple[str, ...]
    engines: tuple[str, ...]
    concurrency: int
    in_flight: int
    waiting: int
    outcomes: tuple[tuple[str, int], ...]
    latency: Latency
    breakers: tuple[Breaker, ...]
    withheld: tuple[Withheld, ...]

    def gives(self, model: str) -> bool:
        """Return whether every process that asked for the model here may ask on."""
        closed = all(each.position is Position.CLOSED for each in self.breakers if each.model == model)
        return closed and all(each.model != model for each in self.withheld)


@dataclass(frozen=True, slots=True)
class Server:
    """One server over all processes: its places to wait, which every replica adds to, and what was counted, added up."""

    name: str
    queue: int
    calls: int
    hedges: int
    hedges_won: int
    reroutes: int
    shed: int
    input_tokens: int
    output_tokens: int
    replicas: tuple[Replica, ...]

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return sum(replica.in_flight for replica in self.replicas)

    @property
    def waiting(self) -> int:
        """Requests that wait for a replica."""
        return sum(replica.waiting for replica in self.replicas)


@dataclass(frozen=True, slots=True)
class Overview:
    """The fleet at an instant."""

    at: datetime
    processes: tuple[Heard, ...]
    servers: tuple[Server, ...]
    seats: tuple[SeatLine, ...]


def oversee(
    heard: Iterable[Heard], protocols: Iterable[Protocol], canaries: Canaries, now: datetime
) -> Overview:
    """Return the fleet as it is now, for the protocols in force."""
    processes = _without_predecessors(sorted(heard, key=lambda each: (each.age, each.process)))
    present = [each.state for each in processes if each.state is not None and not each.silent]
    return Overview(now, processes, _servers(present), seat_lines(protocols, present, canaries))


def _without_predecessors(heard: Sequence[Heard]) -> tuple[Heard, ...]:
    """Leave out what is silent and was begun again under its name: where it went is known."""
    again: dict[str, datetime] = {}
    for each in heard:
        if not each.silent:
            again[each.process] = max(each.began, again.get(each.process, each.began))
    return tuple(
        each for each in heard if not each.silent or each.began >= again.get(each.process, each.began)
    )


# --- servers -----------------------------------------------------------------------------------------------------


def _servers(states: Sequence[FleetState]) -> tuple[Server, ...]:
    by_name: dict[str, list[ServerState]] = {}
    for state in states:
        for server in state.servers:
            by_name.setdefault(server.name, []).append(server)
    return tuple(_server(name, by_name[name]) for name in sorted(by_name))


def _server(name: str, told: Sequence[ServerState]) -> Server:
    by_name: dict[str, list[ReplicaState]] = {}
    room: dict[str, int] = {}
    for server in told:
        for replica in server.replicas:
            by_name.setdefault(replica.name, []).append(replica)
            room[replica.name] = room.get(replica.name, 0) + server.concurrency
    return Server(
        name=name,
        queue=sum(server.queue * len(server.replicas) for server in told),
        calls=sum(server.calls for server in told),
        hedges=sum(server.hedges for server in told),
        hedges_won=sum(server.hedges_won for server in told),
        reroutes=sum(server.reroutes for server in told),
        shed=sum(server.shed for server in told),
        input_tokens=sum(server.input_tokens for server in told),
        output_tokens=sum(server.output_tokens for server in told),
        replicas=tuple(_replica(name, room[name], states) for name, states in by_name.items()),
    )


def _replica(name: str, concurrency: int, told: Sequence[ReplicaState]) -> Replica:
    outcomes: dict[str, int] = {}
    breakers: dict[str, list[BreakerState]] = {}
    withheld: set[Withheld] = set()
    for replica in told:
        withheld.update(replica.withheld)
        for outcome, number in replica.outcomes:
            outcomes[outcome] = outcomes.get(outcome, 0) + number
        for breaker in replica.breakers:
            breakers.setdefault(breaker.model, []).append(breaker)
    return Replica(
        name=name,
        urls=tuple(dict.fromkeys(replica.url for replica in told)),
        engines=tuple(dict.fromkeys(replica.engine for replica in told)),
        concurrency=concurrency,
        in_flight=sum(replica.in_flight for replica in told),
        waiting=sum(replica.waiting for replica in told),
        outcomes=tuple(sorted(outcomes.items(), key=lambda each: (-each[1], each[0]))),
        latency=joined([replica.latency for replica in told]),
        breakers=tuple(_breaker(model, breakers[model]) for model in sorted(breakers)),
        withheld=tuple(sorted(withheld, key=lambda each: (each.model, each.cause, repr(each)))),
    )


_WORST: Final = (Position.OPEN, Position.HALF_OPEN, Position.CLOSED)


def _breaker(model: str, told: Sequence[BreakerState]) -> Breaker:
    numbers = {position: sum(breaker.position is position for breaker in told) for position in Position}
    worst = next(position for position in _WORST if numbers[position])
    shown = min((breaker for breaker in told if breaker.position is worst), key=lambda each: each.since)
    return Breaker(
        model=model,
        position=worst,
        since=shown.since,
        cause=shown.cause,
        failures=shown.failures,
        probes=shown.probes,
        closed=numbers[Position.CLOSED],
        half_open=numbers[Position.HALF_OPEN],
        open=numbers[Position.OPEN],
    )
