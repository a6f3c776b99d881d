"""Messages as notices: what a webhook, a mail or a client that asks by itself gets to read."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from arbiter.channels.notice import CALLED, Notice, instant
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.store.outbox import MessageRow, load_feed
from arbiter.workflow.addressing import REACH_RECIPIENTS
from arbiter.workflow.house import House

_ID_BYTES = 15


@dataclass(frozen=True, slots=True)
class NoticePage:
    """A page of notices, oldest first; `next` continues after it, and is `after` itself where nothing was new."""

    notices: tuple[Notice, ...]
    next: int


async def notices_after(house: House, principal: Principal, after: int, limit: int) -> NoticePage:
    """Return what this client is told, after a place in the order of telling: its own cases, decisions that it got."""
    principal.require(Permission.CASES_READ)
    rows = await load_feed(house.store, principal.id, principal.sites, REACH_RECIPIENTS, after, limit)
    notices = [await notice_of(house, message) for _, message in rows]
    return NoticePage(tuple(notices), rows[-1][0] if rows else after)


async def notice_of(house: House, message: MessageRow) -> Notice:
    """Return a message as a notice: the same whenever and to whomever it is sent."""
    shelved = await house.shelf.fetch(house.store, message.protocol_hash)
    called = message.audience == "duty"
    return Notice(
        id=notice_id(house, message),
        type=CALLED if called else message.topic,
        at=message.at,
        case=message.case,
        protocol=message.protocol,
        title=shelved.protocol.title,
        site=message.site,
        risk_class=message.risk_class,
        phase=message.phase,
        due_at=message.due_at,
        rung=message.rung if called else None,
        acknowledge_by=message.acknowledge_by if called else None,
        public_url=house.settings.public_url,
    )


def notice_id(house: House, message: MessageRow) -> str:
    """Return the id by which receivers tell a repeat.

    It is made from the entry told of, not from a counter: a restored database must not give a new message an old id.
    """
    place = (message.case, str(message.seq), message.audience, message.topic, instant(message.at) or "")
    mac = house.vault.mac("notice", *(part.encode() for part in place))
    return "msg_" + base64.b32encode(mac[:_ID_BYTES]).decode("ascii").lower()
