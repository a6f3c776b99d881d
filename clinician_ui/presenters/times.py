"""Instants, lengths of time, deadlines and tags as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from arbiter.model import RiskClass
from clinician_ui.texts import _, ngettext, noted

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
        return self.now.astimezone(self.zone).tzname() or _("local time")

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
        day = day_words(local) if local.year == today.year else day_and_year(local)
        clock = _("{day}, {clock}").format(day=day, clock=clock)
    return Moment(clock, instant.isoformat(timespec="seconds"))


_MONTHS = (
    noted("January"),
    noted("February"),
    noted("March"),
    noted("April"),
    noted("May"),
    noted("June"),
    noted("July"),
    noted("August"),
    noted("September"),
    noted("October"),
    noted("November"),
    noted("December"),
)


def day_words(local: datetime) -> str:
    """Return the day of a local time, such as 1 March."""
    return _("{day} {month}").format(day=local.day, month=_(_MONTHS[local.month - 1]))


_SHORT_MONTHS = (
    noted("Jan"),
    noted("Feb"),
    noted("Mar"),
    noted("Apr"),
    noted("May"),
    noted("Jun"),
    noted("Jul"),
    noted("Aug"),
    noted("Sep"),
    noted("Oct"),
    noted("Nov"),
    noted("Dec"),
)


def short_day(local: datetime) -> str:
    """Return the day of a local time where room is short, such as 1 Mar."""
    return _("{day} {month}").format(day=local.day, month=_(_SHORT_MONTHS[local.month - 1]))


def day_and_year(local: datetime) -> str:
    """Return the day of a local time with its year, such as 1 March 2026."""
    return _("{day} {month} {year}").format(day=local.day, month=_(_MONTHS[local.month - 1]), year=local.year)


def duration_words(duration: timedelta) -> str:
    """Return a length of time in whole minutes, hours and minutes, or days and hours; its sign is ignored."""
    minutes = int(abs(duration).total_seconds()) // 60
    hours, days = minutes // 60, minutes // (24 * 60)
    if minutes < 1:
        return _("less than a minute")
    if hours < 1:
        return _minutes(minutes)
    if days < 1:
        return _joined(_hours(hours), _minutes(minutes % 60) if minutes % 60 else "")
    return _joined(_days(days), _hours(hours % 24) if hours % 24 else "")


def within_words(duration: timedelta) -> str:
    """Return a length of time that nothing shorter than this one is beyond: `duration_words`, rounded up."""
    step = timedelta(minutes=1) if duration < timedelta(days=1) else timedelta(hours=1)
    return duration_words(max(step, -(-duration // step) * step))


def _joined(first: str, second: str) -> str:
    return _("{longer} {shorter}").format(longer=first, shorter=second) if second else first


def _minutes(number: int) -> str:
    return ngettext("{number}\N{NO-BREAK SPACE}minute", "{number}\N{NO-BREAK SPACE}minutes", number).format(
        number=number
    )


def _hours(number: int) -> str:
    return ngettext("{number}\N{NO-BREAK SPACE}hour", "{number}\N{NO-BREAK SPACE}hours", number).format(
        number=number
    )


def _days(number: int) -> str:
    return ngettext("{number}\N{NO-BREAK SPACE}day", "{number}\N{NO-BREAK SPACE}days", number).format(
        number=number
    )


def due_words(due_at: datetime | None, now: datetime) -> str:
    """Return how far off a deadline is, such as `due in 12 minutes` or `overdue by 1 hour`."""
    if due_at is None:
        return _("no deadline")
    left = due_at - now
    length = duration_words(left)
    return (_("due in {length}") if left > timedelta() else _("overdue by {length}")).format(length=length)


# --- tags --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of the design system: its words as the catalogue knows them, said where it is shown, and one of its colours."""

    text: str
    colour: str


RISK_TAGS = {
    RiskClass.ROUTINE: Tag(noted("Routine"), "grey"),
    RiskClass.URGENT: Tag(noted("Urgent"), "orange"),
    RiskClass.EMERGENCY: Tag(noted("Emergency"), "red"),
}
OVERDUE = Tag(noted("Overdue"), "red")


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
