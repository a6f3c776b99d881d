"""How far what stops deciding alone has come: one statement instead of reading it all anew for each decision."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.store.transaction import Where, run


@dataclass(frozen=True, slots=True)
class Marks:
    """The order of the newest step about a calibration, and of the newest about an alarm; 0 where there is none.

    Steps of a kind are taken one after another, each holding the house's chain from before it is numbered until its commit:
    so whoever knows the newest knows all before it.
    """

    calibrations: int
    alarms: int


_MARKS = """
SELECT (SELECT coalesce(max(id), 0) FROM calibration_step), (SELECT coalesce(max(id), 0) FROM watch_step)
"""


async def load_marks(where: Where) -> Marks:
    """Return how far both have come."""
    return Marks(*(await run(where, _MARKS, {}))[0])
