"""Who is told: each message becomes one delivery for each endpoint or mail address it goes to.

A requester's message goes to the enabled endpoints of the client that handed the case in; whatever changes a decision
goes as well to every client that got the decision. A call to people on duty goes to those on duty on that rung at the
moment of addressing. If none of them can be reached, every other contact of the group is called; if nobody can, that
is told in the log and the ladder climbs by the clock as it would have.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from arbiter.duty.roster import Contact, Duty
from arbiter.lifecycle.entries import EntryType
from arbiter.model import RiskClass
from arbiter.store.endpoints import EndpointRow, list_endpoints
from arbiter.store.outbox import (
    MessageRow,
    hold_addressing,
    load_decision_recipients,
    load_unaddressed,
    save_addressed,
)
from arbiter.workflow.house import House

log = logging.getLogger(__name__)

BATCH = 500

REACH_RECIPIENTS = frozenset(
    {
        EntryType.RELEASED.value,
        EntryType.CONTESTED.value,
        EntryType.WITHDRAWN.value,
        EntryType.CORRECTED.value,
        EntryType.RETRACTED.value,
        EntryType.SUPERSEDED.value,
    }
)
"""What is told to whoever got a case's decision, and not to its requester alone: that it changed, or no longer stands."""

Recipient = tuple[str, str]
"""A channel and an address on it: an endpoint's id, or a mail address."""


@dataclass(frozen=True, slots=True)
class AddressBook:
    """Everything an address is found in: enabled endpoints, who got which decision, who is on duty."""

    endpoints: tuple[EndpointRow, ...]
    decision_recipients: Mapping[str, frozenset[str]]
    duty: Duty | None
    mails: bool

    def of_clients(self, clients: Iterable[str]) -> tuple[Recipient, ...]:
        """Return the endpoints of these clients."""
        wanted = set(clients)
        return tuple(("webhook", endpoint.id) for endpoint in self.endpoints if endpoint.client in wanted)

    def reachable(self, group: str, contacts: Iterable[Contact]) -> tuple[Recipient, ...]:
        """Return those of a group's contacts that can be reached at all, each once."""
        hooks = {endpoint.id for endpoint in self.endpoints if endpoint.duty_group == group}
        found = (
            (contact.channel, contact.address)
            for contact in contacts
            if (self.mails if contact.channel == "mail" else contact.address in hooks)
        )
        return tuple(dict.fromkeys(found))


async def address_messages(house: House, left_out: frozenset[str] = frozenset()) -> frozenset[str]:
    """Address what has not been addressed, oldest first; return the cases whose messages could not be.

    One process at a time does this, so that no later message of a case is addressed before an earlier one.
    """
    now = house.clock.now()
    failed: set[str] = set()
    while True:
        async with house.store.begin() as transaction:
            if not await hold_addressing(transaction):
                return frozenset(failed)
            messages = await load_unaddressed(transaction, left_out | failed, BATCH)
            if not messages:
                return frozenset(failed)
            corrected = {message.case for message in messages if message.topic in REACH_RECIPIENTS}
            book = AddressBook(
                endpoints=await list_endpoints(transaction, enabled=True),
                decision_recipients=await load_decision_recipients(transaction, corrected),
                duty=house.duty,
                mails=house.settings.mail_server is not None,
            )
            done, deliveries = [], []
            for message in messages:
                if message.case in failed:
                    continue
                try:
                    recipients = await _recipients(house, book, message, now)
                except Exception:
                    # One damaged case must not keep others' messages; it stays unaddressed and is tried again.
                    log.exception("message %d of case %s could not be addressed", message.id, message.case)
                    failed.add(message.case)
                    continue
                done.append(message.id)
                deliveries += [(message.id, message.case, *recipient) for recipient in recipients]
            await save_addressed(transaction, done, deliveries, now)
        if len(messages) < BATCH:
            return frozenset(failed)


async def _recipients(
    house: House, book: AddressBook, message: MessageRow, now: datetime
) -> tuple[Recipient, ...]:
    if message.audience == "requester":
        clients = {message.client}
        if message.topic in REACH_RECIPIENTS:
            clients |= book.decision_recipients.get(message.case, frozenset())
        return book.of_clients(clients)
    shelved = await house.shelf.fetch(house.store, message.protocol_hash)
    return on_call(book, message, shelved.protocol.duty_group, now)


def on_call(book: AddressBook, message: MessageRow, duty_group: str, now: datetime) -> tuple[Recipient, ...]:
    """Return whom a call goes to now; nobody without a duty file, where the work list alone calls."""
    if book.duty is None:
        return ()
    group = book.duty.called(duty_group, RiskClass(message.risk_class), message.rung or 0)
    if group is None:
        log.error("case %s calls duty group %s, which the duty file does not know", message.case, duty_group)
        return ()
    found = book.reachable(group.id, group.on_duty(now))
    if found:
        return found
    found = book.reachable(group.id, group.contacts)
    log.error(
        "case %s: nobody on duty in group %s can be reached; %d other contacts are called",
        message.case, group.id, len(found),
    )  # fmt: skip
    return found
