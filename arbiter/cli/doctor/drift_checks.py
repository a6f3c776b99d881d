"""What `arbiter doctor` looks at about drift: whatever has moved and nobody has acknowledged."""

from __future__ import annotations

from arbiter.cli.doctor.findings import Finding, first_of
from arbiter.cli.when import to_the_minute
from arbiter.store.drifts import load_alarms
from arbiter.store.transaction import Where

_SHOWN = 5
_CHECK = "drift"


async def drift(where: Where) -> tuple[Finding, ...]:
    """Look at what stands of the alarms about inputs and agreement."""
    standing = await load_alarms(where, standing=True)
    if not standing:
        return (Finding(_CHECK, "ok", "nothing that panels read has an alarm that stands"),)
    told = [f"{alarm.protocol} {alarm.stream} since {to_the_minute(alarm.alarmed_at)}" for alarm in standing]
    advice = (
        "decisions go on; see `arbiter guarantee drift`, find out what changed at its source, then "
        "`arbiter guarantee acknowledge-drift`"
    )
    return (Finding(_CHECK, "warn", f"moved: {first_of(told, _SHOWN)}", advice),)
