"""Who is on duty now, who comes next, and who is called how after how long: from the duty file, without anybody's address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from arbiter.duty.roster import Channel, Contact, Group
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import RiskClass
from arbiter.workflow.house import House


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to call, by the name that the duty file gives them, and how; never at which address."""

    name: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class GroupDuty:
    """A group: who is on duty, until when (None: always the same), and who comes then."""

    id: str
    title: str
    has_rota: bool
    on: tuple[Person, ...]
    until: datetime | None
    following: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class RungDuty:
    """A rung of a ladder: the group that is called, and how long it has to acknowledge."""

    group: str
    within: timedelta


@dataclass(frozen=True, slots=True)
class LadderDuty:
    """Whom an escalation of this protocol calls, one rung after another, where its case is of this risk class."""

    protocol: str
    risk_class: RiskClass
    rungs: tuple[RungDuty, ...]


@dataclass(frozen=True, slots=True)
class Rota:
    """All of it; both are empty where no duty file is set, and the work list alone calls."""

    groups: tuple[GroupDuty, ...]
    ladders: tuple[LadderDuty, ...]


def rota(house: House, principal: Principal) -> Rota:
    """Return who is on duty now in each group, and the ladders of the protocols in force."""
    principal.require(Permission.ESCALATIONS_ACKNOWLEDGE)
    duty, now = house.duty, house.clock.now()
    if duty is None:
        return Rota((), ())
    protocols = sorted(
        (shelved.protocol for shelved in house.shelf.current.values()), key=lambda each: each.title
    )
    ladders = tuple(
        LadderDuty(
            protocol.title,
            risk_class,
            tuple(
                RungDuty(duty.groups[rung.group].title, rung.acknowledge_within)
                for rung in duty.ladders[protocol.duty_group, risk_class]
            ),
        )
        for protocol in protocols
        for risk_class in (RiskClass.EMERGENCY, RiskClass.URGENT, RiskClass.ROUTINE)
        if (protocol.duty_group, risk_class) in duty.ladders
    )
    return Rota(tuple(_group(group, now) for group in duty.groups.values()), ladders)


def _group(group: Group, now: datetime) -> GroupDuty:
    spell = group.spell(now)
    return GroupDuty(
        id=group.id,
        title=group.title,
        has_rota=group.rota is not None,
        on=_people(spell.contacts),
        until=spell.until,
        following=_people(spell.following),
    )


def _people(contacts: Iterable[Contact]) -> tuple[Person, ...]:
    return tuple(Person(contact.id, contact.channel) for contact in contacts)
