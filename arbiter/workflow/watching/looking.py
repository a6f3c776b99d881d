"""How stated error rates hold up, for whoever answers for a policy, audits, or keeps the panel running; never for who reviews.

A reviewer who knew how often the panel is wrong would judge by it, and be no independent check any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final

from arbiter.calibrating.watch import share
from arbiter.errors import ForbiddenError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.workflow.calibrations.standings import look_for_approved
from arbiter.workflow.house import House
from arbiter.workflow.watching.evidence import Tally
from arbiter.workflow.watching.standings import GuaranteeStanding, guarantees

MAY_LOOK: Final = frozenset(
    {Permission.POLICY_AUTHOR, Permission.POLICY_APPROVE, Permission.AUDIT_READ, Permission.FLEET_WATCH}
)


@dataclass(frozen=True, slots=True)
class Looked:
    """How one protocol's guarantee stands, with what people call its options and seats, by id."""

    standing: GuaranteeStanding
    options: Mapping[str, str]
    seats: Mapping[str, str]


def may_look(principal: Principal) -> bool:
    """Return whether the watch is for this principal; who reviews is refused whatever else they may do."""
    return Permission.REVIEW_WORK not in principal.permissions and bool(MAY_LOOK & principal.permissions)


async def look_at_guarantees(house: House, principal: Principal) -> tuple[Looked, ...]:
    """Return how every protocol stands that states an error rate, by id.

    Raises:
        ForbiddenError: for who reviews, and for whom it is no concern.
    """
    if not may_look(principal):
        raise ForbiddenError(f"{principal.kind} {principal.login or principal.id} may not see the watch")
    await look_for_approved(house)
    return tuple(looked_at(house, standing) for standing in await guarantees(house))


def looked_at(house: House, standing: GuaranteeStanding) -> Looked:
    """Return a standing with what people call its options and seats."""
    protocol = house.shelf.in_force(standing.protocol).protocol
    return Looked(
        standing,
        {option.id: option.title for option in protocol.question.options},
        {seat.member: seat.title for seat in protocol.seats},
    )


def start_of(tally: Tally) -> float:
    """Return where a tally's path begins before any audit: log(E delta') of the first evidence, below 0."""
    return log(share(0, tally.claim.delta))
