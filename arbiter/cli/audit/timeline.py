"""`arbiter audit log`: the log's entries as a timeline, filtered, newest first or from the start, or as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbiter.cli.audit.group import app
from arbiter.cli.audit.words import changed, clock, said, style
from arbiter.cli.examples import examples
from arbiter.cli.failing import UsageError
from arbiter.cli.inside import in_house
from arbiter.cli.options import AsJson, Since, Until
from arbiter.cli.output import err, out
from arbiter.cli.when import instant

if TYPE_CHECKING:
    from arbiter.workflow.house import House
    from arbiter.workflow.log.timeline import Sought, TimelineEntry, TimelinePage

FOLLOW_SECONDS = 1.0
_FOLLOW_PAGE = 1_000

Case = Annotated[str | None, typer.Option("--case", help="One case, or another chain such as `house`.")]
Actor = Annotated[
    list[str] | None, typer.Option("--actor", help="Who acted, by id; may be given more than once.")
]
Kind = Annotated[
    list[str] | None,
    typer.Option("--type", help="`case.decided`, or `case` for all its kinds; may be given more than once."),
]
Site = Annotated[str | None, typer.Option("--site", help="Entries of one site's cases.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many entries to show.")]
FromStart = Annotated[bool, typer.Option("--from-start", help="Oldest first; else newest first.")]
Place = Annotated[
    int | None,
    typer.Option(
        "--place", min=0, help="Go on from this index, as the page before said.", show_default=False
    ),
]
Follow = Annotated[bool, typer.Option("--follow", help="Show the newest, then each as it is sealed.")]


@app.command(
    "log",
    epilog=examples(
        "arbiter audit log",
        "arbiter audit log --case c_4jnoc5hb37oz5irylzg747rv",
        "arbiter audit log --type case.escalated --type escalation --since 12h",
        "arbiter audit log --follow --json",
    ),
)
def audit_log(
    *,
    case: Case = None,
    actor: Actor = None,
    kind: Kind = None,
    site: Site = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    from_start: FromStart = False,
    place: Place = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Show the log's entries in words: who did what to which case when, never what a case holds.

    An entry about who may do what also names the account, client or site, and its roles and sites before and after.
    Times are shown in the hospital's zone (ARBITER_TIME_ZONE), and read in it. `--json` prints one object a line.
    """
    if follow and (from_start or place is not None or until is not None):
        raise UsageError("--follow: expected without --from-start, --place and --until")
    if case is not None and place is not None:
        raise UsageError("--place: expected without --case, whose entries are shown from its own chain")

    async def show(house: House) -> None:
        from arbiter.workflow.log.timeline import Sought

        zone, now = house.settings.zone, datetime.now(UTC)
        sought = Sought(
            case=case,
            actors=frozenset(actor or ()),
            kinds=tuple(kind or ()),
            site=site,
            since=instant("--since", since, now, zone),
            until=instant("--until", until, now, zone),
        )
        if follow:
            await _follow(house, sought, limit, as_json=as_json)
        elif case is not None:
            await _show_chain(house, case, sought, limit, newest_first=not from_start, as_json=as_json)
        else:
            await _show_page(house, sought, limit, place, newest_first=not from_start, as_json=as_json)

    in_house(show, check_log=False)


async def _show_page(
    house: House, sought: Sought, limit: int, place: int | None, *, newest_first: bool, as_json: bool
) -> None:
    from arbiter.workflow.log.timeline import read_backwards, read_forwards

    read = read_backwards if newest_first else read_forwards
    page = await read(house, sought, limit, place)
    await _print(house, page.entries, as_json=as_json)
    _tell_rest(page, limit)


async def _show_chain(
    house: House, case: str, sought: Sought, limit: int, *, newest_first: bool, as_json: bool
) -> None:
    from arbiter.errors import NotFoundError
    from arbiter.workflow.log.timeline import Sought, read_chain

    found = await read_chain(house, case, sought)
    if not found and not await read_chain(house, case, Sought()):
        raise NotFoundError(f"the log has no entry of a case {case}")
    shown = found[::-1][:limit] if newest_first else found[:limit]
    await _print(house, shown, as_json=as_json)
    if len(found) > limit:
        err.print(f"{len(found) - limit} more of this case: --limit", style="dim")


async def _follow(house: House, sought: Sought, limit: int, *, as_json: bool) -> None:
    from arbiter.workflow.log.timeline import log_size, read_backwards, read_forwards

    place = await log_size(house)
    newest = await read_backwards(house, sought, limit, place)
    await _print(house, newest.entries[::-1], as_json=as_json)
    while True:
        page = await read_forwards(house, sought, _FOLLOW_PAGE, place)
        await _print(house, page.entries, as_json=as_json)
        place = page.next_place
        if not page.more:
            await asyncio.sleep(FOLLOW_SECONDS)


def _tell_rest(page: TimelinePage, limit: int) -> None:
    if not page.more:
        return
    if len(page.entries) == limit:
        err.print(f"more: --place {page.next_place}", style="dim")
    else:
        err.print(
            f"looked at {page.looked_at} entries and stopped: --place {page.next_place} goes on",
            style="yellow",
        )


async def _print(house: House, entries: Iterable[TimelineEntry], *, as_json: bool) -> None:
    zone = house.settings.zone
    for each in entries:
        about = await _about(house, each)
        if as_json:
            typer.echo(json.dumps(_record(each) | about))
        elif out.is_terminal:
            _print_line(each, about, zone)
        else:
            typer.echo("\t".join(_cells(each, about, zone)))


async def _about(house: House, each: TimelineEntry) -> dict[str, Any]:
    """Return what an entry about the register says of whom, {} for any other; it holds nothing of a patient's."""
    from arbiter.errors import ArbiterError
    from arbiter.workflow.register import entered

    if each.entry is None:
        return {}
    try:
        about = await entered(house, each.entry)
    except ArbiterError as error:
        return {"fault": str(error)}
    return {} if about is None else {"about": about}


def _record(each: TimelineEntry) -> dict[str, Any]:
    entry = each.entry
    if entry is None:
        return {"index": each.index, "fault": each.fault}
    return {
        "index": each.index,
        "at": entry.at.isoformat(),
        "type": entry.type,
        "says": said(entry.type),
        "case": entry.case,
        "seq": entry.seq,
        "actor": entry.actor,
        "count": entry.count,
    }


def _cells(each: TimelineEntry, about: dict[str, Any], zone: tzinfo | None) -> tuple[str, ...]:
    index = "unsealed" if each.index is None else str(each.index)
    entry = each.entry
    if entry is None:
        return (index, "", "", each.fault or "", "", "")
    cells = (index, clock(entry.at, zone), entry.actor, said(entry.type), entry.case, str(entry.seq))
    return (*cells, changed(about)) if about else cells


def _print_line(each: TimelineEntry, about: dict[str, Any], zone: tzinfo | None) -> None:
    from rich.text import Text

    index, at, actor, says, case, seq, *more = _cells(each, about, zone)
    kind = "" if each.entry is None else each.entry.type
    out.print(
        Text.assemble(
            (f"{index:>9}  ", "dim"),
            (f"{at:<19}  ", ""),
            (f"{actor:<24}  ", "cyan"),
            (f"{says:<52}  ", style(kind) if each.entry is not None else "bold red"),
            (f"{case} {seq}".strip(), "dim"),
            *(f"  {words}" for words in more),
        )
    )
