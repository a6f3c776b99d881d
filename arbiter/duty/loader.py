"""Loads the duty file: bytes in, a frozen `Duty` out, or every problem with its file, line and column.

A rota with a gap is refused unless it says who is called in its gaps: never may a case call nobody because nobody
thought of Sunday night.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

from arbiter.duty.roster import DAY, WEEK, Contact, Duty, Group, Rota, Rung, Shift, gap_of
from arbiter.duty.schema import ContactPart, Day, DutyFile, GroupPart, LadderPart, RotaPart, ShiftPart
from arbiter.errors import InvalidDutyError, counted
from arbiter.files.faults import PROBLEMS_LIMIT, Finder, structured
from arbiter.files.reading import Path as Place
from arbiter.files.reading import read_yaml
from arbiter.files.sources import read_source
from arbiter.model import RiskClass

SIZE_LIMIT: Final = 512 * 1024


def read_duty(path: Path) -> Duty:
    """Return the duty file at `path`.

    Raises:
        ConfigurationError: when it cannot be read; InvalidDutyError: with every problem found.
    """
    return load_duty(path.name, read_source(path, "the duty file", SIZE_LIMIT))


def load_duty(name: str, source: bytes) -> Duty:
    """Return the duty file of that name made of these bytes; pure.

    Raises:
        InvalidDutyError: with every problem found, each pointer `file:line:column`.
    """
    read = read_yaml(name, source)
    file = structured(DutyFile, read)
    duty = None if file is None else _duty(file, Finder(read.positions, read.problems))
    if read.problems or duty is None:
        raise InvalidDutyError(
            f"the duty file has {counted(len(read.problems), 'problem')}",
            tuple(read.problems[:PROBLEMS_LIMIT]),
        )
    return duty


def _duty(file: DutyFile, finder: Finder) -> Duty:
    finder.unique(("groups",), "id", (group.id for group in file.groups))
    groups = {group.id: _group(group, ("groups", index), finder) for index, group in enumerate(file.groups)}
    ladders: dict[tuple[str, RiskClass], tuple[Rung, ...]] = {}
    for index, ladder in enumerate(file.ladders):
        for at, duty_group in enumerate(ladder.duty_groups):
            if (duty_group, RiskClass.ROUTINE) in ladders:
                finder.report(
                    ("ladders", index, "duty_groups", at),
                    "duplicate",
                    f"expected {duty_group!r} on one ladder, it came again",
                )
            for risk_class in RiskClass:
                ladders[duty_group, risk_class] = _rungs(
                    ladder, risk_class, ("ladders", index), groups, finder
                )
    return Duty(MappingProxyType(groups), MappingProxyType(ladders))


def _rungs(
    ladder: LadderPart, risk_class: RiskClass, place: Place, groups: dict[str, Group], finder: Finder
) -> tuple[Rung, ...]:
    parts = {
        RiskClass.ROUTINE: ladder.routine,
        RiskClass.URGENT: ladder.urgent,
        RiskClass.EMERGENCY: ladder.emergency,
    }[risk_class]
    for index, part in enumerate(parts):
        if part.group not in groups:
            finder.report(
                (*place, risk_class.value, index, "group"),
                "reference",
                f"expected a group of this file, there is no {part.group!r}",
            )
    return tuple(Rung(part.group, part.acknowledge_within) for part in parts)


def _group(part: GroupPart, place: Place, finder: Finder) -> Group:
    finder.unique((*place, "contacts"), "id", (contact.id for contact in part.contacts))
    contacts = {
        contact.id: _contact(contact, (*place, "contacts", index), finder)
        for index, contact in enumerate(part.contacts)
    }
    rota = None if part.rota is None else _rota(part.rota, (*place, "rota"), contacts, finder)
    return Group(part.id, part.title, tuple(contacts.values()), rota)


def _contact(part: ContactPart, place: Place, finder: Finder) -> Contact:
    if part.mail is not None and part.webhook is None:
        return Contact(part.id, "mail", part.mail)
    if part.webhook is None or part.mail is not None:
        finder.report(place, "value", "expected one of 'mail' and 'webhook'")
    return Contact(part.id, "webhook", part.webhook or "")


def _rota(part: RotaPart, place: Place, contacts: dict[str, Contact], finder: Finder) -> Rota:
    shifts = tuple(
        Shift(
            _named(shift.contacts, (*place, "shifts", index, "contacts"), contacts, finder),
            tuple(_spans(shift)),
        )
        for index, shift in enumerate(part.shifts)
    )
    otherwise = _named(part.gaps_go_to or [], (*place, "gaps_go_to"), contacts, finder)
    gap = gap_of(shifts)
    if gap is not None and part.gaps_go_to is None:
        day, minute = divmod(gap, DAY)
        finder.report(
            (*place, "shifts"),
            "gap",
            f"expected somebody on duty at all times or 'gaps_go_to'; nobody is from {list(Day)[day]} "
            f"{minute // 60:02}:{minute % 60:02}",
        )
    return Rota(part.zone, shifts, otherwise)


def _named(ids: list[str], place: Place, contacts: dict[str, Contact], finder: Finder) -> tuple[Contact, ...]:
    for index, name in enumerate(ids):
        if name not in contacts:
            finder.report(
                (*place, index), "reference", f"expected a contact of this group, there is no {name!r}"
            )
    return tuple(contacts[name] for name in ids if name in contacts)


def _spans(part: ShiftPart) -> Iterator[tuple[int, int]]:
    length = part.ends - part.begins if part.ends > part.begins else part.ends - part.begins + DAY
    for day in part.days:
        begin = list(Day).index(day) * DAY + part.begins
        yield begin, min(begin + length, WEEK)
        if begin + length > WEEK:
            yield 0, begin + length - WEEK
