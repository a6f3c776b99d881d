"""Sends what was addressed until it is taken or given up. Standing work; any number of processes do it side by side.

At least once: a delivery is marked only after it was taken, and goes out again under the same id when that mark was not
made. In order per recipient and case. A recipient that fails rests, alone, a little longer each time, and is then tried
with one delivery at a time; nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

import httpx

from arbiter.channels.attempt import Attempt, Failed, Gone, Refused, Sent
from arbiter.channels.mail import send_mail
from arbiter.channels.notice import Notice, body_of
from arbiter.channels.webhook import ATTEMPT_SECONDS, open_http, post
from arbiter.errors import UnavailableError
from arbiter.lifecycle.entries import EntryType
from arbiter.store.endpoints import disable_endpoint
from arbiter.store.outbox import Claimed, claim_deliveries, mark_delivered, mark_failed
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.telemetry import Safe
from arbiter.telemetry.catalogue import CHANNEL, DELIVERY_OUTCOME
from arbiter.telemetry.meters import count
from arbiter.telemetry.metrics import DEAD_LETTERS, DELIVERY_ATTEMPTS
from arbiter.workflow.addressing import Recipient, address_messages
from arbiter.workflow.house import House
from arbiter.workflow.notices import notice_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
GATHER_SECONDS = 0.25
"""How long a wake-up waits for its fellows: a busy house makes many steps at once."""

MOST_AT_ONCE = 128
MOST_EACH = 8
HOLD = timedelta(seconds=ATTEMPT_SECONDS + 10)
"""How long a claim lasts: an attempt, and time to mark it."""

ATTEMPTS = 100
AGE = timedelta(days=3)
"""A delivery is given up after so many attempts or this long after its case moved, whichever comes first."""

FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_REST = timedelta(minutes=1)
POSTPONED = timedelta(minutes=1)
"""When a message that could not be addressed is tried again."""

FINISH_SECONDS = 2.0


def pause_after(attempts: int, dice: bytes) -> timedelta:
    """Return how long to wait after so many failed attempts: tripled each time up to an hour, give or take a half.

    `dice` (4 bytes) spreads senders and recipients apart.
    """
    exponential = min(FIRST_PAUSE * 3.0 ** min(attempts - 1, 20), LONGEST_PAUSE)
    return exponential * (0.5 + int.from_bytes(dice, "big") / 2**32)


async def _undisturbed(work: Coroutine[Any, Any, int]) -> None:
    """Do `work` to its end even when cancelled meanwhile: cut off in mid-statement, its connection would be lost."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=FINISH_SECONDS)
        raise


@dataclass(slots=True)
class _Trouble:
    """A recipient that failed last time: how often in a row, and until when it rests."""

    failures: int
    until: datetime


@dataclass(slots=True)
class Dispatcher:
    """One process's sender."""

    house: House
    _sending: dict[asyncio.Task[None], Recipient] = field(default_factory=dict)
    _troubles: dict[Recipient, _Trouble] = field(default_factory=dict)
    _postponed: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """Address and send until cancelled; what is being sent then may still end."""
        async with open_http(most_connections=MOST_AT_ONCE) as http:
            try:
                while True:
                    try:
                        await _undisturbed(self.round(http))
                    except (UnavailableError, *DATABASE_ERRORS, OSError):
                        log.exception("messages could not be looked for")
                    await self.house.postbox.wait(POLL_SECONDS)
                    await asyncio.sleep(GATHER_SECONDS)
            finally:
                await self.finish(FINISH_SECONDS)

    async def round(self, http: httpx.AsyncClient) -> int:
        """Address what is new and begin to send what is due; return how many deliveries were begun."""
        now = self.house.clock.now()
        self._postponed = {case: until for case, until in self._postponed.items() if until > now}
        failed = await address_messages(self.house, frozenset(self._postponed))
        self._postponed |= dict.fromkeys(failed, now + POSTPONED)
        # Read again: what was addressed just now is due from just now on.
        now = self.house.clock.now()
        room = MOST_AT_ONCE - len(self._sending)
        if room <= 0:
            return 0
        busy = set(self._sending.values())
        resting = {recipient for recipient, trouble in self._troubles.items() if trouble.until > now}
        claimed = await claim_deliveries(
            self.house.store,
            now,
            hold=HOLD,
            limit=room,
            each=MOST_EACH,
            resting=busy | resting,
            troubled=self._troubles,
        )
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(http, delivery))
            self._sending[task] = (delivery.channel, delivery.recipient)
            task.add_done_callback(self._ended)
        return len(claimed)

    async def finish(self, seconds: float) -> None:
        """Wait for what is being sent, at most that long; the rest is sent again by whoever finds its claim over."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        # The case's next message may go now.
        self.house.postbox.fill()
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("a delivery could not be marked and is sent again", exc_info=fault)

    async def _deliver(self, http: httpx.AsyncClient, delivery: Claimed) -> None:
        attempt = await self._attempt(http, delivery)
        count(
            DELIVERY_ATTEMPTS, {CHANNEL: delivery.channel, DELIVERY_OUTCOME: type(attempt).__name__.lower()}
        )
        now = self.house.clock.now()
        recipient = (delivery.channel, delivery.recipient)
        match attempt:
            case Sent():
                self._troubles.pop(recipient, None)
                decision = delivery.message.topic == EntryType.RELEASED.value
                await mark_delivered(self.house.store, delivery.id, now, decision=decision)
            case Failed():
                self._rest(recipient, now)
                await self._failed(delivery, attempt, now)
            case Refused():
                await self._give_up(delivery, attempt.fault, now)
            case Gone():
                async with self.house.store.begin() as transaction:
                    await disable_endpoint(transaction, delivery.recipient, now)
                log.error("endpoint %s is gone (HTTP 410) and is disabled", Safe(delivery.recipient))
                await self._give_up(delivery, attempt.fault, now)
            case _:
                assert_never(attempt)

    async def _attempt(self, http: httpx.AsyncClient, delivery: Claimed) -> Attempt:
        try:
            notice = await notice_of(self.house, delivery.message)
            if delivery.channel == "mail":
                return await send_mail(self.house.settings, delivery.recipient, notice)
            return await self._post(http, delivery, notice)
        except (UnavailableError, *DATABASE_ERRORS):
            raise
        except Exception as error:
            # Whatever it was, it is this delivery's own fault and must neither stop the others nor be lost.
            log.exception("delivery %d could not be made ready", delivery.id)
            return Failed(type(error).__name__)

    async def _post(self, http: httpx.AsyncClient, delivery: Claimed, notice: Notice) -> Attempt:
        if (
            delivery.disabled
            or delivery.url is None
            or delivery.kek_id is None
            or delivery.sealed_secret is None
        ):
            return Refused("the endpoint is disabled")
        secret = self.house.vault.open_secret(delivery.recipient, delivery.kek_id, delivery.sealed_secret)
        return await post(http, self.house.clock, delivery.url, secret, notice.id, body_of(notice))

    def _rest(self, recipient: Recipient, now: datetime) -> None:
        before = self._troubles.get(recipient)
        failures = 1 if before is None else before.failures + 1
        rest = min(timedelta(seconds=2.0 ** min(failures - 1, 10)), LONGEST_REST)
        self._troubles[recipient] = _Trouble(failures, now + rest)

    async def _failed(self, delivery: Claimed, attempt: Failed, now: datetime) -> None:
        since = max(delivery.message.at, delivery.revived_at or delivery.message.at)
        if delivery.attempts >= ATTEMPTS or now - since >= AGE:
            await self._give_up(delivery, attempt.fault, now)
            return
        pause = pause_after(delivery.attempts, self.house.chance.token(4))
        next_at = now + max(pause, timedelta(seconds=attempt.not_within_seconds))
        log.warning(
            "delivery %d of case %s by %s failed, attempt %d: %s",
            delivery.id, delivery.message.case, Safe(delivery.channel), delivery.attempts, Safe(attempt.fault),
        )  # fmt: skip
        await mark_failed(self.house.store, delivery, attempt.fault, now, next_at)

    async def _give_up(self, delivery: Claimed, fault: str, now: datetime) -> None:
        if await mark_failed(self.house.store, delivery, fault, now, None):
            count(DEAD_LETTERS, {CHANNEL: delivery.channel})
            log.error(
                "delivery %d of case %s by %s is a dead letter after %d attempts: %s",
                delivery.id, delivery.message.case, Safe(delivery.channel), delivery.attempts, Safe(fault),
            )  # fmt: skip
