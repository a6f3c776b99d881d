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
    from arbiter.workflow.log.circle_in_force import Dropped
    from arbiter.workflow.log.witness_standings import Standing

_COLUMNS = ("name", "key", "named", "size", "cosigned_at", "behind_since", "fault", "fault_since")
_DROPPED = "the file names it no more: it is not asked, and what it cosigned counts for nothing"


@app.command("witnesses", epilog=examples("arbiter audit witnesses", "arbiter audit witnesses --json"))
def audit_witnesses(*, as_json: AsJson = False) -> None:
    """Show each witness with the size it cosigned last, since when it is behind, and what is wrong; those named before too."""
    standings, dropped = in_house(_standings)
    rows: list[tuple[object, ...]] = [
        (
            standing.witness.name,
            standing.witness.key.label,
            True,
            standing.size,
            standing.cosigned_at,
            standing.behind_since,
            standing.fault,
            standing.fault_since,
        )
        for standing in standings
    ]
    rows += [(d.name, d.key.label, False, d.size, None, None, _DROPPED, None) for d in dropped]
    show_rows(_COLUMNS, rows, as_json=as_json)


async def _standings(house: House) -> tuple[tuple[Standing, ...], tuple[Dropped, ...]]:
    from arbiter.workflow.log.circle_in_force import dropped_from
    from arbiter.workflow.log.witness_standings import standings_of

    standings = await standings_of(house.circle, house.store, house.clock.now())
    return standings, await dropped_from(house.circle, house.store)
