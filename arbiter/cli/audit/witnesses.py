"""`arbiter audit witnesses`: who cosigns this installation's log, and who is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arbiter.cli.audit.group import app
from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import show_rows

if TYPE_CHECKING:
    from arbiter.workflow.house import House
    from arbiter.workflow.log.witness_standings import Standing

_COLUMNS = ("name", "key", "size", "cosigned_at", "behind_since", "fault", "fault_since")


@app.command("witnesses", epilog=examples("arbiter audit witnesses", "arbiter audit witnesses --json"))
def audit_witnesses(*, as_json: AsJson = False) -> None:
    """Show each witness with the size it cosigned last, since when it is behind, and what is wrong."""
    rows = [
        (
            standing.witness.name,
            f"{standing.witness.key.name}+{standing.witness.key.key_id.hex()}",
            standing.size,
            standing.cosigned_at,
            standing.behind_since,
            standing.fault,
            standing.fault_since,
        )
        for standing in in_house(_standings)
    ]
    show_rows(_COLUMNS, rows, as_json=as_json)


async def _standings(house: House) -> tuple[Standing, ...]:
    from arbiter.workflow.log.witness_standings import standings_of

    return await standings_of(house.circle, house.store, house.clock.now())
