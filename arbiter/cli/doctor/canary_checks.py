"""What `arbiter doctor` looks at about the canary: seats that have moved, that could not be asked, that nobody asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from arbiter.cli.doctor.findings import Finding, first_of
from arbiter.cli.when import to_the_minute
from arbiter.errors import ArbiterError
from arbiter.fleet.findings import CANARY_OLD
from arbiter.settings import Settings
from arbiter.store.transaction import Where
from arbiter.workflow.canaries import CanaryStanding, LatestCanary, canaries_of
from arbiter.workflow.protocol_checking import bundles

_SHOWN = 5
_CHECK = "canary"


async def canaries(settings: Settings, where: Where) -> tuple[Finding, ...]:
    """Look at how every seat in force stands by its canary."""
    try:
        current = {bundle.protocol.id: bundle.protocol for bundle in bundles(settings.protocols)}
    except ArbiterError as error:
        advice = "correct the folder that ARBITER_PROTOCOLS names: Arbiter does not start with it"
        return (Finding(_CHECK, "fail", str(error), advice),)
    seats = await canaries_of([current[name] for name in sorted(current)], where)
    return tuple(_findings(settings, seats, datetime.now(UTC)))


def _findings(settings: Settings, seats: tuple[LatestCanary, ...], now: datetime) -> Iterator[Finding]:
    moved = [seat for seat in seats if seat.standing is CanaryStanding.MOVED]
    if moved:
        told = [f"{_named(seat)} since {_at(seat.alarmed_at)}" for seat in moved]
        advice = (
            "its panel decides nothing without a clinician meanwhile; find out what changed (`arbiter panel check`, the log's "
            "entries `canary.alarmed`); then admit it: `arbiter panel canary --baseline`"
        )
        yield Finding(_CHECK, "fail", f"moved: {first_of(told, _SHOWN)}", advice)
    silent = [seat for seat in seats if seat.heard_at is None or now - seat.heard_at > CANARY_OLD]
    missed = [seat for seat in seats if seat.standing is CanaryStanding.NOT_ASKED and seat not in silent]
    if missed:
        told = [f"{_named(seat)}: {seat.cause}" for seat in missed]
        advice = "see whether its server answers (`arbiter panel check`), then `arbiter panel canary`"
        yield Finding(_CHECK, "warn", f"could not be asked last: {first_of(told, _SHOWN)}", advice)
    if settings.canary_time is None:
        advice = (
            "set ARBITER_CANARY_AT to a time of day, or see that something else runs `arbiter panel canary`"
        )
        yield Finding(_CHECK, "warn", "ARBITER_CANARY_AT is off: no seat is asked by itself", advice)
    elif silent:
        told = [f"{_named(seat)} {_silence(seat)}" for seat in silent]
        advice = (
            "right before the first night; else see whether its server answers, then `arbiter panel canary`"
        )
        yield Finding(_CHECK, "warn", f"not heard for two nights: {first_of(told, _SHOWN)}", advice)
    elif not moved and not missed:
        yield Finding(_CHECK, "ok", f"no seat of {len(seats)} has moved")


def _named(seat: LatestCanary) -> str:
    return f"{seat.protocol}/{seat.member}"


def _silence(seat: LatestCanary) -> str:
    heard = "(never)" if seat.heard_at is None else f"(last {_at(seat.heard_at)})"
    return f"{heard} {seat.cause}" if seat.standing is CanaryStanding.NOT_ASKED else heard


def _at(instant: datetime | None) -> str:
    return "" if instant is None else to_the_minute(instant)
