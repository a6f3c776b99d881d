"""The fleet at a terminal: what needs doing, then seats, replicas and processes as tables; as lines; and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, tzinfo
from enum import Enum
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from arbiter.fleet.finding import Finding, Level, share
from arbiter.fleet.overview import Replica, Server
from arbiter.fleet.seats import CanaryResult, SeatLine, Standing
from arbiter.fleet.sketches import time_words
from arbiter.fleet.state import Latency, Position
from arbiter.workflow.fleet_watch import Watch

_STYLES: Final = {Level.ALARM: "bold red", Level.WARNING: "yellow", Level.NOTE: "dim"}
_STANDINGS: Final = {
    Standing.ANSWERS: "green",
    Standing.STRAINED: "yellow",
    Standing.PARTLY: "yellow",
    Standing.SILENT: "bold red",
    Standing.UNASKED: "dim",
    Standing.UNKNOWN: "bold red",
}
_MARKS: Final = {Position.CLOSED: "●", Position.HALF_OPEN: "◐", Position.OPEN: "○"}
_BARS: Final = "▁▂▃▄▅▆▇█"
_CELLS: Final = 16
NO_FLEET: Final = (
    "expected model servers to watch; neither ARBITER_FLEET nor a seat of the protocols in force (ARBITER_PROTOCOLS) "
    "names one here, and no running process told of any. Start Arbiter, or set both as its processes have them; where only "
    "scores sit on the panels there is no fleet to watch"
)


def fleet_view(watch: Watch, zone: tzinfo | None) -> RenderableType:
    """Return the fleet as a person at a terminal sees it."""
    overview = watch.overview
    if watch.is_empty:
        return Text(NO_FLEET, style="yellow")
    parts: list[RenderableType] = [*(_finding(finding, zone) for finding in watch.findings)]
    if not parts:
        parts.append(Text("nothing needs doing", style="green"))
    if overview.seats:
        parts.append(_seats(overview.seats, zone))
    if overview.servers:
        parts.append(_replicas(overview.servers))
    heard = ", ".join(
        f"{each.process} {_process_words(each.state is not None, silent=each.silent)} {each.age.total_seconds():.0f} s ago"
        for each in overview.processes
    )
    parts.append(
        Text(f"as of {_clock(overview.at, zone)}; {heard or 'no process tells of the fleet'}", style="dim")
    )
    return Group(*parts)


def _finding(finding: Finding, zone: tzinfo | None) -> Text:
    since = "" if finding.since is None else f", since {_clock(finding.since, zone)}"
    text = Text(f"{finding.level.value.upper():<8}", style=_STYLES[finding.level])
    text.append(f"{finding.what}{since}. ", style="default")
    text.append(finding.remedy, style="dim")
    return text


def _seats(seats: tuple[SeatLine, ...], zone: tzinfo | None) -> Table:
    table = Table(
        "protocol", "seat", "model", "server", "duty", "stands", "replicas", "canary", title="Seats"
    )
    for seat in seats:
        duty = [*(["required"] if seat.required else []), *(["veto"] if seat.veto else [])]
        table.add_row(
            Text(seat.protocol),
            Text(seat.title if seat.role is None else f"{seat.title} ({seat.role})"),
            Text(seat.model),
            Text(seat.server),
            Text(", ".join(duty)),
            Text(seat.standing.value, style=_STANDINGS[seat.standing]),
            Text(f"{seat.answering} of {seat.replicas}" if seat.replicas else ""),
            _canary(seat, zone),
        )
    return table


def _canary(seat: SeatLine, zone: tzinfo | None) -> Text:
    if seat.canary is None:
        return Text("none yet", style="dim")
    style = "bold red" if seat.canary.result is CanaryResult.MOVED else "default"
    return Text(f"{seat.canary.result.value} {_clock(seat.canary.at, zone)}", style=style)


def _replicas(servers: tuple[Server, ...]) -> Table:
    table = Table(
        "server", "replica", "under way", "queue", "latency", "p50", "p95", "p99", "hedges", "breakers",
        title="Replicas",
    )  # fmt: skip
    for server in servers:
        bounds = [bound for replica in server.replicas for bound, _ in replica.latency.buckets]
        span = (min(bounds), max(bounds)) if bounds else (1, 1)
        for at, replica in enumerate(server.replicas):
            first = at == 0
            sketch = replica.latency
            table.add_row(
                Text(server.name if first else ""),
                Text(replica.name),
                Text(f"{replica.in_flight} of {replica.concurrency}"),
                Text(f"{server.waiting} of {server.queue}" if first else ""),
                Text(spark(sketch, span), style="blue"),
                *(Text(time_words(us) if us else "") for us in (sketch.p50_us, sketch.p95_us, sketch.p99_us)),
                Text(share(server.hedges, server.calls) if first else ""),
                _breakers(replica),
            )
    return table


def _breakers(replica: Replica) -> Text:
    said = []
    for breaker in replica.breakers:
        closed = breaker.position is Position.CLOSED
        words = f"{_MARKS[breaker.position]} {breaker.model}"
        said.append(
            Text(words, style="green")
            if closed
            else Text(f"{words} {breaker.position.value}", style="bold red")
        )
    said += [Text(f"{each.model} {each.cause}", style="bold red") for each in replica.withheld]
    return Text(", ").join(said)


def spark(sketch: Latency, span: tuple[int, int]) -> str:
    """Return a sketch as a row of bars over a span of time in microseconds, with equal room for each doubling."""
    low, high = (math.log(max(bound, 1)) for bound in span)
    cells = [0] * _CELLS
    for bound, number in sketch.buckets:
        share_of_span = (math.log(max(bound, 1)) - low) / (high - low) if high > low else 0.0
        cells[min(int(share_of_span * _CELLS), _CELLS - 1)] += number
    most = max(cells)
    if not most:
        return ""
    return "".join(_BARS[math.ceil(number / most * len(_BARS)) - 1] if number else " " for number in cells)


def _process_words(readable: bool, *, silent: bool) -> str:
    return "silent, heard" if silent else "heard" if readable else "not readable, heard"


def _clock(instant: datetime, zone: tzinfo | None) -> str:
    return f"{instant.astimezone(zone):%d %b %H:%M:%S}"


# --- for programs ------------------------------------------------------------------------------------------------


def fleet_lines(watch: Watch) -> Iterator[str]:
    """Yield the fleet as lines of tab-separated values; the first says what a line is about."""
    for finding in watch.findings:
        since = "" if finding.since is None else finding.since.isoformat()
        yield _line(finding.level.value, finding.what, since, finding.remedy)
    for seat in watch.overview.seats:
        canary = "" if seat.canary is None else seat.canary.result.value
        yield _line("seat", seat.protocol, seat.member, seat.server, seat.model, seat.standing.value, canary)
    for server in watch.overview.servers:
        for replica in server.replicas:
            yield _line("replica", server.name, replica.name, *_numbers(replica))
            for each in replica.breakers:
                yield _line("breaker", server.name, replica.name, each.model, each.position.value, each.cause)
            for kept in replica.withheld:
                yield _line("withheld", server.name, replica.name, kept.model, kept.cause)
    for heard in watch.overview.processes:
        yield _line("process", heard.process, _process_words(heard.state is not None, silent=heard.silent))


def _numbers(replica: Replica) -> tuple[int, ...]:
    sketch = replica.latency
    return replica.in_flight, sketch.count, sketch.p50_us, sketch.p95_us, sketch.p99_us


def _line(*values: object) -> str:
    return "\t".join(str(value) for value in values)


def fleet_document(watch: Watch) -> str:
    """Return the fleet as one line of JSON."""
    overview = watch.overview
    document = {
        "at": overview.at,
        "findings": [asdict(finding) for finding in watch.findings],
        "seats": [asdict(seat) for seat in overview.seats],
        "servers": [asdict(server) for server in overview.servers],
        "processes": [
            {
                "process": heard.process,
                "began": heard.began,
                "at": heard.at,
                "silent": heard.silent,
                "readable": heard.state is not None,
            }
            for heard in overview.processes
        ],
    }
    return json.dumps(document, default=_plain)


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case _:
            raise TypeError(f"nothing says how {type(value).__name__} looks in JSON")
