"""Answers who is called on which rung, how long each rung has, and who is on duty in a group at an instant.

Rotas are read by the clock on the wall of their zone. Every instant has exactly one time on that wall, also in the hour
that comes twice in autumn and around the one that is missing in spring; so a rota without a gap over the week's wall
time has none over any real week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from arbiter.model import RiskClass

DAY = 24 * 60
WEEK = 7 * DAY
"""In minutes of wall time; a week begins on Monday at midnight."""

Channel: TypeAlias = Literal["mail", "webhook"]


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to call: by mail to an address, or by webhook to the registered endpoint of that id."""

    id: str
    channel: Channel
    address: str


@dataclass(frozen=True, slots=True)
class Shift:
    """Who is on duty each week over these spans of the week's minutes, [begin, end) with end at most `WEEK`."""

    contacts: tuple[Contact, ...]
    spans: tuple[tuple[int, int], ...]

    def covers(self, minute: int) -> bool:
        """Return whether that minute of the week is of this shift."""
        return any(begin <= minute < end for begin, end in self.spans)


@dataclass(frozen=True, slots=True)
class Rota:
    """A week's shifts by the wall clock of `zone`; `otherwise` are called in its gaps, and empty where it has none."""

    zone: ZoneInfo
    shifts: tuple[Shift, ...]
    otherwise: tuple[Contact, ...]

    def turns(self) -> frozenset[int]:
        """Return the minutes of the week at which a shift begins or ends."""
        return frozenset(edge % WEEK for shift in self.shifts for span in shift.spans for edge in span)


@dataclass(frozen=True, slots=True)
class Spell:
    """Who is on duty, until when, and who comes then; `until` is None where that never changes."""

    contacts: tuple[Contact, ...]
    until: datetime | None = None
    following: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """People who can be called together; without a rota all of them always are."""

    id: str
    title: str
    contacts: tuple[Contact, ...]
    rota: Rota | None

    def on_duty(self, now: datetime) -> tuple[Contact, ...]:
        """Return who is called at that instant: never nobody, for a rota with a gap is refused at load."""
        if self.rota is None:
            return self.contacts
        return self._on(self.rota, minute_of_week(now.astimezone(self.rota.zone)))

    def spell(self, now: datetime) -> Spell:
        """Return who is on duty at that instant, and when whom it is the turn of next; by the wall clock, also across its changes."""
        if self.rota is None:
            return Spell(self.contacts)
        wall = now.astimezone(self.rota.zone)
        minute = minute_of_week(wall)
        on = self._on(self.rota, minute)
        for ahead in sorted({(turn - minute - 1) % WEEK + 1 for turn in self.rota.turns()}):
            following = self._on(self.rota, (minute + ahead) % WEEK)
            if frozenset(following) != frozenset(on):
                begins = wall.replace(second=0, microsecond=0, tzinfo=None) + timedelta(minutes=ahead)
                return Spell(on, begins.replace(tzinfo=self.rota.zone), following)
        return Spell(on)

    @staticmethod
    def _on(rota: Rota, minute: int) -> tuple[Contact, ...]:
        on = [contact for shift in rota.shifts if shift.covers(minute) for contact in shift.contacts]
        return tuple(dict.fromkeys(on)) or rota.otherwise


@dataclass(frozen=True, slots=True)
class Rung:
    """A group, and how long it has to acknowledge before the next one is called."""

    group: str
    acknowledge_within: timedelta


@dataclass(frozen=True, slots=True)
class Duty:
    """The duty file: groups by id, and the ladder of each duty group that a protocol names, by risk class."""

    groups: Mapping[str, Group]
    ladders: Mapping[tuple[str, RiskClass], tuple[Rung, ...]]

    def knows(self, duty_group: str) -> bool:
        """Return whether escalations to this duty group have a ladder."""
        return all((duty_group, risk_class) in self.ladders for risk_class in RiskClass)

    def waits(self, duty_group: str, risk_class: RiskClass) -> tuple[timedelta, ...]:
        """Return how long each rung has; raise KeyError for a duty group without a ladder."""
        return tuple(rung.acknowledge_within for rung in self.ladders[duty_group, risk_class])

    def called(self, duty_group: str, risk_class: RiskClass, rung: int) -> Group | None:
        """Return the group on that rung, or None without a ladder.

        A case keeps the ladder it came in with: where the file has fewer rungs by now, the last one answers.
        """
        ladder = self.ladders.get((duty_group, risk_class))
        return None if ladder is None else self.groups[ladder[min(rung, len(ladder) - 1)].group]


def minute_of_week(wall: datetime) -> int:
    """Return the minute of the week that a wall clock shows."""
    return wall.weekday() * DAY + wall.hour * 60 + wall.minute


def gap_of(shifts: tuple[Shift, ...]) -> int | None:
    """Return the first minute of the week in which nobody is on duty, or None."""
    reached = 0
    for begin, end in sorted(span for shift in shifts for span in shift.spans):
        if begin > reached:
            break
        reached = max(reached, end)
    return None if reached >= WEEK else reached


def overlap_of(shifts: tuple[Shift, ...]) -> int | None:
    """Return the first minute of the week in which two shifts are on at once, or None: all of both are then called."""
    reached = 0
    for begin, end in sorted(span for shift in shifts for span in shift.spans):
        if begin < reached:
            return begin
        reached = max(reached, end)
    return None


def minute_words(minute: int) -> str:
    """Return a minute of the week as its day and clock time, such as `sun 08:00`."""
    day, of_day = divmod(minute, DAY)
    return f"{('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')[day]} {of_day // 60:02}:{of_day % 60:02}"
