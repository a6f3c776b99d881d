"""The gauges of a running house, read when an exporter collects them and never otherwise."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from arbiter.fleet.seats import Standing, seat_lines
from arbiter.fleet.state import Position
from arbiter.store.drifts import load_alarms
from arbiter.store.figures import load_figures
from arbiter.store.watching import load_open_audits
from arbiter.telemetry.catalogue import MEMBER, PHASE, POOL, POOL_STATE, PROTOCOL, REPLICA, SERVER, WITNESS
from arbiter.telemetry.meters import Figure, read_gauges_from
from arbiter.telemetry.metrics import (
    CANARY_AGE,
    CANARY_MOVED,
    CHECKPOINT_AGE,
    CHECKPOINT_SIZE,
    CONNECTIONS,
    CONNECTIONS_WANTED,
    DRIFT_STANDING,
    ERRANDS,
    FLEET_BREAKERS,
    FLEET_IN_FLIGHT,
    FLEET_SILENT_SEATS,
    FLEET_WAITING,
    JOBS,
    JOBS_AGE,
    LOG_REFUSED,
    OPEN_AUDITS,
    OPEN_AUDITS_AGE,
    OPEN_CASES,
    PENDING,
    PENDING_AGE,
    STOPPED,
    WITNESS_BEHIND,
    WITNESS_SIZE,
)
from arbiter.workflow.canaries import CanaryStanding, latest_canaries
from arbiter.workflow.fleet_watch import fleet_state
from arbiter.workflow.house import House
from arbiter.workflow.log.witness_standings import standings_of

WAIT_SECONDS: Final = 3.0


@contextmanager
def gauged(house: House) -> Iterator[None]:
    """Let the gauges be read from this house for as long as the block runs."""
    loop = asyncio.get_running_loop()

    def read() -> Iterable[Figure]:
        # On the exporter's thread: the database's connections belong to the loop.
        reading = asyncio.run_coroutine_threadsafe(gauges(house), loop)
        try:
            return reading.result(WAIT_SECONDS)
        finally:
            reading.cancel()

    read_gauges_from(read)
    try:
        yield
    finally:
        read_gauges_from(None)


async def gauges(house: House) -> tuple[Figure, ...]:
    """Read every gauge."""
    now = house.clock.now()
    read = await load_figures(house.store, now)
    open_cases = (Figure(OPEN_CASES, cases, {PHASE: phase.value}) for phase, cases in read.open_cases)
    return (
        *open_cases,
        Figure(JOBS, read.due_jobs, {}),
        Figure(JOBS_AGE, _age(read.due_since, now), {}),
        Figure(ERRANDS, len(house.errands), {}),
        Figure(PENDING, read.pending, {}),
        Figure(PENDING_AGE, _age(read.pending_since, now), {}),
        Figure(CHECKPOINT_SIZE, read.checkpoint_size, {}),
        *((Figure(CHECKPOINT_AGE, _age(read.sealed_at, now), {}),) if read.sealed_at else ()),
        Figure(LOG_REFUSED, house.guard.refusal is not None, {}),
        *_connections(house),
        *_fleet(house),
        *[figure async for figure in _witnesses(house, now)],
        *[figure async for figure in _canaries(house, now)],
        *[figure async for figure in _audits(house, now)],
        *[figure async for figure in _drift(house)],
    )


async def _witnesses(house: House, now: datetime) -> AsyncIterator[Figure]:
    for standing in await standings_of(house.circle, house.store, now):
        said = {WITNESS: standing.witness.name}
        yield Figure(WITNESS_SIZE, standing.size or 0, said)
        yield Figure(WITNESS_BEHIND, _age(standing.behind_since, now), said)


async def _canaries(house: House, now: datetime) -> AsyncIterator[Figure]:
    for seat in await latest_canaries(house):
        said = {PROTOCOL: seat.protocol, MEMBER: seat.member}
        yield Figure(CANARY_MOVED, seat.standing is CanaryStanding.MOVED, said)
        if seat.heard_at is not None:
            yield Figure(CANARY_AGE, _age(seat.heard_at, now), said)


async def _audits(house: House, now: datetime) -> AsyncIterator[Figure]:
    waiting = {each.protocol: each for each in await load_open_audits(house.store)}
    for protocol in sorted(house.shelf.current):
        said = {PROTOCOL: protocol}
        audits = waiting.get(protocol)
        yield Figure(OPEN_AUDITS, 0 if audits is None else audits.count, said)
        yield Figure(OPEN_AUDITS_AGE, _age(None if audits is None else audits.oldest, now), said)
        yield Figure(STOPPED, house.stops.hold(protocol), said)


async def _drift(house: House) -> AsyncIterator[Figure]:
    standing = Counter(alarm.protocol for alarm in await load_alarms(house.store, standing=True))
    for protocol in sorted({*house.shelf.current, *standing}):
        yield Figure(DRIFT_STANDING, standing[protocol], {PROTOCOL: protocol})


def _fleet(house: House) -> Iterator[Figure]:
    """Tell of the fleet as this process alone knows it: whoever collects adds processes up."""
    state = fleet_state(house)
    for server in state.servers:
        said = {SERVER: server.name}
        yield Figure(FLEET_WAITING, sum(replica.waiting for replica in server.replicas), said)
        for replica in server.replicas:
            here = {**said, REPLICA: replica.name}
            held = sum(breaker.position is not Position.CLOSED for breaker in replica.breakers)
            yield Figure(FLEET_IN_FLIGHT, replica.in_flight, here)
            yield Figure(FLEET_BREAKERS, held, here)
    silent: dict[str, int] = {}
    protocols = (shelved.protocol for shelved in house.shelf.current.values())
    for seat in seat_lines(protocols, (state,), {}):
        silent[seat.protocol] = silent.get(seat.protocol, 0) + (seat.standing is Standing.SILENT)
    for protocol, seats in silent.items():
        yield Figure(FLEET_SILENT_SEATS, seats, {PROTOCOL: protocol})


def _connections(house: House) -> Iterator[Figure]:
    for pool in house.store.connections():
        yield Figure(CONNECTIONS, pool.used, {POOL: pool.name, POOL_STATE: "used"})
        yield Figure(CONNECTIONS, pool.idle, {POOL: pool.name, POOL_STATE: "idle"})
        if pool.waiting is not None:
            yield Figure(CONNECTIONS_WANTED, pool.waiting, {POOL: pool.name})


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
