"""Reads what a process told of its fleet, believing none of it: every name has its shape, every number its bounds.

Guarantees: what is returned can be added up, compared with the clock and shown; anything else is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from arbiter.fleet.state import FleetState, Latency, ReplicaState, ServerState, Withheld

SERVERS_LIMIT: Final = 64
REPLICAS_LIMIT: Final = 32
MODELS_LIMIT: Final = 256
OUTCOMES_LIMIT: Final = 64
BUCKETS_LIMIT: Final = 512

_GREATEST: Final = 2**53
_YEARS: Final = (2000, 2200)
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,127}")
_URL: Final = re.compile(r"https?://[!-~]{1,2000}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_WORDS: Final = re.compile(r"[ -~]{0,256}")


def read_state(document: bytes) -> FleetState:
    """Return the state in a document; raises ValueError for one that is none, or that has anything out of bounds."""
    state = FleetState.from_json(document)
    for kind, wrong in _faults(state):
        if wrong:
            raise ValueError(f"the state of a process has a {kind} out of bounds")
    return state


Checked = Iterator[tuple[str, bool]]


def _faults(state: FleetState) -> Checked:
    yield "process name", not state.process or not _WORDS.fullmatch(state.process)
    yield "instant", _untimely(state.began) or _untimely(state.at)
    yield "number of servers", len(state.servers) > SERVERS_LIMIT or _repeated(s.name for s in state.servers)
    for server in state.servers:
        yield from _server_faults(server)


def _server_faults(server: ServerState) -> Checked:
    yield "server name", not _NAME.fullmatch(server.name)
    yield "count", _uncountable(
        server.concurrency, server.queue, server.calls, server.hedges, server.hedges_won, server.reroutes,
        server.shed, server.input_tokens, server.output_tokens,
    )  # fmt: skip
    replicas = server.replicas
    yield "number of replicas", len(replicas) > REPLICAS_LIMIT or _repeated(r.name for r in replicas)
    for replica in replicas:
        yield from _replica_faults(replica)


def _replica_faults(replica: ReplicaState) -> Checked:
    yield "replica name", not _NAME.fullmatch(replica.name)
    yield "URL", not _URL.fullmatch(replica.url)
    yield "version", not _WORDS.fullmatch(replica.engine)
    yield "count", _uncountable(replica.in_flight, replica.waiting)
    yield "number of outcomes", len(replica.outcomes) > OUTCOMES_LIMIT
    for outcome, number in replica.outcomes:
        yield "outcome", not _NAME.fullmatch(outcome) or _uncountable(number)
    yield from _latency_faults(replica.latency)
    yield (
        "number of breakers",
        len(replica.breakers) > MODELS_LIMIT or _repeated(b.model for b in replica.breakers),
    )
    for breaker in replica.breakers:
        yield "model name", not _MODEL.fullmatch(breaker.model)
        yield "instant", _untimely(breaker.since)
        yield "cause", not _WORDS.fullmatch(breaker.cause)
        yield "count", _uncountable(breaker.failures, breaker.probes)
    yield from _withheld_faults(replica.withheld)


def _withheld_faults(withheld: tuple[Withheld, ...]) -> Checked:
    yield "number of models withheld", len(withheld) > MODELS_LIMIT or len(withheld) != len(set(withheld))
    for each in withheld:
        named = all(_MODEL.fullmatch(name) for name in (each.model, each.adapter) if name is not None)
        yield "model name", not named
        yield "hash", each.weights_sha256 is not None and not _HASH.fullmatch(each.weights_sha256)
        yield "cause", not _WORDS.fullmatch(each.cause)


def _latency_faults(latency: Latency) -> Checked:
    yield "latency", _uncountable(latency.count, latency.p50_us, latency.p95_us, latency.p99_us)
    yield "number of buckets", len(latency.buckets) > BUCKETS_LIMIT
    bounds = [bound for bound, _ in latency.buckets]
    yield "bucket", bounds != sorted(set(bounds)) or any(_uncountable(*bucket) for bucket in latency.buckets)


def _untimely(instant: datetime) -> bool:
    # An instant at the end of time cannot be told in another zone.
    return instant.tzinfo is None or not _YEARS[0] <= instant.year <= _YEARS[1]


def _repeated(names: Iterable[str]) -> bool:
    listed = list(names)
    return len(listed) != len(set(listed))


def _uncountable(*numbers: int) -> bool:
    return not all(0 <= number <= _GREATEST for number in numbers)
