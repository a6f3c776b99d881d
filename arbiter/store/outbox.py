"""Messages and their deliveries: addressed in order by one process at a time, sent by any number of them.

A delivery is claimed until some seconds from now, sent outside any transaction, and then marked. Who dies in between
leaves it to the next sender once the claim is over: at least once, never lost. The oldest unfinished delivery of a
recipient and case stands before the later ones, so that each recipient learns of a case in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from arbiter.store.transaction import Store, Transaction, Where, run

_HOLD_ADDRESSING = "SELECT pg_try_advisory_xact_lock(7165069802)"

_MESSAGE = """m.id, m.case_id, m.seq, m.audience, m.topic, m.rung, m.phase, m.due_at, m.acknowledge_by, m.at,
    c.client_id, c.site_id, c.protocol_id, c.protocol_hash, c.risk_class"""

_UNADDRESSED = f"""
SELECT {_MESSAGE} FROM message AS m JOIN case_file AS c ON c.id = m.case_id
WHERE m.addressed_at IS NULL AND NOT m.case_id = ANY(%(left_out)s::text[]) ORDER BY m.id LIMIT %(limit)s
"""  # noqa: S608 - the columns stand above
_RECIPIENTS = "SELECT case_id, client_id FROM decision_recipient WHERE case_id = ANY(%(cases)s::text[])"
_ADDRESS = """
WITH placed AS (
    UPDATE message AS m SET addressed_at = %(now)s,
        place = (SELECT coalesce(max(place), 0) FROM message) + a.ordinal
    FROM unnest(%(messages)s::bigint[]) WITH ORDINALITY AS a(id, ordinal) WHERE m.id = a.id
), added AS (
    INSERT INTO delivery (message_id, case_id, channel, recipient, next_at)
    SELECT d.*, %(now)s FROM unnest(%(delivery_messages)s::bigint[], %(delivery_cases)s::text[],
        %(delivery_channels)s::text[], %(delivery_recipients)s::text[]) AS d
    ON CONFLICT DO NOTHING
)
SELECT 1
"""

# A recipient in trouble is tried with one delivery at a time; one that rests is not tried at all.
_CLAIM = f"""
WITH due AS (
    SELECT DISTINCT channel, recipient FROM delivery
    WHERE delivered_at IS NULL AND dead_at IS NULL AND next_at <= %(now)s
        AND (claimed_until IS NULL OR claimed_until <= %(now)s)
        AND NOT (channel || ' ' || recipient) = ANY(%(resting)s::text[])
), heads AS (
    SELECT head.id FROM due CROSS JOIN LATERAL (
        SELECT d.id FROM delivery AS d
        WHERE d.channel = due.channel AND d.recipient = due.recipient
            AND d.delivered_at IS NULL AND d.dead_at IS NULL AND d.next_at <= %(now)s
            AND (d.claimed_until IS NULL OR d.claimed_until <= %(now)s)
            AND NOT EXISTS (
                SELECT FROM delivery AS earlier
                WHERE earlier.recipient = d.recipient AND earlier.channel = d.channel
                    AND earlier.case_id = d.case_id AND earlier.message_id < d.message_id
                    AND earlier.delivered_at IS NULL AND earlier.dead_at IS NULL
            )
        ORDER BY d.message_id
        LIMIT CASE WHEN (due.channel || ' ' || due.recipient) = ANY(%(troubled)s::text[]) THEN 1 ELSE %(each)s END
    ) AS head LIMIT %(limit)s
), free AS (
    SELECT id FROM delivery
    WHERE id IN (SELECT id FROM heads) AND delivered_at IS NULL AND dead_at IS NULL
        AND (claimed_until IS NULL OR claimed_until <= %(now)s)
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE delivery AS d SET claimed_until = %(until)s, attempts = d.attempts + 1 FROM free WHERE d.id = free.id
    RETURNING d.id, d.message_id, d.channel, d.recipient, d.attempts, d.revived_at
)
SELECT claimed.id, claimed.attempts, claimed.revived_at, claimed.channel, claimed.recipient, e.url, e.kek_id, e.sealed_secret,
    e.disabled_at IS NOT NULL OR k.disabled_at IS NOT NULL, {_MESSAGE}
FROM claimed JOIN message AS m ON m.id = claimed.message_id JOIN case_file AS c ON c.id = m.case_id
    LEFT JOIN webhook_endpoint AS e ON claimed.channel = 'webhook' AND e.id = claimed.recipient
    LEFT JOIN client AS k ON k.id = e.client_id
"""  # noqa: S608 - the columns stand above

# What else waits for a recipient that has just answered need wait no longer.
_DELIVERED = """
WITH done AS (
    UPDATE delivery SET delivered_at = %(now)s, dead_at = NULL, claimed_until = NULL, last_fault = NULL
    WHERE id = %(id)s AND delivered_at IS NULL RETURNING id, channel, recipient, case_id
), hurried AS (
    UPDATE delivery AS d SET next_at = %(now)s FROM done
    WHERE d.channel = done.channel AND d.recipient = done.recipient AND d.id <> done.id
        AND d.delivered_at IS NULL AND d.dead_at IS NULL AND d.next_at > %(now)s
), received AS (
    INSERT INTO decision_recipient (case_id, client_id, first_at)
    SELECT done.case_id, e.client_id, %(now)s FROM done JOIN webhook_endpoint AS e ON e.id = done.recipient
    WHERE %(decision)s AND done.channel = 'webhook' AND e.client_id IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM done
"""
# Only the attempt that failed speaks: a later claim has its own word.
_FAILED = """
UPDATE delivery SET claimed_until = NULL, next_at = coalesce(%(next_at)s, next_at), last_fault = %(fault)s,
    dead_at = CASE WHEN %(next_at)s::timestamptz IS NULL THEN %(now)s::timestamptz END
WHERE id = %(id)s AND attempts = %(attempts)s AND delivered_at IS NULL AND dead_at IS NULL
RETURNING id
"""
_RECEIVED = """
INSERT INTO decision_recipient (case_id, client_id, first_at) VALUES (%(case)s, %(client)s, %(now)s)
ON CONFLICT DO NOTHING RETURNING 1
"""
_DEAD = """
SELECT d.id, d.channel, d.recipient, d.case_id, m.topic, d.attempts, d.dead_at, d.last_fault
FROM delivery AS d JOIN message AS m ON m.id = d.message_id
WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at, d.id LIMIT %(limit)s
"""
_REDRIVE = """
UPDATE delivery SET dead_at = NULL, next_at = %(now)s, attempts = 0, revived_at = %(now)s
WHERE dead_at IS NOT NULL AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s::bigint[])) RETURNING id
"""
_COUNTS = """
SELECT (SELECT count(*) FROM message WHERE addressed_at IS NULL),
    count(*) FILTER (WHERE dead_at IS NULL), count(*) FILTER (WHERE dead_at IS NOT NULL)
FROM delivery WHERE delivered_at IS NULL
"""
_FEED = f"""
SELECT m.place, {_MESSAGE} FROM message AS m JOIN case_file AS c ON c.id = m.case_id
WHERE m.place > %(after)s AND m.audience = 'requester' AND c.site_id = ANY(%(sites)s::text[])
    AND (c.client_id = %(client)s OR (m.topic = ANY(%(topics)s::text[]) AND EXISTS (
        SELECT FROM decision_recipient AS r WHERE r.case_id = m.case_id AND r.client_id = %(client)s)))
ORDER BY m.place LIMIT %(limit)s
"""  # noqa: S608 - the columns stand above


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message with what it says of its case."""

    id: int
    case: str
    seq: int
    audience: str
    topic: str
    rung: int | None
    phase: str
    due_at: datetime | None
    acknowledge_by: datetime | None
    at: datetime
    client: str
    site: str
    protocol: str
    protocol_hash: str
    risk_class: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in this sender's hands: the attempt's number, the message, and for a webhook its endpoint.

    `revived_at` is when it was last brought back from the dead letters.
    """

    id: int
    attempts: int
    revived_at: datetime | None
    channel: str
    recipient: str = field(repr=False)
    url: str | None = field(repr=False)
    kek_id: str | None
    sealed_secret: bytes | None = field(repr=False)
    disabled: bool
    message: MessageRow


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up."""

    id: int
    channel: str
    recipient: str
    case: str
    topic: str
    attempts: int
    dead_at: datetime
    fault: str


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How many messages wait to be addressed, and how many deliveries wait or were given up."""

    unaddressed: int
    waiting: int
    dead: int


async def hold_addressing(transaction: Transaction) -> bool:
    """Keep other processes from addressing until the transaction ends; False when another one does it just now."""
    return bool((await run(transaction, _HOLD_ADDRESSING, {}))[0][0])


async def load_unaddressed(where: Where, left_out: Iterable[str], limit: int) -> tuple[MessageRow, ...]:
    """Return the oldest messages that nobody has addressed, but for those of the cases left out."""
    rows = await run(where, _UNADDRESSED, {"left_out": sorted(left_out), "limit": limit})
    return tuple(MessageRow(*row) for row in rows)


async def load_decision_recipients(where: Where, cases: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return by case the clients that got its decision."""
    found: dict[str, set[str]] = {}
    for case, client in await run(where, _RECIPIENTS, {"cases": sorted(cases)}):
        found.setdefault(case, set()).add(client)
    return {case: frozenset(clients) for case, clients in found.items()}


async def save_addressed(
    where: Where, messages: Sequence[int], deliveries: Sequence[tuple[int, str, str, str]], now: datetime
) -> None:
    """Mark messages as addressed, in that order, and add their deliveries as (message, case, channel, recipient)."""
    parameters = {
        "now": now,
        "messages": list(messages),
        "delivery_messages": [delivery[0] for delivery in deliveries],
        "delivery_cases": [delivery[1] for delivery in deliveries],
        "delivery_channels": [delivery[2] for delivery in deliveries],
        "delivery_recipients": [delivery[3] for delivery in deliveries],
    }
    await run(where, _ADDRESS, parameters)


async def claim_deliveries(
    store: Store,
    now: datetime,
    *,
    hold: timedelta,
    limit: int,
    each: int,
    resting: Iterable[tuple[str, str]],
    troubled: Iterable[tuple[str, str]],
) -> tuple[Claimed, ...]:
    """Claim what is due until `now + hold`: at most `limit`, at most `each` a recipient, in order per case."""
    parameters: dict[str, Any] = {
        "now": now,
        "until": now + hold,
        "limit": limit,
        "each": each,
        "resting": [" ".join(recipient) for recipient in resting],
        "troubled": [" ".join(recipient) for recipient in troubled],
    }
    rows = await store.run(_CLAIM, parameters)
    return tuple(_claimed(row) for row in rows)


def _claimed(row: Sequence[Any]) -> Claimed:
    return Claimed(*(*row[:9], MessageRow(*row[9:])))


async def mark_delivered(store: Store, delivery: int, now: datetime, *, decision: bool) -> None:
    """Mark a delivery as taken; with `decision` its client has now been told of a decision."""
    await store.run(_DELIVERED, {"id": delivery, "now": now, "decision": decision})


async def mark_failed(
    store: Store, claimed: Claimed, fault: str, now: datetime, next_at: datetime | None
) -> bool:
    """Note a failed attempt: try again at `next_at`, or never when None. Return whether this attempt still counted."""
    parameters = {
        "id": claimed.id,
        "attempts": claimed.attempts,
        "fault": fault,
        "now": now,
        "next_at": next_at,
    }
    return bool(await store.run(_FAILED, parameters))


async def note_recipient(where: Where, case: str, client: str, now: datetime) -> None:
    """Note that a client gets a case's decision."""
    await run(where, _RECEIVED, {"case": case, "client": client, "now": now})


async def list_dead(where: Where, limit: int) -> tuple[DeadLetter, ...]:
    """Return the dead letters, oldest first."""
    return tuple(DeadLetter(*row) for row in await run(where, _DEAD, {"limit": limit}))


async def redrive(where: Where, ids: Sequence[int] | None, now: datetime) -> int:
    """Send these dead letters, or all of them, anew; return how many there were."""
    return len(await run(where, _REDRIVE, {"ids": None if ids is None else list(ids), "now": now}))


async def count_outbox(where: Where) -> OutboxCounts:
    """Return how much waits and how much was given up."""
    return OutboxCounts(*(await run(where, _COUNTS, {}))[0])


async def load_feed(
    where: Where, client: str, sites: Iterable[str], topics: Iterable[str], after: int, limit: int
) -> tuple[tuple[int, MessageRow], ...]:
    """Return what a client is told after a place, in order: of its own cases, and `topics` of decisions that it got."""
    parameters = {
        "client": client, "sites": sorted(sites), "topics": sorted(topics), "after": after, "limit": limit,
    }  # fmt: skip
    return tuple((row[0], MessageRow(*row[1:])) for row in await run(where, _FEED, parameters))
