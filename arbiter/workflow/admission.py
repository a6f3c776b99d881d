"""Lets cases in as long as those already in can meet their deadlines; the graver ones last to be turned away.

Three limits, each looked at when a case comes in and nothing of it is kept yet:

- how many cases this process has in hand, of which the less grave may fill a share only, so that room is reserved;
- how much of its processor the process uses, how late its event loop runs, and whether graver cases are about: routine
  cases wait at the door, and are turned away, before an urgent one feels it much;
- how long a new case would take at the rate at which cases are concluded now, against its own deadline.

Who is turned away is told when to come again and has left nothing behind; who is let in is never dropped.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from time import process_time
from types import MappingProxyType
from typing import Final

from arbiter.errors import OverloadedError, ShedError
from arbiter.model import RiskClass
from arbiter.workflow.right_of_way import RightOfWay

SHARES: Final[Mapping[RiskClass, float]] = MappingProxyType(
    {RiskClass.ROUTINE: 0.6, RiskClass.URGENT: 0.85, RiskClass.EMERGENCY: 1.0}
)
"""How much of the capacity may be full for a case of that class still to be let in."""

LATEST_SECONDS: Final[Mapping[RiskClass, float]] = MappingProxyType(
    {RiskClass.ROUTINE: 0.02, RiskClass.URGENT: 1.0, RiskClass.EMERGENCY: math.inf}
)
"""How late the event loop may run for a case of that class still to be let in."""

BUSIEST: Final = 0.3
"""How much of its processor this process may use for a further routine case to be let in: what is left is an urgent one's."""

BUSY_SMOOTHING: Final = 0.1
"""What a sample adds to the share believed so far: about a fifth of a second is remembered."""

A_SECOND: Final = 3
"""So many routine cases a second are let in however busy the process is, while nothing else is in hand."""

ALWAYS: Final = 1
"""With fewer cases in hand it is not they that keep the loop busy, and turning another away would help nobody."""

WATCHFUL_SECONDS: Final = 2.0
"""So long after a graver case was at work the next is expected: routine cases come in apart till then."""

APART_SECONDS: Final = 0.05
"""How long after one routine case the next comes in then: about what the first keeps the processor for, with its seal."""

SAMPLE_SECONDS: Final = 0.02
DECAY: Final = 0.93
"""How much of the greatest lateness seen is still believed a sample later."""

PATIENCE_SECONDS: Final = 2.0
"""How long a routine case waits at the door for a quiet moment before it is turned away: bursts are smoothed, not refused."""

WAITING_LIMIT: Final = 16
LOOK_AGAIN_SECONDS: Final = 0.02

RATE_SECONDS: Final = 5.0
FEW: Final = 8
"""With fewer cases in hand, or fewer concluded, a rate of conclusion says nothing."""

SHORTEST_WAIT_SECONDS: Final = 1
LONGEST_WAIT_SECONDS: Final = 60


class Ticket:
    """A case's place among those in hand, until it is given back."""

    def __init__(self, admission: Admission, risk_class: RiskClass) -> None:
        self._admission = admission
        self._risk_class = risk_class
        self._held = True

    def give_back(self, *, concluded: bool = False) -> None:
        """Make room; a second time does nothing."""
        if self._held:
            self._held = False
            self._admission.left(self._risk_class, concluded=concluded)


class Admission:
    """The gate of one process."""

    def __init__(self, capacity: int) -> None:
        self.way = RightOfWay()
        self._capacity = capacity
        self._in_hand: Counter[RiskClass] = Counter()
        self._waiting = 0
        self._head_of_the_queue = asyncio.Lock()
        self._routine_entered: deque[float] = deque(maxlen=A_SECOND)
        self._late_seconds = 0.0
        self._busy_since = 0.0
        self._busy_share = 0.0
        self._concluded_at: deque[float] = deque()

    @property
    def in_hand(self) -> Mapping[RiskClass, int]:
        """How many cases of each class this process has in hand."""
        return MappingProxyType(self._in_hand)

    @property
    def late_seconds(self) -> float:
        """How late the event loop ran of late."""
        return self._late_seconds

    @property
    def door_is_full(self) -> bool:
        """Whether as many routine cases wait at the door as may."""
        return self._waiting >= WAITING_LIMIT

    @staticmethod
    def turned_away() -> ShedError:
        """Return what a routine case hears when the door is full."""
        return ShedError("the house is busy, and enough routine cases wait", SHORTEST_WAIT_SECONDS)

    async def enter(self, risk_class: RiskClass, deadline: timedelta) -> Ticket:
        """Let a case in as `admit` does, a routine one after a moment's wait if need be, first come first served."""
        if risk_class is not RiskClass.ROUTINE:
            return self.admit(risk_class, deadline)
        if not self._waiting:
            with suppress(ShedError):
                return self.admit(risk_class, deadline)
        if self.door_is_full:
            raise self.turned_away()
        self._waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._head_of_the_queue:
                while True:
                    with suppress(ShedError):
                        return self.admit(risk_class, deadline)
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise ShedError("the house stayed busy while this case waited", SHORTEST_WAIT_SECONDS) from None
        finally:
            self._waiting -= 1

    def admit(self, risk_class: RiskClass, deadline: timedelta) -> Ticket:
        """Let a case in that must be concluded within `deadline`; the caller gives the ticket back.

        Raises:
            ShedError: when there is room left for graver cases alone; OverloadedError: when there is none at all, or the
                case would miss its deadline.
        """
        held = self._in_hand.total()
        if held >= self._capacity:
            raise OverloadedError(
                f"this process has {held} cases in hand and takes no more", self._wait(held)
            )
        if held >= math.floor(self._capacity * SHARES[risk_class]):
            raise ShedError(
                f"{held} cases are in hand; what room is left is kept for graver ones", self._wait(held)
            )
        late = self._late_seconds > LATEST_SECONDS[risk_class]
        routine = risk_class is RiskClass.ROUTINE
        busy = late or (routine and self._busy_share > BUSIEST)
        if busy and (held >= ALWAYS or (routine and self._routine_within(1.0) >= A_SECOND)):
            raise ShedError(
                f"the house is busy: {risk_class.value} cases wait outside", SHORTEST_WAIT_SECONDS
            )
        if routine and self.way.taken_within(WATCHFUL_SECONDS) and self._routine_within(APART_SECONDS):
            raise ShedError("graver cases are at work: routine ones come in apart", SHORTEST_WAIT_SECONDS)
        self._check_deadline(risk_class, held, deadline.total_seconds())
        self._in_hand[risk_class] += 1
        if risk_class is RiskClass.ROUTINE:
            self._routine_entered.append(_now())
        if held + 1 == FEW:
            # A rate says how fast cases can be concluded only while there are some to conclude.
            self._busy_since = _now()
            self._concluded_at.clear()
        return Ticket(self, risk_class)

    def left(self, risk_class: RiskClass, *, concluded: bool) -> None:
        """Note that a case is no longer in hand; `concluded` when its work was done."""
        self._in_hand[risk_class] -= 1
        if concluded:
            now = _now()
            self._concluded_at.append(now)
            self._forget(now)

    async def watch(self) -> None:
        """Measure how late the event loop runs, until cancelled."""
        used, at = process_time(), _now()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            now_used, now = process_time(), _now()
            self.note_lateness(now - at - SAMPLE_SECONDS)
            self.note_busy((now_used - used) / max(now - at, SAMPLE_SECONDS))
            used, at = now_used, now

    def note_lateness(self, seconds: float) -> None:
        """Take in one sample: the greatest is believed for a while."""
        self._late_seconds = max(seconds, self._late_seconds * DECAY)

    def note_busy(self, share: float) -> None:
        """Take in how much of a processor was used during one sample."""
        self._busy_share += BUSY_SMOOTHING * (share - self._busy_share)

    def _routine_within(self, seconds: float) -> int:
        """Return how many routine cases were let in during the last so many seconds, `A_SECOND` at most."""
        since = _now() - seconds
        return sum(at > since for at in self._routine_entered)

    def _check_deadline(self, risk_class: RiskClass, held: int, deadline_seconds: float) -> None:
        if risk_class is RiskClass.EMERGENCY or held < FEW:
            return
        rate = self._rate()
        if rate is None:
            return
        # Little's law: what is in hand, over the rate at which it leaves, is how long a newcomer stays.
        expected_seconds = held / rate
        if expected_seconds >= deadline_seconds:
            raise OverloadedError(
                f"a {risk_class.value} case would take about {expected_seconds:.0f} s now, its deadline is "
                f"{deadline_seconds:.0f} s",
                self._wait(held),
            )

    def _wait(self, held: int) -> int:
        """Return after how many seconds some room should have come free."""
        rate = self._rate()
        seconds = SHORTEST_WAIT_SECONDS if not rate else math.ceil(held / rate / 2)
        return min(max(seconds, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)

    def _rate(self) -> float | None:
        """Return how many cases a second this process concludes while it is busy, None where too few tell."""
        now = _now()
        self._forget(now)
        if len(self._concluded_at) < FEW:
            return None
        return len(self._concluded_at) / max(min(RATE_SECONDS, now - self._busy_since), SAMPLE_SECONDS)

    def _forget(self, now: float) -> None:
        while self._concluded_at and self._concluded_at[0] < now - RATE_SECONDS:
            self._concluded_at.popleft()


def _now() -> float:
    return asyncio.get_running_loop().time()
