"""How an escalation calls people in this installation: by the duty file's ladder, or by the work list alone without one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from arbiter.channels.mail import read_credentials
from arbiter.duty.roster import Duty
from arbiter.errors import ConfigurationError, counted
from arbiter.model import RiskClass
from arbiter.question import Protocol
from arbiter.settings import Mode
from arbiter.store.endpoints import EndpointRow
from arbiter.workflow.house import House

log = logging.getLogger(__name__)


def waits_of(house: House, protocol: Protocol, risk_class: RiskClass) -> tuple[timedelta, ...]:
    """Return how long each rung has to acknowledge an escalation of a case taken in now.

    Without a duty file there is one rung: the reviewers at their work list, with half the review time.
    """
    if house.duty is None:
        return (protocol.timers(risk_class).review / 2,)
    return house.duty.waits(protocol.duty_group, risk_class)


def check_calling(house: House) -> None:
    """Refuse a duty file by which an escalation would call nobody, for every command.

    Raises:
        ConfigurationError: when a protocol's duty group has no ladder, or the mail server's credentials cannot be read.
    """
    settings = house.settings
    if settings.mail_credentials is not None:
        read_credentials(settings.mail_credentials)
    if house.duty is None:
        return
    unknown = without_ladder(house.duty, (shelved.protocol for shelved in house.shelf.current.values()))
    if unknown:
        raise ConfigurationError(f"ARBITER_DUTY has no ladder for duty group {', '.join(unknown)}")


def check_mailing(house: House) -> None:
    """Refuse to call people by mail without a server: asked by the processes that escalate, not by every command.

    A command that calls nobody must work before the mail server is set: `arbiter webhooks add` makes the endpoint that
    is to stand in the duty file in mail's place.

    Raises:
        ConfigurationError: when somebody is called by mail and no server is set.
    """
    by_mail = () if house.duty is None else called_by_mail(house.duty)
    if by_mail and house.settings.mail_server is None:
        raise ConfigurationError(f"ARBITER_MAIL_SERVER is not set, and mail is to call {', '.join(by_mail)}")


def warn_of_calling(house: House) -> None:
    """Warn where the work list alone calls: said by the processes that escalate, not by every command."""
    if house.duty is None and house.settings.mode is Mode.PRODUCTION:
        log.warning("ARBITER_DUTY is not set: escalations stand on the work list and call nobody")


def without_ladder(duty: Duty, protocols: Iterable[Protocol]) -> tuple[str, ...]:
    """Return the duty groups, each with its protocol, whose escalations would call nobody."""
    return tuple(
        sorted(
            f"{protocol.duty_group} (protocol {protocol.id})"
            for protocol in protocols
            if not duty.knows(protocol.duty_group)
        )
    )


def called_by_mail(duty: Duty) -> tuple[str, ...]:
    """Return the groups with somebody whom mail is to call."""
    return tuple(
        sorted(
            group.id
            for group in duty.groups.values()
            if any(contact.channel == "mail" for contact in group.contacts)
        )
    )


def describe_calling(house: House, endpoints: tuple[EndpointRow, ...]) -> str:
    """Return in words how an escalation calls people here, given the enabled endpoints."""
    if house.duty is None:
        return "no duty file: escalations stand on the work list and call nobody"
    enabled = {(endpoint.duty_group, endpoint.id) for endpoint in endpoints}
    unreachable = sum(
        contact.channel == "webhook" and (group.id, contact.address) not in enabled
        for group in house.duty.groups.values()
        for contact in group.contacts
    )
    told = f"{counted(len(house.duty.groups), 'group')} can be called"
    names = "names" if unreachable == 1 else "name"
    return f"{told}; {unreachable} of their contacts {names} no enabled endpoint" if unreachable else told
