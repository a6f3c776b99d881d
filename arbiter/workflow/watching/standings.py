"""How what is decided alone holds up: what audits found under each calibration in force, what waits, and what is stopped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from arbiter.calibrating.weighted import Audited, weighted_bound, weighted_rate
from arbiter.calibration import Calibration
from arbiter.store.watching import (
    AlarmKind,
    AlarmRow,
    CountRow,
    OpenAudits,
    load_counts,
)
from arbiter.workflow.certifying import calibration_in_force
from arbiter.workflow.house import House
from arbiter.workflow.watching.alarms import look_for_stops, standing
from arbiter.workflow.watching.evidence import Tally, delay_in_audits, tallies, twice


class Stop(StrEnum):
    """Why a protocol decides nothing alone."""

    FROZEN = "frozen"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Delay:
    """How long it takes, at most on average, until decisions that are wrong at `rate` raise the alarm, from now on.

    None where it is not sure ever to come.
    """

    rate: float
    audits: float | None
    decisions: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """One claim of a calibration in force, and how it holds up.

    `estimate` and `bound` are of the error rate among all decisions since the calibration came in force, each audit weighed by
    one over the probability with which it was drawn; the true rate exceeds `bound` with probability at most the calibration's
    delta. None for a member, and where nothing was audited.
    """

    tally: Tally
    estimate: float | None
    bound: float | None
    delay: Delay


@dataclass(frozen=True, slots=True)
class GuaranteeStanding:
    """A protocol in force that decides by its posterior.

    `calibration` is the one in force, None where none is and everything escalates. `alarms` are those that stand, whatever
    calibration they are about. `waiting` is None where no decision waits to be read.
    """

    protocol: str
    title: str
    calibration: Calibration | None
    watched: tuple[Watched, ...]
    waiting: OpenAudits | None
    alarms: tuple[AlarmRow, ...]
    stop: Stop | None


async def guarantees(
    house: House, share: float | None = None, protocol: str | None = None
) -> tuple[GuaranteeStanding, ...]:
    """Return how every protocol stands that states an error rate, by id.

    Args:
        house: its settings' share of decisions is audited.
        share: another share, to learn what it would mean.
        protocol: this one alone.

    Raises:
        NotFoundError: when there is no such protocol.
    """
    if protocol is not None:
        house.shelf.in_force(protocol)
    watch = await look_for_stops(house)
    audited = float(house.settings.audit_share) if share is None else share
    found = []
    for name, shelved in sorted(house.shelf.current.items()):
        if shelved.protocol.adjudication.guarantee is None or protocol not in {None, name}:
            continue
        calibration = calibration_in_force(house, shelved.protocol.content_hash)
        watched: tuple[Watched, ...] = ()
        if calibration is not None:
            counts = await load_counts(house.store, calibration.content_hash)
            # Years of audits take seconds to go through.
            watched = await asyncio.to_thread(watched_of, calibration, counts, watch.steps, audited)
        found.append(
            GuaranteeStanding(
                protocol=name,
                title=shelved.protocol.title,
                calibration=calibration,
                watched=watched,
                waiting=watch.waiting.get(name),
                alarms=tuple(alarm for alarm in standing(watch.steps) if alarm.protocol == name),
                stop=_stop(house, name),
            )
        )
    return tuple(found)


def watched_of(
    calibration: Calibration, counts: tuple[CountRow, ...], steps: tuple[AlarmRow, ...], share: float
) -> tuple[Watched, ...]:
    """Return how each claim of a calibration holds up when this share of decisions is audited from now on."""
    return tuple(_watched(calibration, counts, tally, share) for tally in tallies(calibration, counts, steps))


def _watched(calibration: Calibration, counts: tuple[CountRow, ...], tally: Tally, share: float) -> Watched:
    claim = tally.claim
    rate = twice(claim.alpha)
    before = 0.0 if not tally.audits else min(tally.errors / tally.audits, claim.alpha)
    audits = delay_in_audits(claim, rate, tally.audits, before)
    delay = Delay(rate, audits, None if audits is None else audits / share)
    own = [
        Audited(row.wrong, float(row.probability))
        for row in counts
        if claim.kind is AlarmKind.OPTION and row.option == claim.target
    ]
    if not own:
        return Watched(tally, None, None, delay)
    least = min(audit.probability for audit in own)
    return Watched(tally, weighted_rate(own), weighted_bound(own, least, float(calibration.delta)), delay)


def _stop(house: House, protocol: str) -> Stop | None:
    if protocol in house.stops.frozen:
        return Stop.FROZEN
    return Stop.BEHIND if protocol in house.stops.behind else None
