"""The fleet turned into what its page says: words first, and the plots beside them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from arbiter.fleet.finding import Finding, Level
from arbiter.fleet.overview import Heard, Overview
from arbiter.fleet.seats import CanaryResult, SeatCanary, SeatLine, Standing
from arbiter.fleet.state import Position
from arbiter.workflow.fleet_watch import Watch
from clinician_ui.presenters.fleet_servers import ServerSection, server_section
from clinician_ui.presenters.times import Here, Moment, Tag, duration_words, moment

_LEVELS: Final = {
    Level.ALARM: Tag("Alarm", "red"),
    Level.WARNING: Tag("Warning", "orange"),
    Level.NOTE: Tag("Note", "grey"),
}
_STANDINGS: Final = {
    Standing.ANSWERS: Tag("Answers", "green"),
    Standing.STRAINED: Tag("Fewer replicas", "yellow"),
    Standing.PARTLY: Tag("Cut off in part", "orange"),
    Standing.SILENT: Tag("Does not answer", "red"),
    Standing.UNASKED: Tag("Not asked yet", "grey"),
    Standing.UNKNOWN: Tag("Not known", "red"),
}
_CANARIES: Final = {
    CanaryResult.BASELINE: Tag("Baseline taken", "blue"),
    CanaryResult.STEADY: Tag("Steady", "green"),
    CanaryResult.MOVED: Tag("Moved", "red"),
    CanaryResult.NOT_ASKED: Tag("Not asked", "orange"),
}


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One thing that is wrong."""

    level: str
    tag: Tag
    what: str
    since: Moment | None
    remedy: str


@dataclass(frozen=True, slots=True)
class CanaryWords:
    """The last canary of a seat."""

    tag: Tag
    at: Moment


@dataclass(frozen=True, slots=True)
class SeatRow:
    """A seat and what sits in it."""

    title: str
    role: str
    model: str
    adapter: str
    server: str
    duties: str
    tag: Tag
    replicas: str
    canary: CanaryWords | None


@dataclass(frozen=True, slots=True)
class Panel:
    """The seats of one protocol that models sit in."""

    protocol: str
    title: str
    seats: tuple[SeatRow, ...]


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process that tells of the fleet."""

    name: str
    tag: Tag
    heard: str
    began: Moment


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The whole page. `tone` is the worst level of its findings, `calm` without any."""

    headline: str
    tone: str
    seats: int
    answering: int
    replicas: int
    open_breakers: int
    withheld: int
    in_flight: int
    waiting: int
    findings: tuple[FindingRow, ...]
    panels: tuple[Panel, ...]
    servers: tuple[ServerSection, ...]
    processes: tuple[ProcessRow, ...]
    at: Moment
    zone: str

    @property
    def empty(self) -> bool:
        """Whether there is no fleet."""
        return not (self.seats or self.servers or self.processes)


def fleet_page(watch: Watch, here: Here) -> FleetPage:
    """Return the page of a fleet."""
    overview = watch.overview
    return FleetPage(
        headline=f"{headline(overview)}{_wanting(len(watch.findings))}",
        tone=watch.findings[0].level.value if watch.findings else "calm",
        seats=len(overview.seats),
        answering=sum(seat.standing in _ASKABLE for seat in overview.seats),
        replicas=sum(len(server.replicas) for server in overview.servers),
        open_breakers=sum(
            breaker.position is not Position.CLOSED
            for server in overview.servers
            for replica in server.replicas
            for breaker in replica.breakers
        ),
        withheld=sum(len(replica.withheld) for server in overview.servers for replica in server.replicas),
        in_flight=sum(server.in_flight for server in overview.servers),
        waiting=sum(server.waiting for server in overview.servers),
        findings=tuple(_finding_row(finding, here) for finding in watch.findings),
        panels=_panels(overview.seats, here),
        servers=tuple(server_section(server, here) for server in overview.servers),
        processes=tuple(_process_row(heard, here) for heard in overview.processes),
        at=_shown_at(overview.at, here),
        zone=here.zone_name,
    )


def _shown_at(instant: datetime, here: Here) -> Moment:
    """Return it with its day and second: a page that was left open must not be taken for one of now."""
    local = instant.astimezone(here.zone)
    return Moment(f"{local.day} {local:%B}, {local:%H:%M:%S}", instant.isoformat(timespec="seconds"))


_ASKABLE: Final = frozenset({Standing.ANSWERS, Standing.STRAINED, Standing.UNASKED})


def headline(overview: Overview) -> str:
    """Return in one sentence how the seats stand."""
    seats = overview.seats
    silent = sum(seat.standing is Standing.SILENT for seat in seats)
    partly = sum(seat.standing is Standing.PARTLY for seat in seats)
    if not seats:
        return "No model sits on a panel of the protocols in force"
    if all(seat.standing is Standing.UNKNOWN for seat in seats):
        return "How the seats stand is not known"
    if silent:
        return f"{_seats(silent)} of {len(seats)} {_do(silent)} not answer"
    if partly:
        return f"{_seats(partly)} of {len(seats)} {_do(partly)} not answer every process"
    unknown = sum(seat.standing is Standing.UNKNOWN for seat in seats)
    if unknown:
        return f"How {_seats(unknown)} of {len(seats)} {'stands' if unknown == 1 else 'stand'} is not known"
    return "Every seat can be asked"


def _wanting(number: int) -> str:
    if not number:
        return ""
    return "; one thing wants a look" if number == 1 else f"; {number} things want a look"


def _seats(number: int) -> str:
    return "1 seat" if number == 1 else f"{number} seats"


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def _finding_row(finding: Finding, here: Here) -> FindingRow:
    return FindingRow(
        level=finding.level.value,
        tag=_LEVELS[finding.level],
        what=finding.what,
        since=None if finding.since is None else moment(finding.since, here),
        remedy=finding.remedy,
    )


# --- seats -------------------------------------------------------------------------------------------------------


def _panels(seats: Sequence[SeatLine], here: Here) -> tuple[Panel, ...]:
    return tuple(
        Panel(protocol, title, tuple(_seat_row(seat, here) for seat in group))
        for (protocol, title), group in groupby(seats, key=lambda seat: (seat.protocol, seat.protocol_title))
    )


def _seat_row(seat: SeatLine, here: Here) -> SeatRow:
    return SeatRow(
        title=seat.title,
        role=seat.role or "",
        model=seat.model,
        adapter="" if seat.adapter in {None, seat.model} else f"adapter {seat.adapter}",
        server=seat.server,
        duties=_duties(seat),
        tag=_STANDINGS[seat.standing],
        replicas=f"{seat.answering} of {seat.replicas}" if seat.replicas else "",
        canary=None if seat.canary is None else _canary_words(seat.canary, here),
    )


def _duties(seat: SeatLine) -> str:
    words = ["required"] if seat.required else []
    if seat.veto:
        words.append(f"may veto {', '.join(seat.veto)}")
    return ", ".join(words)


def _canary_words(canary: SeatCanary, here: Here) -> CanaryWords:
    return CanaryWords(_CANARIES[canary.result], moment(canary.at, here))


# --- processes ---------------------------------------------------------------------------------------------------


def _process_row(heard: Heard, here: Here) -> ProcessRow:
    if heard.silent:
        tag = Tag("Silent", "red")
    elif heard.state is None:
        tag = Tag("Cannot be read", "orange")
    else:
        tag = Tag("Heard", "green")
    return ProcessRow(
        name=heard.process,
        tag=tag,
        heard=_ago(heard.age),
        began=moment(heard.began, here),
    )


def _ago(age: timedelta) -> str:
    if age < timedelta(minutes=1):
        return f"{int(age.total_seconds())}\u00a0s ago"
    return f"{duration_words(age)} ago"
