"""What commands print: results to standard output, everything about the run to standard error.

What is printed is copied and piped: no line is broken in two, and a program gets whole values, by tabs or as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, TaskID

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print a value as JSON; instants in ISO 8601, enumerations by their value."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=_plain))


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, as_json: bool) -> None:
    """Print a table to a person, values with tabs between to a pipe, or a JSON array of objects."""
    held = [tuple(row) for row in rows]
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in held])
    elif not out.is_terminal:
        for row in held:
            typer.echo("\t".join(in_words(value) for value in row))
    else:
        _show_table(columns, held)


def show_record(record: Sequence[tuple[str, Any]], *, as_json: bool) -> None:
    """Print one thing: a line a property, or a JSON object."""
    if as_json:
        show_json(dict(record))
        return
    width = max(len(name) for name, _ in record)
    for name, value in record:
        out.print(f"{name:<{width}}  {in_words(value)}", markup=False)


def in_words(value: Any) -> str:
    """Return a value as a person reads it in a table."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case tuple() | list():
            return ",".join(in_words(item) for item in value)
        case _:
            return str(value)


@contextmanager
def entry_bar() -> Iterator[Callable[[int, int], None]]:
    """Yield what is told of work on many entries, (how many are done, of how many)."""
    with count_bar() as tell:
        yield lambda done, total: tell("entries", done, total)


@contextmanager
def count_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield what is told of long work, (what is being done, how many, of how many)."""
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.0f}/s")

    with _bar(BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()) as tell:
        yield tell


@contextmanager
def byte_bar(total: int | None = None) -> Iterator[Callable[[str, int], None]]:
    """Yield what is told of work with many bytes, (what is being done, how far)."""
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    with _bar(BarColumn(), DownloadColumn(), TransferSpeedColumn()) as tell:
        yield lambda what, done: tell(what, done, total)


@contextmanager
def _bar(*columns: ProgressColumn) -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar for each thing that is told of: on standard error, and only for somebody who watches."""
    from rich.progress import Progress, TextColumn

    described = TextColumn("{task.description}")
    with Progress(described, *columns, console=err, disable=not err.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tell


def _show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in rows:
        table.add_row(*(Text(in_words(value)) for value in row))
    out.print(table, soft_wrap=False)


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case _:
            raise TypeError(f"nothing says how {type(value).__name__} looks in JSON")
