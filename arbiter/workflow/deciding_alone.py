"""What is asked of the database before a panel's verdict becomes a decision, whatever this process remembers.

INVARIANT: nothing is decided by a calibration whose withdrawal was committed before the asking, nor under an alarm that was.
"""

from __future__ import annotations

from arbiter.store.marks import load_marks
from arbiter.workflow.calibrations.standings import look_for_approved
from arbiter.workflow.house import House
from arbiter.workflow.watching.alarms import look_for_stops


async def ask_before_deciding(house: House) -> None:
    """Learn what was approved, withdrawn, alarmed and lifted since this process last heard, if anything was."""
    marks = await load_marks(house.store)
    if marks.calibrations != house.approved.mark:
        await look_for_approved(house)
    if marks.alarms != house.stops.mark:
        await look_for_stops(house)
