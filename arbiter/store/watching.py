"""What audits found, a row an audit, and the steps of each alarm: inserted and never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from arbiter.model import ActorId, CaseId
from arbiter.store.transaction import Where, run


@dataclass(frozen=True, slots=True)
class CountRow:
    """An audit that counts: the decision it was of, and what came of it.

    `probability` is that with which it was drawn. `wrong`: two readers, each blind, would both have decided otherwise;
    `doubted`: the first would have. `members` has, for each whose answer was valid and where the readers' word tells what was
    right, whether it was wrong. `order` rises with each row; `drawn_at` is when the decision was made, None where no case tells.
    """

    case: CaseId
    protocol: str
    calibration: str
    option: str
    wrong: bool
    doubted: bool
    probability: Decimal
    members: Mapping[str, bool]
    at: datetime
    order: int = 0
    drawn_at: datetime | None = None


class AlarmKind(StrEnum):
    """What an alarm is about."""

    OPTION = "option"
    """Decisions for an option are wrong more often than is certified: nothing is decided alone until it is lifted."""
    MEMBER = "member"
    """A member is wrong more often than its record says."""


class AlarmStep(StrEnum):
    """What became of it."""

    ALARMED = "alarmed"
    LIFTED = "lifted"


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One step of an alarm. `counted` is the order of the newest audit that it knew of; `reason` is why it was lifted."""

    protocol: str
    calibration: str
    kind: AlarmKind
    target: str
    step: AlarmStep
    counted: int
    actor: ActorId
    at: datetime
    reason: str | None = None
    order: int = 0


_ADD_COUNT = """
INSERT INTO audit_count (case_id, protocol_id, calibration, option, wrong, doubted, probability, members, at)
VALUES (%(case)s, %(protocol)s, %(calibration)s, %(option)s, %(wrong)s, %(doubted)s, %(probability)s, %(members)s::jsonb,
    %(at)s)
RETURNING id
"""
_COUNTS = """
SELECT a.case_id, a.protocol_id, a.calibration, a.option, a.wrong, a.doubted, a.probability, a.members, a.at, a.id,
    (c.state #>> '{audit,drawn_at}')::timestamptz
FROM audit_count AS a LEFT JOIN case_file AS c ON c.id = a.case_id
WHERE a.calibration = %(calibration)s ORDER BY a.id
"""
_NEWEST = "SELECT coalesce(max(id), 0) FROM audit_count"
_ADD_STEP = """
INSERT INTO watch_step (protocol_id, calibration, kind, target, step, counted, actor, at, reason)
VALUES (%(protocol)s, %(calibration)s, %(kind)s, %(target)s, %(step)s, %(counted)s, %(actor)s, %(at)s, %(reason)s)
RETURNING id
"""
_STEPS = """
SELECT protocol_id, calibration, kind, target, step, counted, actor, at, reason, id FROM watch_step ORDER BY id
"""
_OPEN = """
SELECT protocol_id, count(*), count(*) FILTER (WHERE state #>> '{audit,stage}' = 'doubted'),
    min((state #>> '{audit,drawn_at}')::timestamptz)
FROM case_file WHERE state #>> '{audit,stage}' IN ('drawn', 'doubted') GROUP BY protocol_id
"""


async def add_count(where: Where, row: CountRow) -> int:
    """Keep what an audit found; return its order."""
    parameters = {
        "case": row.case,
        "protocol": row.protocol,
        "calibration": row.calibration,
        "option": row.option,
        "wrong": row.wrong,
        "doubted": row.doubted,
        "probability": str(row.probability),
        "members": json.dumps(dict(row.members)),
        "at": row.at,
    }
    return int((await run(where, _ADD_COUNT, parameters))[0][0])


async def load_counts(where: Where, calibration: str) -> tuple[CountRow, ...]:
    """Return every audit that counts of decisions made by a calibration, in the order in which they were closed."""
    return tuple(
        CountRow(
            CaseId(case),
            protocol,
            named,
            option,
            wrong,
            doubted,
            Decimal(probability),
            members,
            at,
            order,
            drawn_at,
        )
        for case, protocol, named, option, wrong, doubted, probability, members, at, order, drawn_at in await run(
            where, _COUNTS, {"calibration": calibration}
        )
    )


async def load_newest_count(where: Where) -> int:
    """Return the order of the newest audit that counts, 0 where there is none."""
    return int((await run(where, _NEWEST, {}))[0][0])


async def add_alarm_step(where: Where, row: AlarmRow) -> int:
    """Keep a step of an alarm; return its order."""
    parameters = {
        "protocol": row.protocol,
        "calibration": row.calibration,
        "kind": row.kind.value,
        "target": row.target,
        "step": row.step.value,
        "counted": row.counted,
        "actor": row.actor,
        "at": row.at,
        "reason": row.reason,
    }
    return int((await run(where, _ADD_STEP, parameters))[0][0])


async def load_alarm_steps(where: Where) -> tuple[AlarmRow, ...]:
    """Return every step of every alarm, in their order."""
    return tuple(
        AlarmRow(
            protocol,
            calibration,
            AlarmKind(kind),
            target,
            AlarmStep(step),
            counted,
            ActorId(actor),
            at,
            reason,
            order,
        )
        for protocol, calibration, kind, target, step, counted, actor, at, reason, order in await run(
            where, _STEPS, {}
        )
    )


@dataclass(frozen=True, slots=True)
class OpenAudits:
    """How many decisions of a protocol wait to be read, `doubted` of them by a second reader, and since when the longest has."""

    protocol: str
    count: int
    doubted: int
    oldest: datetime


async def load_open_audits(where: Where) -> Sequence[OpenAudits]:
    """Return the open audits of each protocol that has some."""
    return [OpenAudits(*row) for row in await run(where, _OPEN, {})]
