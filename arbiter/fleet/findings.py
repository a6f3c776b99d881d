"""What is wrong with a fleet, in words, and what to do about it: the worst first. Pure.

A finding names servers, replicas, models and seats, never a case. When it began is told beside the words, since clock
times depend on where they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from arbiter.fleet.overview import Breaker, Overview, Replica, Server
from arbiter.fleet.seats import CanaryResult, SeatLine, Standing
from arbiter.fleet.sketches import time_words
from arbiter.fleet.state import Position

CALLS_A_HEDGE: Final = 20
"""At most one second request on so many calls; the pool holds to it."""

UNKNOWN_VERSION: Final = "unknown"

_CALLS_A_HEDGE_NEAR: Final = 25
_HEDGES_FROM_CALLS: Final = 200
_SLOW_TIMES: Final = 3
_SLOW_FROM_REPLIES: Final = 50
_QUEUE_FILLING: Final = 0.5
_CANARY_OLD: Final = timedelta(hours=50)
"""Two nights and a little: one that was missed is no matter yet."""


class Level(StrEnum):
    """How bad it is: cases go to clinicians for it, it soon may be so, or it is good to know."""

    ALARM = "alarm"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, since when where that is known, and what to do."""

    level: Level
    what: str
    remedy: str
    since: datetime | None = None


def findings(overview: Overview) -> tuple[Finding, ...]:
    """Return everything that is wrong, the worst first."""
    found = [
        *_processes(overview),
        *(finding for seat in overview.seats for finding in _seat(seat, overview.at)),
        *_not_known(overview),
        *_never_had_a_canary(overview),
        *(finding for server in overview.servers for finding in _server(server)),
    ]
    order = list(Level)
    return tuple(sorted(found, key=lambda finding: order.index(finding.level)))


# --- processes ---------------------------------------------------------------------------------------------------


def _processes(overview: Overview) -> Iterator[Finding]:
    if overview.seats and not overview.servers:
        yield Finding(
            Level.ALARM,
            "No running process tells of the model servers: how the seats stand is not known",
            "Start Arbiter (arbiter serve, or arbiter worker), or look at why it does not reach the database.",
            max((each.at for each in overview.processes), default=None),
        )
    for each in overview.processes:
        if each.silent:
            yield Finding(
                Level.WARNING,
                f"The process {each.process} has fallen silent",
                "It was killed, or does not reach the database. If it was ended on purpose there is nothing to do: "
                "within the hour it is forgotten.",
                each.at,
            )
        elif each.state is None:
            yield Finding(
                Level.WARNING,
                f"What the process {each.process} tells cannot be read",
                "It runs another version of Arbiter: bring all processes to one version.",
            )


# --- seats -------------------------------------------------------------------------------------------------------


def _seat(seat: SeatLine, now: datetime) -> Iterator[Finding]:
    named = f"{seat.title} ({seat.protocol})"
    match seat.standing:
        case Standing.SILENT:
            yield Finding(
                Level.ALARM,
                f"{named} does not answer: no replica of {seat.server} gives answers for {seat.model}",
                f"{_consequence(seat)} See below which breakers are open and what is withheld, and bring a replica back: "
                f"arbiter panel check {seat.protocol} asks the seat for a real answer.",
            )
        case Standing.PARTLY:
            yield Finding(
                Level.WARNING,
                f"{named} does not answer some processes, and answers others",
                f"The way from some hosts to {seat.server} is cut, or some processes cannot prove what it serves: compare the "
                "processes, their folders of weights, and the network between.",
            )
        case Standing.ANSWERS | Standing.STRAINED | Standing.UNASKED | Standing.UNKNOWN:
            pass
        case _:
            assert_never(seat.standing)
    yield from _canary(seat, named, now)


def _not_known(overview: Overview) -> Iterator[Finding]:
    """Tell of seats whose server nobody tells of, although processes are heard."""
    for seat in overview.seats:
        if seat.standing is Standing.UNKNOWN and overview.servers:
            yield Finding(
                Level.WARNING,
                f"How {seat.title} ({seat.protocol}) stands is not known: no process that is heard has the server {seat.server}",
                "They were started with other fleet files or protocols than this one: restart them all with the same.",
            )


def _consequence(seat: SeatLine) -> str:
    if seat.veto:
        return "It may veto, so every case of the protocol now goes to clinicians."
    if seat.required:
        return "It is required, so every case of the protocol now goes to clinicians."
    return "Cases are judged without it, and more of them go to clinicians."


def _canary(seat: SeatLine, named: str, now: datetime) -> Iterator[Finding]:
    canary = seat.canary
    if canary is None:
        return
    match canary.result:
        case CanaryResult.MOVED:
            chance = "" if canary.p_value is None else f" (p = {canary.p_value})"
            yield Finding(
                Level.ALARM,
                f"{named} answers the canary cases otherwise than it did{chance}",
                "Its protocol decides nothing without a clinician meanwhile. Something about the model has changed without being "
                f"said: compare weights, version and settings with the protocol (arbiter panel check {seat.protocol}). Whoever "
                "approves policy then begins anew: arbiter panel canary --baseline.",
                canary.at,
            )
        case CanaryResult.NOT_ASKED:
            yield Finding(
                Level.WARNING,
                f"The last canary of {named} could not be asked",
                "A silent change would go unseen: bring the seat back, then run arbiter panel canary.",
                canary.at,
            )
        case CanaryResult.STEADY | CanaryResult.BASELINE:
            if canary.heard_at is None or now - canary.heard_at > _CANARY_OLD:
                yield Finding(
                    Level.WARNING,
                    f"{named} has had no canary for more than two nights",
                    "A silent change would go unseen: run arbiter panel canary, and see why the night's run does not.",
                    canary.at,
                )
        case _:
            assert_never(canary.result)


def _never_had_a_canary(overview: Overview) -> Iterator[Finding]:
    without = [f"{seat.title} ({seat.protocol})" for seat in overview.seats if seat.canary is None]
    if without:
        yield Finding(
            Level.NOTE,
            f"No canary has been asked yet of {_listed(without)}",
            "Until a baseline is taken a silent change of a model goes unseen: run arbiter panel canary.",
        )


# --- servers -----------------------------------------------------------------------------------------------------


def _server(server: Server) -> Iterator[Finding]:
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
            f"Processes disagree on where replicas of {server.name} are: {_listed(moved)}",
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
            f"On {server.name}/{replica.name} the {'breaker' if one else 'breakers'} of {_listed(models)} "
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
            f"On {server.name}/{replica.name} {_listed(named)} {'is' if len(named) == 1 else 'are'} {cause}",
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
    return f"Requests go to {_listed(others)} meanwhile."


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def share(part: int, whole: int) -> str:
    """Return a part in per cent with one decimal, such as 4.1%."""
    return f"{part / whole:.1%}" if whole else "0.0%"
