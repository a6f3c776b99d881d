"""The newest cases of a client's sites: a table that keeps itself fresh, or a line whenever a case has moved."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import typer
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from arbiter.cli.cases.following import Trail
from arbiter.cli.cases.words import local_time, standing
from arbiter.cli.door import Server, call, case_in, json_of
from arbiter.cli.output import out
from arbiter.errors import UnavailableError, counted

COLUMNS = ("id", "changed", "protocol", "risk class", "site", "phase", "standing")


def list_once(server: Server, limit: int, *, as_json: bool) -> None:
    """Print the newest cases as they are now."""
    with server.open() as client:
        cases = _cases(json_of(call(client, "GET", "/v1/cases", params={"limit": limit})))
    if as_json:
        for case in cases:
            typer.echo(json.dumps(case))
    elif out.is_terminal:
        out.print(_table(cases), soft_wrap=False)
    else:
        for case in cases:
            typer.echo("\t".join(_cells(case)))


def follow_cases(server: Server, limit: int, every: float, patience: float, *, as_json: bool) -> None:
    """Show the newest cases until interrupted; raises as `follow_case` does."""
    with server.open() as client:
        pages = _pages(client, limit, every, patience)
        if out.is_terminal and not as_json:
            with Live(Text("asking"), console=out, auto_refresh=False, screen=False) as live:
                for cases in pages:
                    live.update(_table(cases), refresh=True)
        for case in _moved(pages):
            typer.echo(json.dumps(case) if as_json else "\t".join(_cells(case)))


def _moved(pages: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield each case when it is first seen and whenever it has moved since, oldest first."""
    seen: dict[str, int] = {}
    for cases in pages:
        for case in reversed(cases):
            if seen.get(case["id"]) != case.get("entries"):
                yield case
        seen = {case["id"]: int(case.get("entries", 0)) for case in cases}


def _pages(client: httpx.Client, limit: int, every: float, patience: float) -> Iterator[list[dict[str, Any]]]:
    """Yield the first page whenever it differs from the last one; the server says whether it does."""
    trail = Trail()
    etag = ""
    while True:
        try:
            headers = {"If-None-Match": etag} if etag else {}
            reply = call(client, "GET", "/v1/cases", params={"limit": limit}, headers=headers)
        except UnavailableError as error:
            trail.wait(error, patience)
            continue
        trail.heard()
        if reply.status_code != HTTPStatus.NOT_MODIFIED:
            etag = reply.headers.get("ETag", "")
            yield _cases(json_of(reply))
        time.sleep(every)


def _cases(page: Any) -> list[dict[str, Any]]:
    match page:
        case {"cases": list(cases)}:
            return [case_in(case) for case in cases]
        case _:
            raise UnavailableError("expected a page of cases, something else came")


def _cells(case: dict[str, Any]) -> list[str]:
    return [
        case["id"],
        local_time(case["changed_at"]),
        str(case["protocol"]),
        str(case["risk_class"]),
        str(case["site"]),
        case["phase"],
        standing(case),
    ]


def _table(cases: list[dict[str, Any]]) -> RenderableType:
    table = Table(*COLUMNS, title=f"{counted(len(cases), 'newest case')}; Ctrl-C ends")
    for case in cases:
        style = "bold red" if case.get("overdue") else "yellow" if case["phase"] == "escalated" else None
        table.add_row(*(Text(cell) for cell in _cells(case)), style=style)
    return table
