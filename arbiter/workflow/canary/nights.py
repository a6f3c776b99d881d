"""The canary as standing work: once a night one process asks every seat, whoever else is running.

A lease in the database says whose turn it is, and a row a seat and night that it was done, so a process that dies midway
leaves the night to another. A night that nobody was up for is left out: it shows as a canary that is old.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from math import ceil
from typing import Final

from arbiter.errors import ConflictError
from arbiter.store.canaries import end_canary, hold_canary, load_protocols_of_night
from arbiter.workflow.canaries import look_for_moved
from arbiter.workflow.canary.asking import panel_time
from arbiter.workflow.canary.running import Order, run_canary
from arbiter.workflow.house import House
from arbiter.workflow.register import BY_ITSELF
from arbiter.workflow.shelf import Shelved
from arbiter.workflow.standing_work import every_minute

log = logging.getLogger(__name__)

NIGHT_LASTS: Final = timedelta(hours=4)
"""How long after its time a night's run may still begin."""

LEASE_SECONDS: Final = 900
"""How much longer than any one asking may take: a process that is silent for so long has died."""


class LostTurnError(ConflictError):
    """Another process has taken the night over."""


def night_due(now: datetime, at: time, zone: tzinfo | None) -> date | None:
    """Return the night whose run may begin at `now`, by the date on which it begins there, or None between nights.

    `zone` is None for the zone of this machine.
    """
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), at, tzinfo=local.tzinfo)
    begun = today if local >= today else today - timedelta(days=1)
    return begun.date() if local - begun < NIGHT_LASTS else None


async def tend_canaries(house: House) -> None:
    """Run the canary every night until cancelled."""
    await every_minute("the canary", lambda: tonight(house))


async def hear_of_canaries(house: House) -> None:
    """Learn every minute what others found, until cancelled: a night's asking takes long, and this never waits for it."""
    await every_minute("hearing of canaries", lambda: look_for_moved(house))


async def tonight(house: House) -> None:
    """Ask the seats of every protocol in force that were not asked tonight, if it is night and this process's turn."""
    at = house.settings.canary_time
    night = None if at is None else night_due(house.clock.now(), at, house.settings.zone)
    if night is None:
        return
    done = await load_protocols_of_night(house.store, night)
    left = [shelved for name, shelved in sorted(house.shelf.current.items()) if name not in done]
    holder, seconds = house.chance.token(16).hex(), _turn_seconds(left)
    if not left or not await hold_canary(house.store, holder, seconds):
        return

    async def still_ours() -> None:
        if not await hold_canary(house.store, holder, seconds):
            raise LostTurnError("another process has taken this night's canary over")

    try:
        for shelved in left:
            await run_canary(house, shelved, Order(BY_ITSELF, night), still_ours)
    except ConflictError as error:
        log.info("the canary is left to another process: %s", type(error).__name__)
    finally:
        await end_canary(house.store, holder)


def _turn_seconds(left: Iterable[Shelved]) -> int:
    slowest = max((panel_time(shelved.protocol) for shelved in left), default=timedelta())
    return LEASE_SECONDS + ceil(slowest.total_seconds())
