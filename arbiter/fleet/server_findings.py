"""What is wrong with one server: its replicas, breakers, proofs, second requests and queue. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from arbiter.fleet.finding import Finding, Level, listed, share
from arbiter.fleet.overview import Breaker, Replica, Server
from arbiter.fleet.sketches import time_words
from arbiter.fleet.state import CALLS_A_HEDGE, UNKNOWN_VERSION, Position

_CALLS_A_HEDGE_NEAR: Final = 25
_HEDGES_FROM_CALLS: Final = 200
_SLOW_TIMES: Final = 3
_SLOW_FROM_REPLIES: Final = 50
_QUEUE_FILLING: Final = 0.5


def server_findings(server: Server) -> Iterator[Finding]:
    """Yield everything that is wrong with a server."""
    yield from _elsewhere(server)
    for replica in server.replicas:
        yield from _breakers(server, replica)
        yield from _withheld(server, replica)
    yield from _slow(server)
    engines = {
        engine
        for replica in server.replicas
        for engine in replica.engines
        if not engine.endswith(UNKNOWN_VERSION)
    }
    if len(engines) > 1:
        yield Finding(
            Level.WARNING,
            f"The replicas of {server.name} run different versions: {', '.join(sorted(engines))}",
            "A member's identity holds the version, so it is another member on each. Bring all replicas to one version.",
        )
    if server.calls >= _HEDGES_FROM_CALLS and server.hedges * _CALLS_A_HEDGE_NEAR >= server.calls:
        yield Finding(
            Level.WARNING,
            f"Second requests on {server.name} are near their cap: {share(server.hedges, server.calls)} of calls, "
            f"of {share(1, CALLS_A_HEDGE)} allowed",
            "Beyond the cap a slow replica is waited for. Compare the latencies of the replicas below; the slowest wants a look.",
        )
    if server.queue and server.waiting >= _QUEUE_FILLING * server.queue:
        yield Finding(
            Level.WARNING,
            f"The queue of {server.name} is filling: {server.waiting} of {server.queue} places are taken",
            "When it is full, routine cases are shed first and go to clinicians. Add a replica, or find what has become slow.",
        )


def _elsewhere(server: Server) -> Iterator[Finding]:
    moved = [
        f"{replica.name} ({' or '.join(replica.urls)})"
        for replica in server.replicas
        if len(replica.urls) > 1
    ]
    if moved:
        yield Finding(
            Level.WARNING,
            f"Processes disagree on where replicas of {server.name} are: {listed(moved)}",
            "They were started with different fleet files: restart them all with one.",
        )


def _slow(server: Server) -> Iterator[Finding]:
    """Tell of a replica whose median is a multiple of the fastest's; few replies say nothing yet."""
    measured = [replica for replica in server.replicas if replica.latency.count >= _SLOW_FROM_REPLIES]
    if len(measured) < 2:
        return
    fastest = min(measured, key=lambda replica: replica.latency.p50_us)
    for replica in measured:
        if replica.latency.p50_us >= _SLOW_TIMES * max(fastest.latency.p50_us, 1):
            yield Finding(
                Level.WARNING,
                f"{server.name}/{replica.name} is slow: half of its replies take {time_words(replica.latency.p50_us)} or more, "
                f"those of {fastest.name} {time_words(fastest.latency.p50_us)}",
                f"Look at what else runs on {' or '.join(replica.urls)}: its GPU, its KV cache, its neighbours.",
            )


def _breakers(server: Server, replica: Replica) -> Iterator[Finding]:
    """Tell of a replica's breakers that are not closed, those of one cause in one sentence: it is one thing to look at."""
    by_cause: dict[str, list[Breaker]] = {}
    for breaker in replica.breakers:
        if breaker.position is not Position.CLOSED:
            by_cause.setdefault(breaker.cause, []).append(breaker)
    for cause, breakers in by_cause.items():
        models = [breaker.model for breaker in breakers]
        one = len(models) == 1
        why = f" ({cause.replace('-', ' ')})" if cause else ""
        yield Finding(
            Level.WARNING,
            f"On {server.name}/{replica.name} the {'breaker' if one else 'breakers'} of {listed(models)} "
            f"{'is' if one else 'are'} not closed{_in_some(breakers)}{why}",
            f"{_meanwhile(server, replica, models)} Look at {' or '.join(replica.urls)}; once it generates a token again, "
            f"{'a probe closes the breaker' if one else 'probes close them'} without further ado.",
            min(breaker.since for breaker in breakers),
        )


def _withheld(server: Server, replica: Replica) -> Iterator[Finding]:
    """Tell of what is not asked at a replica for want of a proof, unless its breaker, which comes first, tells it already."""
    told = {each.model for each in replica.breakers if each.position is not Position.CLOSED}
    by_cause: dict[str, list[str]] = {}
    for each in replica.withheld:
        if each.model not in told:
            by_cause.setdefault(each.cause, []).append(each.model)
    for cause, models in by_cause.items():
        named = list(dict.fromkeys(models))
        yield Finding(
            Level.WARNING,
            f"On {server.name}/{replica.name} {listed(named)} {'is' if len(named) == 1 else 'are'} {cause}",
            f"A model is asked only where the last check proved it. {_meanwhile(server, replica, named)} arbiter panel check "
            f"tells more; once {' or '.join(replica.urls)} is put right, the next check lets it be asked again.",
        )


def _in_some(breakers: Sequence[Breaker]) -> str:
    """Return in how many processes, where it is not all of them."""
    affected = max(breaker.open + breaker.half_open for breaker in breakers)
    processes = max(breaker.processes for breaker in breakers)
    return "" if affected == processes else f" in {affected} of {processes} processes"


def _meanwhile(server: Server, replica: Replica, models: Sequence[str]) -> str:
    others = [
        other.name
        for other in server.replicas
        if other is not replica and all(other.gives(model) for model in models)
    ]
    if not others:
        return (
            "No other replica takes its place for all of them."
            if len(models) > 1
            else "No other replica takes its place."
        )
    return f"Requests go to {listed(others)} meanwhile."
