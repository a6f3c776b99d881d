"""When a second request may be sent although the first still runs: rarely, and never more than a fixed share of all.

Guarantees: at every moment hedges are at most one for each `CALLS_A_HEDGE` calls made, which is 5%; a long quiet time
saves up no more than `SAVED`.
"""

from __future__ import annotations

from typing import Final

from arbiter.fleet.state import CALLS_A_HEDGE

SAVED: Final = 100
"""So many hedges at most follow each other without a call between them."""
_KEPT_PERCENT: Final = 60
"""So much of what could be saved is kept for replicas that have fallen silent: what is slow now and then would use it up."""
ENOUGH: Final = 20
"""So many replies of a model on a replica are known before their 95th percentile is believed."""


class Allowance:
    """The hedges that the calls so far have paid for; whole numbers, so that the cap is exact."""

    __slots__ = ("_credit", "calls", "hedges", "won")

    def __init__(self) -> None:
        self.calls = 0
        self.hedges = 0
        self.won = 0
        self._credit = 0

    def called(self) -> None:
        """Count a call."""
        self.calls += 1
        self._credit = min(self._credit + 1, SAVED * CALLS_A_HEDGE)

    def take(self, *, silent: bool) -> bool:
        """Return whether a hedge may be sent now, and count it if so; `silent`: the replica answers nobody any more."""
        kept = 0 if silent else _KEPT_PERCENT * min(self.calls, SAVED * CALLS_A_HEDGE) // 100
        if self._credit - CALLS_A_HEDGE < kept:
            return False
        self._credit -= CALLS_A_HEDGE
        self.hedges += 1
        return True
