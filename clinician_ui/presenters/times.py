"""Instants, lengths of time, deadlines and tags as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from arbiter.model import RiskClass

NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Here:
    """Where and when a page is read: the instant, the names of sites by id, and the zone of its clock times.

    `zone` None is the zone this machine is set to.
    """

    now: datetime
    sites: Mapping[str, str]
    zone: tzinfo | None = None

    @property
    def zone_name(self) -> str:
        """The abbreviation of the zone that times are shown in, such as GMT."""
        return self.now.astimezone(self.zone).tzname() or "local time"

    def site(self, site: str) -> str:
        """Return what people call a site; its id when it has no name here."""
        return self.sites.get(site, site)


# --- time --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as people read it: a clock time, with the day when it is not today, and its ISO 8601 form."""

    text: str
    iso: str


def moment(instant: datetime, here: Here) -> Moment:
    """Return an instant as a clock time here, with the day where it is not today."""
    local, today = instant.astimezone(here.zone), here.now.astimezone(here.zone)
    clock = f"{local:%H:%M}"
    if local.date() != today.date():
        year = f" {local.year}" if local.year != today.year else ""
        clock = f"{local.day} {local:%B}{year}, {clock}"
    return Moment(clock, instant.isoformat(timespec="seconds"))


def duration_words(duration: timedelta) -> str:
    """Return a length of time in whole minutes, hours and minutes, or days and hours; its sign is ignored."""
    minutes = int(abs(duration).total_seconds()) // 60
    hours, days = minutes // 60, minutes // (24 * 60)
    if minutes < 1:
        return "less than a minute"
    if hours < 1:
        return _count(minutes, "minute")
    if days < 1:
        return _joined(_count(hours, "hour"), minutes % 60, "minute")
    return _joined(_count(days, "day"), hours % 24, "hour")


def _joined(first: str, number: int, unit: str) -> str:
    return f"{first} {_count(number, unit)}" if number else first


def _count(number: int, unit: str) -> str:
    return f"{number}{NO_BREAK}{unit}{'' if number == 1 else 's'}"


def due_words(due_at: datetime | None, now: datetime) -> str:
    """Return how far off a deadline is, such as `due in 12 minutes` or `overdue by 1 hour`."""
    if due_at is None:
        return "no deadline"
    left = due_at - now
    return f"due in {duration_words(left)}" if left > timedelta() else f"overdue by {duration_words(left)}"


# --- tags --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of the design system: its words and one of its colours."""

    text: str
    colour: str


RISK_TAGS = {
    RiskClass.ROUTINE: Tag("Routine", "grey"),
    RiskClass.URGENT: Tag("Urgent", "orange"),
    RiskClass.EMERGENCY: Tag("Emergency", "red"),
}
OVERDUE = Tag("Overdue", "red")


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline: in words, as a clock time if there is one, and whether it has passed."""

    words: str
    at: Moment | None
    overdue: bool


def due(due_at: datetime | None, *, overdue: bool, here: Here) -> Due:
    """Return a deadline; it counts as passed when the case is marked so or the clock says so."""
    passed = overdue or (due_at is not None and due_at <= here.now)
    return Due(due_words(due_at, here.now), None if due_at is None else moment(due_at, here), passed)
