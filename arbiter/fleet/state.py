"""What one process knows of its fleet at a moment: replicas, breakers, latencies, hedges, queues. No case is in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import TypeAdapter

from arbiter.question import ModelSpec

CALLS_A_HEDGE: Final = 20
"""At most one second request on so many calls; the pool holds to it."""
UNKNOWN_VERSION: Final = "unknown"
"""What stands for a version that no replica tells."""


class Position(StrEnum):
    """Whether requests flow (`closed`), none does (`open`), or one probe is on its way (`half-open`)."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """The breaker of one model on one replica: its position, and why in fixed words.

    `since` is when it closed, or ceased to be closed: a probe in between that fails does not count anew.
    """

    model: str
    position: Position
    since: datetime
    cause: str
    failures: int
    probes: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """A model, by name, adapter and stated hash, that a process does not ask at a replica for want of a proof, and why."""

    model: str
    adapter: str | None
    weights_sha256: str | None
    cause: str

    def is_of(self, model: ModelSpec) -> bool:
        """Return whether that is the model withheld: of one name, another hash is another thing to prove."""
        return (self.model, self.adapter, self.weights_sha256) == (
            model.name,
            model.adapter,
            model.weights_sha256,
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """A sketch of how long complete replies took: three quantiles in microseconds of the newest few thousand.

    `count` is of all replies since the process began. `buckets` are the upper bounds in microseconds with what was counted
    below each, for a plot: together those that the quantiles rest on.
    """

    count: int
    p50_us: int
    p95_us: int
    p99_us: int
    buckets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One replica: requests under way and waiting, outcomes counted since the process began, and its sketch.

    `outcomes` counts how requests ended, by the words of `arbiter.panels.vllm.exchange.Ending` and `status-<code>`.
    """

    name: str
    url: str
    engine: str
    in_flight: int
    waiting: int
    outcomes: tuple[tuple[str, int], ...]
    latency: Latency
    breakers: tuple[BreakerState, ...]
    withheld: tuple[Withheld, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server: its replicas, and what was counted over all of them since the process began.

    `concurrency` and `queue` are a replica's. `reroutes` are requests at another replica for the same ask, hedges among them.
    """

    name: str
    concurrency: int
    queue: int
    calls: int
    hedges: int
    hedges_won: int
    reroutes: int
    shed: int
    input_tokens: int
    output_tokens: int
    replicas: tuple[ReplicaState, ...]


@dataclass(frozen=True, slots=True)
class FleetState:
    """The fleet as one process sees it. `process` names host and process; instants are aware UTC."""

    process: str
    began: datetime
    at: datetime
    servers: tuple[ServerState, ...]

    def to_json(self) -> bytes:
        """Return the state as JSON."""
        return _ADAPTER.dump_json(self)

    @classmethod
    def from_json(cls, content: bytes | str) -> FleetState:
        """Return the state in JSON; raises ValueError for anything that is none."""
        return _ADAPTER.validate_json(content)


_ADAPTER: Final = TypeAdapter(FleetState)
