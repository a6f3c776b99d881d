"""Alarms that audits raised: which stand, what this process knows of them, and how a person lifts one.

An alarm about an option stops everything that its protocol decides alone, under any calibration, until somebody who may approve
policy lifts it with a reason. One about a member warns: what is decided is watched by the options.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from arbiter.documents.canonical import encode
from arbiter.errors import ArbiterError, ConflictError, NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.store.transaction import DATABASE_ERRORS
from arbiter.store.watching import (
    AlarmKind,
    AlarmRow,
    AlarmStep,
    OpenAudits,
    add_alarm_step,
    load_alarm_steps,
    load_newest_count,
    load_open_audits,
)
from arbiter.telemetry import Safe
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house, seal_if_allowed
from arbiter.workflow.reasons import reason_in
from arbiter.workflow.standing_work import every_minute

log = logging.getLogger(__name__)

DOCUMENT: Final = "watch"
FORMAT: Final = "arbiter/watch/v1"
LIFTED: Final = "watch.lifted"


def standing(steps: Iterable[AlarmRow]) -> tuple[AlarmRow, ...]:
    """Return the alarms that nobody has lifted, the oldest first."""
    last: dict[tuple[str, AlarmKind, str], AlarmRow] = {}
    for step in steps:
        key = (step.calibration, step.kind, step.target)
        last.pop(key, None)
        last[key] = step
    return tuple(step for step in last.values() if step.step is AlarmStep.ALARMED)


@dataclass(frozen=True, slots=True)
class Watch:
    """Every step of alarms, the oldest first, and by protocol the decisions that wait to be read."""

    steps: tuple[AlarmRow, ...]
    waiting: Mapping[str, OpenAudits]


async def look_for_stops(house: House) -> Watch:
    """Learn which protocols decide nothing alone, whoever found it, and return what that was learnt from."""
    stops = house.stops
    steps = await load_alarm_steps(house.store)
    mark = max((step.order for step in steps), default=0)
    # Whoever was answered late, from before an alarm, does not undo what another has learned since.
    if stops.mark is None or mark >= stops.mark:
        stops.mark = mark
        stops.frozen = frozenset(step.protocol for step in standing(steps) if step.kind is AlarmKind.OPTION)
    too_long = house.clock.now() - timedelta(days=house.settings.audit_days)
    waiting = await load_open_audits(house.store)
    stops.behind = frozenset(each.protocol for each in waiting if each.oldest < too_long)
    return Watch(tuple(steps), {each.protocol: each for each in waiting})


async def hear_of_stops(house: House) -> None:
    """Learn it every minute, until cancelled; while the database does not answer, what was known stays."""
    await every_minute("hearing of alarms", lambda: _look_and_tell(house))


async def _look_and_tell(house: House) -> None:
    known = house.stops.behind
    await look_for_stops(house)
    for protocol in sorted(house.stops.behind - known):
        log.warning("protocol %s decides nothing alone: its audits wait for readers too long", Safe(protocol))


async def lift(house: House, principal: Principal, protocol: str, reason: str) -> tuple[AlarmRow, ...]:
    """Lift every alarm of a protocol that stands; what was decided until now has spoken. `reason` is kept in the clear.

    Returns:
        The alarms that were lifted.

    Raises:
        ForbiddenError: for whoever may not approve policy.
        RefusedError: for a reason that is none.
        NotFoundError: when no alarm of that protocol stands; ConflictError: when others lifted them meanwhile.
    """
    principal.require(Permission.POLICY_APPROVE)
    words = reason_in(reason)
    alarms = _of(protocol, await load_alarm_steps(house.store))
    if not alarms:
        unknown = "" if protocol in house.shelf.current else "; no protocol of that id is in force"
        raise NotFoundError(f"no alarm of protocol {protocol} stands{unknown}")
    now = house.clock.now()
    document = {
        "format": FORMAT,
        "step": AlarmStep.LIFTED.value,
        "by": principal.id,
        "protocol": protocol,
        "alarms": [
            {"calibration": alarm.calibration, "kind": alarm.kind.value, "target": alarm.target}
            for alarm in alarms
        ],
        "reason": words,
    }
    async with house.store.begin() as transaction:
        # The chain's row is held to the commit: whoever counts an audit or lifts an alarm meanwhile comes before or behind.
        await note_in_house(house, transaction, LIFTED, principal.id, {DOCUMENT: encode(document)})
        if _of(protocol, await load_alarm_steps(transaction)) != alarms:
            raise ConflictError(f"the alarms of protocol {protocol} have changed meanwhile: look again")
        counted = await load_newest_count(transaction)
        for alarm in alarms:
            lifted = replace(
                alarm, step=AlarmStep.LIFTED, counted=counted, actor=principal.id, at=now, reason=words
            )
            await add_alarm_step(transaction, lifted)
    with suppress(ArbiterError, *DATABASE_ERRORS, OSError):
        await look_for_stops(house)
    await seal_if_allowed(house)
    return alarms


def _of(protocol: str, steps: Iterable[AlarmRow]) -> tuple[AlarmRow, ...]:
    return tuple(alarm for alarm in standing(steps) if alarm.protocol == protocol)
