"""What persons did about each calibration, a row a step: proposed, approved, withdrawn, each once at most.

Rows are inserted and never changed; how a calibration stands is what its rows say together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from arbiter.model import ActorId
from arbiter.store.transaction import Where, run


class Step(StrEnum):
    """What was done."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Act:
    """Who took a step, when, and why; `order` rises with each step of any calibration. Only withdrawing has a `reason`."""

    actor: ActorId
    at: datetime
    reason: str | None
    order: int


@dataclass(frozen=True, slots=True)
class StepsRow:
    """A calibration that was proposed, by its content hash, the protocol version it is for, and each step that was taken."""

    calibration: str
    protocol: str
    protocol_version: str
    protocol_hash: str
    proposed: Act
    approved: Act | None = None
    withdrawn: Act | None = None

    @property
    def acts(self) -> tuple[Act, ...]:
        """The steps that were taken."""
        return tuple(act for act in (self.proposed, self.approved, self.withdrawn) if act is not None)


_ADD = """
INSERT INTO calibration_step (calibration, step, actor, at, reason)
VALUES (%(calibration)s, %(step)s, %(actor)s, %(at)s, %(reason)s)
ON CONFLICT DO NOTHING RETURNING 1
"""
_ALL = """
SELECT s.calibration, p.protocol_id, p.version, c.protocol_hash, s.step, s.actor, s.at, s.reason, s.id
FROM calibration_step AS s
JOIN calibration AS c ON c.content_hash = s.calibration
JOIN protocol_bundle AS p ON p.content_hash = c.protocol_hash
ORDER BY s.id
"""


async def add_step(
    where: Where, calibration: str, step: Step, actor: ActorId, at: datetime, reason: str | None = None
) -> bool:
    """Note a step about a kept calibration; return False where it was taken before, or by the same person as the one before."""
    parameters = {
        "calibration": calibration,
        "step": step.value,
        "actor": actor,
        "at": at,
        "reason": reason,
    }
    return bool(await run(where, _ADD, parameters))


async def load_steps(where: Where) -> tuple[StepsRow, ...]:
    """Return every calibration that was ever proposed, the oldest proposal first."""
    found: dict[str, StepsRow] = {}
    for calibration, protocol, version, protocol_hash, step, *act in await run(where, _ALL, {}):
        taken = _act(act)
        match Step(step):
            case Step.PROPOSED:
                found[calibration] = StepsRow(calibration, protocol, version, protocol_hash, taken)
            case Step.APPROVED:
                found[calibration] = replace(found[calibration], approved=taken)
            case Step.WITHDRAWN:
                found[calibration] = replace(found[calibration], withdrawn=taken)
    return tuple(found.values())


def _act(row: Sequence[Any]) -> Act:
    actor, at, reason, order = row
    return Act(ActorId(actor), at, reason, order)
