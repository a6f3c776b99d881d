"""States of a fleet for tests: made from few words, with latencies that were really drawn and counted."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from arbiter.fleet.state import (
    BreakerState,
    FleetState,
    Latency,
    Position,
    ReplicaState,
    ServerState,
    Withheld,
)

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(hours=5)
_RATIO = 1.04 / 0.96


def drawn(median_ms: float, number: int, seed: int = 1, spread: float = 0.35) -> list[int]:
    """Draw latencies in microseconds around a median, log-normally."""
    chance = random.Random(seed)
    return [max(100, round(1000 * median_ms * math.exp(chance.gauss(0, spread)))) for _ in range(number)]


def sketch(values: Sequence[int]) -> Latency:
    """Count these values in buckets that grow by a fixed ratio; the quantiles are the values' own, by nearest rank."""
    ordered = sorted(values)

    def quantile(share: float) -> int:
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0

    counts = Counter(math.ceil(math.log(value / 100, _RATIO)) for value in values)
    return Latency(
        len(values),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        tuple((round(100 * _RATIO**bucket), number) for bucket, number in sorted(counts.items())),
    )


def breaker(model: str, position: Position = Position.CLOSED, **changes: Any) -> BreakerState:
    """Return a breaker; one that is not closed has failed three times in a row."""
    closed = position is Position.CLOSED
    made = BreakerState(
        model=model,
        position=position,
        since=BEGAN if closed else NOW - timedelta(minutes=4),
        cause="never-opened" if closed else "not-connected",
        failures=0 if closed else 3,
        probes=0 if closed else 5,
    )
    return replace(made, **changes)


def a_withheld(model: str, **changes: Any) -> Withheld:
    """Return a model of a test's seats that a replica is not asked for, since nothing was proven there."""
    return replace(Withheld(model, None, None, "withheld: not proven yet"), **changes)


def a_replica(name: str, *breakers: BreakerState, **changes: Any) -> ReplicaState:
    """Return a replica with these breakers, on which nothing has happened yet unless told."""
    made = ReplicaState(
        name=name,
        url=f"http://10.0.0.5:80{len(name):02}/{name}",
        engine="vllm 0.11.0",
        in_flight=0,
        waiting=0,
        outcomes=(),
        latency=Latency(0, 0, 0, 0, ()),
        breakers=breakers,
    )
    return replace(made, **changes)


def a_server(name: str, *replicas: ReplicaState, **changes: Any) -> ServerState:
    """Return a server with these replicas, of which nothing has been counted yet unless told."""
    made = ServerState(
        name=name,
        concurrency=32,
        queue=128,
        calls=0,
        hedges=0,
        hedges_won=0,
        reroutes=0,
        shed=0,
        input_tokens=0,
        output_tokens=0,
        replicas=replicas,
    )
    return replace(made, **changes)


def a_state(*servers: ServerState, **changes: Any) -> FleetState:
    """Return what one process knows."""
    return replace(FleetState("ward-host/4711", BEGAN, NOW, servers), **changes)


def a_busy_fleet() -> FleetState:
    """Return a fleet with everything in it: a slow replica, one that is down, hedges near their cap, a queue that fills."""
    models = ("respiratory", "circulation", "infection")
    fast, slow = drawn(180, 1800, 1), drawn(1900, 240, 2, 0.5)
    gone = [breaker(model, Position.OPEN if at else Position.HALF_OPEN) for at, model in enumerate(models)]
    specialists = a_server(
        "specialists",
        a_replica(
            "specialists-1",
            *(breaker(model) for model in models),
            in_flight=21,
            waiting=40,
            outcomes=(("complete", 1790), ("status-503", 8), ("out-of-time", 2)),
            latency=sketch(fast),
        ),
        a_replica(
            "specialists-2",
            *(breaker(model) for model in models),
            in_flight=31,
            waiting=36,
            outcomes=(("complete", 231), ("out-of-time", 9)),
            latency=sketch(slow),
        ),
        a_replica("specialists-3", *gone, outcomes=(("not-connected", 212), ("complete", 1))),
        queue=48,
        calls=2230,
        hedges=104,
        hedges_won=71,
        reroutes=316,
        shed=17,
        input_tokens=5_123_456,
        output_tokens=310_220,
    )
    general = a_server(
        "general",
        a_replica(
            "general-1",
            breaker("llama-3.1-8b"),
            in_flight=3,
            outcomes=(("complete", 640),),
            latency=sketch(drawn(620, 640, 3)),
        ),
        calls=640,
        hedges=4,
        hedges_won=1,
        input_tokens=1_923_000,
        output_tokens=96_010,
        concurrency=16,
        queue=32,
    )
    return a_state(specialists, general)
