"""An alarm acknowledged: a person has looked into what moved, says why it may be so, and the stream begins anew.

Beginning anew takes the next cases for its sample, and has half of the share of delta that the run before it had: however often
that happens, all runs of all streams together alarm falsely with no more than the delta they began with.
"""

from __future__ import annotations

from typing import Final

from arbiter.calibrating.drifting import begin_anew
from arbiter.documents.canonical import encode
from arbiter.errors import NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.store.drifts import (
    DriftAlarm,
    DriftStep,
    add_drift_step,
    keep_state,
    load_alarms,
    load_states,
    lock_drift,
)
from arbiter.store.transaction import Transaction
from arbiter.workflow.drift.adding import DOCUMENT, FORMAT
from arbiter.workflow.drift.kept import open_watched, seal_watched
from arbiter.workflow.house import House
from arbiter.workflow.log.chronicle import note_in_house, seal_if_allowed
from arbiter.workflow.reasons import reason_in

ACKNOWLEDGED: Final = "watch.drift-acknowledged"


async def acknowledge_drift(
    house: House, principal: Principal, protocol: str, stream: str, reason: str
) -> tuple[DriftAlarm, ...]:
    """End what stands of a stream's alarms, of whichever version of the protocol; `reason` is kept in the clear.

    Returns the alarms that were ended.

    Raises:
        ForbiddenError: for whoever may not approve policy; RefusedError: for a reason that is none;
        NotFoundError: when no alarm of that stream stands.
    """
    principal.require(Permission.POLICY_APPROVE)
    words = reason_in(reason)
    async with house.store.begin() as transaction:
        await lock_drift(transaction)
        standing = await load_alarms(transaction, standing=True)
        ended = tuple(alarm for alarm in standing if (alarm.protocol, alarm.stream) == (protocol, stream))
        if not ended:
            raise NotFoundError(_none_stands(protocol, standing))
        for alarm in ended:
            await _acknowledge(house, transaction, principal, alarm, words)
    await seal_if_allowed(house)
    return ended


async def _acknowledge(
    house: House, transaction: Transaction, principal: Principal, alarm: DriftAlarm, reason: str
) -> None:
    now = house.clock.now()
    of = (alarm.protocol_hash, alarm.stream, alarm.run)
    await add_drift_step(transaction, of, DriftStep.ACKNOWLEDGED, principal.id, now, reason)
    kept = (await load_states(transaction, [alarm.protocol_hash])).get(alarm.protocol_hash)
    if kept is not None:
        watched = open_watched(house.vault, alarm.protocol_hash, kept)
        run = watched.run(alarm.stream)
        # Another release that sorts cases otherwise has begun it anew already.
        if run is not None and run.number == alarm.run:
            anew = begin_anew(watched, alarm.stream)
            await keep_state(
                transaction, alarm.protocol_hash, seal_watched(house.vault, alarm.protocol_hash, anew)
            )
    document = {
        "format": FORMAT,
        "protocol": alarm.protocol,
        "protocol_version": alarm.version,
        "protocol_hash": alarm.protocol_hash,
        "stream": alarm.stream,
        "run": alarm.run,
        "alarmed_at": alarm.alarmed_at.isoformat(),
        "reason": reason,
    }
    await note_in_house(house, transaction, ACKNOWLEDGED, principal.id, {DOCUMENT: encode(document)})


def _none_stands(protocol: str, standing: tuple[DriftAlarm, ...]) -> str:
    named = sorted({f"{alarm.protocol} {alarm.stream}" for alarm in standing})
    return f"no alarm of that stream of {protocol} stands; there are {', '.join(named) or 'none'}"
