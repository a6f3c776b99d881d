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
from clinician_ui.presenters.times import Here, Moment, Tag, day_words, duration_words, moment
from clinician_ui.texts import _, ngettext, noted

_LEVELS: Final = {
    Level.ALARM: Tag(noted("Alarm"), "red"),
    Level.WARNING: Tag(noted("Warning"), "orange"),
    Level.NOTE: Tag(noted("Note"), "grey"),
}
_STANDINGS: Final = {
    Standing.ANSWERS: Tag(noted("Answers"), "green"),
    Standing.STRAINED: Tag(noted("Fewer replicas"), "yellow"),
    Standing.PARTLY: Tag(noted("Cut off in part"), "orange"),
    Standing.SILENT: Tag(noted("Does not answer"), "red"),
    Standing.UNASKED: Tag(noted("Not asked yet"), "grey"),
    Standing.UNKNOWN: Tag(noted("Not known"), "red"),
}
_CANARIES: Final = {
    CanaryResult.BASELINE: Tag(noted("Baseline taken"), "blue"),
    CanaryResult.STEADY: Tag(noted("Steady"), "green"),
    CanaryResult.MOVED: Tag(noted("Moved"), "red"),
    CanaryResult.NOT_ASKED: Tag(noted("Not asked"), "orange"),
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
        headline=_with_wanting(headline(overview), len(watch.findings)),
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
    text = _("{day}, {clock}").format(day=day_words(local), clock=f"{local:%H:%M:%S}")
    return Moment(text, instant.isoformat(timespec="seconds"))


_ASKABLE: Final = frozenset({Standing.ANSWERS, Standing.STRAINED, Standing.UNASKED})


def headline(overview: Overview) -> str:
    """Return in one sentence how the seats stand."""
    seats = overview.seats
    silent = sum(seat.standing is Standing.SILENT for seat in seats)
    partly = sum(seat.standing is Standing.PARTLY for seat in seats)
    if not seats:
        return _("No model sits on a panel of the protocols in force")
    if all(seat.standing is Standing.UNKNOWN for seat in seats):
        return _("How the seats stand is not known")
    if silent:
        words = ngettext(
            "{number} seat of {whole} does not answer", "{number} seats of {whole} do not answer", silent
        )
        return words.format(number=silent, whole=len(seats))
    if partly:
        words = ngettext(
            "{number} seat of {whole} does not answer every process",
            "{number} seats of {whole} do not answer every process",
            partly,
        )
        return words.format(number=partly, whole=len(seats))
    unknown = sum(seat.standing is Standing.UNKNOWN for seat in seats)
    if unknown:
        words = ngettext(
            "How {number} seat of {whole} stands is not known",
            "How {number} seats of {whole} stand is not known",
            unknown,
        )
        return words.format(number=unknown, whole=len(seats))
    return _("Every seat can be asked")


def _with_wanting(stands: str, number: int) -> str:
    if not number:
        return stands
    words = ngettext("{stands}; one thing wants a look", "{stands}; {number} things want a look", number)
    return words.format(stands=stands, number=number)


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
        adapter="" if seat.adapter in {None, seat.model} else _("adapter {name}").format(name=seat.adapter),
        server=seat.server,
        duties=_duties(seat),
        tag=_STANDINGS[seat.standing],
        replicas=_("{part} of {whole}").format(part=seat.answering, whole=seat.replicas)
        if seat.replicas
        else "",
        canary=None if seat.canary is None else _canary_words(seat.canary, here),
    )


def _duties(seat: SeatLine) -> str:
    words = [_("required")] if seat.required else []
    if seat.veto:
        words.append(_("may veto {options}").format(options=", ".join(seat.veto)))
    return ", ".join(words)


def _canary_words(canary: SeatCanary, here: Here) -> CanaryWords:
    return CanaryWords(_CANARIES[canary.result], moment(canary.at, here))


# --- processes ---------------------------------------------------------------------------------------------------


def _process_row(heard: Heard, here: Here) -> ProcessRow:
    if heard.silent:
        tag = Tag(noted("Silent"), "red")
    elif heard.state is None:
        tag = Tag(noted("Cannot be read"), "orange")
    else:
        tag = Tag(noted("Heard"), "green")
    return ProcessRow(
        name=heard.process,
        tag=tag,
        heard=_ago(heard.age),
        began=moment(heard.began, here),
    )


def _ago(age: timedelta) -> str:
    if age < timedelta(minutes=1):
        return _("{seconds}\N{NO-BREAK SPACE}s ago").format(seconds=int(age.total_seconds()))
    return _("{length} ago").format(length=duration_words(age))
