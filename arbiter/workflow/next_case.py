"""The next case: the most urgent that a reviewer may take, found and claimed in one go.

Who else reaches for the same case at the same moment goes on to the one behind it: a claim is a move of the case's own, which one
alone can make (`arbiter.workflow.review.holding`), and what the lifecycle forbids this reviewer is passed over. Audits are given
out in their place on the list, as it shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from arbiter.errors import ConflictError, ErasedError, NotFoundError
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Permission
from arbiter.model import CaseId
from arbiter.store.cases.waiting import Narrowing, next_waiting
from arbiter.workflow.house import House
from arbiter.workflow.review.holding import claim
from arbiter.workflow.work_list import EVERYTHING, looking_of

AT_ONCE = 20
"""How many candidates are fetched at a time."""
MOST_TRIED = 400
"""How many a reviewer is refused before the search is given up: what is refused so often is not for this reviewer."""


@dataclass(slots=True)
class InHand:
    """The cases that somebody in this process is about to claim by the button: others try those behind them first.

    It saves work and decides nothing: another process does not see it, and a claim that fails leaves the case to the next.
    """

    _cases: set[CaseId] = field(default_factory=set)

    @contextmanager
    def take(self, case: CaseId) -> Iterator[None]:
        """Count a case as in hand during the block."""
        self._cases.add(case)
        try:
            yield
        finally:
            self._cases.discard(case)

    def __contains__(self, case: CaseId) -> bool:
        return case in self._cases


async def take_next(
    house: House, principal: Principal, narrowing: Narrowing = EVERYTHING, in_hand: InHand | None = None
) -> CaseId | None:
    """Claim the most urgent waiting case that this reviewer may take, as `review.claim` does; None when there is none.

    Raises:
        ForbiddenError: for whoever may not review; UnavailableError: when the database does not answer, and a case may be
        claimed or not: the work list shows it.
    """
    principal.require(Permission.REVIEW_WORK)
    in_hand = InHand() if in_hand is None else in_hand
    tried: set[CaseId] = set()
    while len(tried) < MOST_TRIED:
        candidates = await next_waiting(house.store, looking_of(house, principal), narrowing, tried, AT_ONCE)
        if not candidates:
            return None
        # The order is fixed when the others have been tried: by then those in hand are mostly taken.
        for later in (False, True):
            for case in candidates:
                if case in tried or (case in in_hand and not later):
                    continue
                tried.add(case)
                with in_hand.take(case):
                    if await _claimed(house, principal, case):
                        return case
    return None


async def _claimed(house: House, principal: Principal, case: CaseId) -> bool:
    try:
        await claim(house, principal, case)
    except (ConflictError, NotFoundError, ErasedError):
        # Somebody was faster, it is not this reviewer's to take, or it is not there any more: not this one.
        return False
    return True
