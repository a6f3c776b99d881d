"""`arbiter audit stats`: what the log is made of, how fast it grows, how long entries wait for their seal, what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.audit.words import said
from arbiter.cli.examples import examples
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson
from arbiter.cli.output import entry_bar, out, show_json

if TYPE_CHECKING:
    from arbiter.workflow.house import House
    from arbiter.workflow.log.figures import LogFigures

BAR_WIDTH = 40
DAYS_SHOWN = 14
_PERCENTILES = ("p50", "p90", "p99", "max")

Bar = tuple[str, int]


@app.command("stats", epilog=examples("arbiter audit stats", "arbiter audit stats --all --json"))
def audit_stats(
    *,
    newest: Annotated[
        int | None,
        typer.Option(
            "--newest", min=1, help="How many of the newest entries to look at.", show_default="100000"
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Look at every entry, however long it takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the log is made of: entries by type and day, how long they waited for their seal, what they take on disk."""

    async def measure(house: House) -> LogFigures:
        from arbiter.workflow.log.figures import NEWEST, measure_log

        with entry_bar() as advance:
            most = None if everything else newest or NEWEST
            return await measure_log(house, house.settings.zone, most, advance)

    figures = in_house(measure, check_log=False)
    if as_json:
        show_json(_record(figures))
    elif out.is_terminal:
        _draw(figures)
    else:
        for section, bars in _sections(figures):
            for name, count in bars:
                typer.echo(f"{section}\t{name}\t{count}")


def _record(figures: LogFigures) -> dict[str, Any]:
    return {
        "size": figures.size,
        "looked_at": figures.entries,
        "pending": figures.pending,
        "pending_since": figures.pending_since,
        "unreadable": figures.unreadable,
        "checkpoints": figures.checkpoints,
        "entries_a_checkpoint": figures.entries / figures.checkpoints if figures.checkpoints else None,
        "by_type": dict(figures.by_type),
        "by_day": {day.isoformat(): count for day, count in figures.by_day},
        "seconds_to_seal": None
        if figures.delays is None
        else dict(zip(_PERCENTILES, figures.delays, strict=True)),
        "waits": dict(_waits(figures)),
        "table_bytes": dict(figures.table_bytes),
        "bytes_an_entry": figures.bytes_an_entry,
    }


def _sections(figures: LogFigures) -> tuple[tuple[str, Sequence[Bar]], ...]:
    return (
        ("log", (("size", figures.size), ("looked at", figures.entries), ("pending", figures.pending))),
        ("type", figures.by_type),
        ("day", tuple((day.isoformat(), count) for day, count in figures.by_day)),
        ("wait", _waits(figures)),
        ("checkpoints", (("checkpoints", figures.checkpoints),)),
        ("bytes", figures.table_bytes),
    )


def _waits(figures: LogFigures) -> tuple[Bar, ...]:
    from arbiter.workflow.log.figures import DELAY_BOUNDS

    names = (*(f"up to {_seconds(bound)}" for bound in DELAY_BOUNDS), "longer")
    return tuple(zip(names, figures.delay_classes, strict=True))


def _draw(figures: LogFigures) -> None:
    out.print(
        f"{figures.size} entries, of which the newest {figures.entries} are counted below; {figures.pending} wait for "
        "their seal"
    )
    if figures.unreadable:
        out.print(
            f"{figures.unreadable} are gone or are no entries: `arbiter audit verify`", style="bold red"
        )
    _chart("what they say", [(said(kind), count) for kind, count in figures.by_type])
    days = [(day.isoformat(), count) for day, count in figures.by_day]
    _chart("by day", days[-DAYS_SHOWN:])
    if figures.delays is not None:
        told = ", ".join(f"{n} {_seconds(s)}" for n, s in zip(_PERCENTILES, figures.delays, strict=True))
        _chart(f"from writing to sealing: {told}", _waits(figures))
        each = figures.entries / figures.checkpoints
        out.print(f"\n[bold]checkpoints[/]  {figures.checkpoints}, {each:.1f} entries each")
    _chart("bytes on disk, indexes included", figures.table_bytes)
    if figures.bytes_an_entry is not None:
        out.print(f"{figures.bytes_an_entry:.0f} bytes an entry")


def _chart(title: str, bars: Iterable[Bar]) -> None:
    rows = list(bars)
    out.print(f"\n[bold]{title}[/]")
    most = max((count for _, count in rows), default=0)
    width = max((len(name) for name, _ in rows), default=0)
    for name, count in rows:
        out.print(f"  {name:<{width}}  {count:>10}  {bar(count, most)}", markup=False)


def bar(count: int, most: int) -> str:
    """Return a bar as long as `count` is of `most`; anything that is there at all shows."""
    return "█" * max(1, round(BAR_WIDTH * count / most)) if count else ""


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if abs(seconds) < 1 else f"{seconds:.1f} s".replace(".0 s", " s")
