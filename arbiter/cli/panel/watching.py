"""`arbiter panel watch`: how the fleet stands, in a table that keeps itself fresh, once, or as JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from arbiter.cli.examples import examples
from arbiter.cli.failing import Status
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import err, out
from arbiter.cli.panel.group import app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arbiter.workflow.fleet_watch import Watch
    from arbiter.workflow.house import House

EVERY_SECONDS = 2.0

Every = Annotated[
    float, typer.Option("--every", min=0.5, max=3600, help="Seconds between two looks at the fleet.")
]
Once = Annotated[bool, typer.Option("--once", help="Show the fleet as it stands now, and end.")]


@app.command(
    "watch",
    epilog=examples("arbiter panel watch", "arbiter panel watch --once", "arbiter panel watch --json"),
)
def panel_watch(*, once: Once = False, every: Every = EVERY_SECONDS, as_json: AsJson = False) -> None:
    """Show how the seats, the model servers and their replicas stand, and what needs doing, until Ctrl-C.

    It reads from the database what each running process tells of the fleet every few seconds. `--json` prints an object a
    look. To a pipe it prints lines of tab-separated values, the first of which says what the line is about.

    Exit status: 0 shown, and no alarm; 1 with --once, where something is an alarm or nothing says that there is a fleet;
    4 the database does not answer; 130 Ctrl-C.
    """
    failed = in_house(lambda house: _watch(house, once=once, every=every, as_json=as_json), check_log=False)
    if once and failed:
        raise typer.Exit(Status.FAILED)


async def _watch(house: House, *, once: bool, every: float, as_json: bool) -> bool:
    """Show the fleet once, or again and again; return whether what was shown last has an alarm, or is nothing at all."""
    from rich.live import Live
    from rich.text import Text

    from arbiter.cli.panel.fleet_tables import NO_FLEET, fleet_document, fleet_lines, fleet_view
    from arbiter.fleet.finding import Level

    zone = house.settings.zone
    watch: Watch | None = None
    if as_json or not out.is_terminal:
        async for watch in _looks(house, every, once=once):
            if as_json:
                typer.echo(fleet_document(watch))
            else:
                for line in fleet_lines(watch):
                    typer.echo(line)
            if watch.is_empty:
                err.print(f"arbiter: {NO_FLEET}", markup=False)
    elif once:
        async for watch in _looks(house, every, once=True):
            out.print(fleet_view(watch, zone), soft_wrap=False)
    else:
        with Live(Text("asking"), console=out, auto_refresh=False, screen=True) as live:
            async for watch in _looks(house, every, once=False):
                live.update(fleet_view(watch, zone), refresh=True)
    # To have seen nothing is no sign that all is well: a script that asks must not pass on it.
    if watch is None or watch.is_empty:
        return True
    return any(finding.level is Level.ALARM for finding in watch.findings)


async def _looks(house: House, every: float, *, once: bool) -> AsyncIterator[Watch]:
    from arbiter.workflow.fleet_watch import look_at_fleet

    while True:
        yield await look_at_fleet(house)
        if once:
            return
        await asyncio.sleep(every)
