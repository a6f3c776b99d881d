"""Who is on duty, and who is called how after how long, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.workflow.shift.rota import GroupDuty, LadderDuty, Person, Rota
from clinician_ui.presenters.times import RISK_TAGS, Here, Moment, Tag, duration_words, moment
from clinician_ui.texts import _, noted

_CHANNELS = {"mail": noted("by mail"), "webhook": noted("by the paging system")}


@dataclass(frozen=True, slots=True)
class GroupCard:
    """A group: who is on duty; until when, and who comes then, are None and empty where that never changes."""

    title: str
    on: tuple[str, ...]
    until: Moment | None
    following: tuple[str, ...]
    always: bool


@dataclass(frozen=True, slots=True)
class LadderLine:
    """Whom an escalation calls, rung after rung."""

    protocol: str
    risk: Tag
    rungs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RotaPage:
    """The rota; `calls` is false where the work list alone calls."""

    groups: tuple[GroupCard, ...]
    ladders: tuple[LadderLine, ...]
    calls: bool
    at: Moment
    zone: str


def rota_page(rota: Rota, here: Here) -> RotaPage:
    """Return who is on duty and who is called."""
    return RotaPage(
        groups=tuple(_group(each, here) for each in rota.groups),
        ladders=tuple(_ladder(each) for each in rota.ladders),
        calls=bool(rota.groups),
        at=moment(here.now, here),
        zone=here.zone_name,
    )


def _group(group: GroupDuty, here: Here) -> GroupCard:
    return GroupCard(
        title=group.title,
        on=_people(group.on),
        until=None if group.until is None else moment(group.until, here),
        following=_people(group.following),
        always=not group.has_rota,
    )


def _people(people: Iterable[Person]) -> tuple[str, ...]:
    return tuple(f"{each.name}, {_(_CHANNELS[each.channel])}" for each in people)


def _ladder(ladder: LadderDuty) -> LadderLine:
    rungs = []
    for number, rung in enumerate(ladder.rungs, start=1):
        words = _("{number}. {group}, has {length} to answer")
        rungs.append(words.format(number=number, group=rung.group, length=duration_words(rung.within)))
    return LadderLine(ladder.protocol, RISK_TAGS[ladder.risk_class], tuple(rungs))
