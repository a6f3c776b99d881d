"""Tables of figures: what a page shows of them, and the same as CSV that no spreadsheet takes for a formula. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from arbiter.workflow.oversight.measuring import Share
from clinician_ui.presenters.times import short_day, within_words
from clinician_ui.texts import _

_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_STARTS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NOT_TOLD: Final = "\u2013"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as a page shows it and as a program reads it."""

    text: str
    raw: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns (what people read, what programs read) and rows of as many cells; each row's first names it."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]


def word(text: str, raw: str | None = None) -> Cell:
    """Return a cell of words; `raw` where programs read others."""
    return Cell(text, text if raw is None else raw)


def number(value: int) -> Cell:
    """Return a cell of a whole number."""
    return Cell(f"{value:,}", str(value))


def length(value: timedelta | None) -> Cell:
    """Return a cell of how long something took at most, which programs read in seconds; empty for them where it is not told."""
    if value is None:
        return Cell(NOT_TOLD, "")
    return Cell(within_words(value), f"{value.total_seconds():.0f}")


def day(at: datetime) -> Cell:
    """Return a cell of a day."""
    return Cell(_("{day} {year}").format(day=short_day(at), year=at.year), f"{at:%Y-%m-%d}")


SHARE_COLUMNS: Final = ("part", "of", "share", "low", "high")


def share_cells(share: Share) -> tuple[Cell, ...]:
    """Return the cells of a share under `SHARE_COLUMNS`: of too few cases nothing is told, nor how many they are."""
    interval = share.interval
    if share.rate is None or interval is None:
        few = Cell(_("too few to tell"), "")
        return Cell(NOT_TOLD, ""), Cell(NOT_TOLD, ""), few, Cell(NOT_TOLD, ""), Cell(NOT_TOLD, "")
    return (
        number(share.part),
        number(share.whole),
        *(Cell(percent(value), f"{value:.6f}") for value in (share.rate, *interval)),
    )


def percent(rate: float) -> str:
    """Return a share as people read it."""
    return f"{100.0 * rate:.1f}%"


def share_words(share: Share) -> str:
    """Return a share with its interval in words, or that there are too few cases."""
    if share.rate is None or share.interval is None:
        return _("too few to tell")
    low, high = share.interval
    return _("{rate} (95% interval {low} to {high})").format(
        rate=percent(share.rate), low=percent(low), high=percent(high)
    )


def csv_of(table: Table) -> str:
    """Return a table as CSV (RFC 4180, a header, lines that end in CRLF), with a cell that would be a formula made text.

    Whatever begins as a formula does, and is no number, gets an apostrophe in front (OWASP, CSV Injection).
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(name for _title, name in table.columns)
    writer.writerows([_harmless(cell.raw) for cell in row] for row in table.rows)
    return written.getvalue()


def _harmless(text: str) -> str:
    risky = text.lstrip().startswith(_STARTS_FORMULA) or text.startswith(_STARTS_FORMULA)
    return f"'{text}" if risky and not _NUMBER.fullmatch(text) else text


def columns_of(*named: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return columns, each what people read and what programs read."""
    return named


def with_share(*before: tuple[str, str], counted: str) -> tuple[tuple[str, str], ...]:
    """Return columns that end in those of a share; `counted` says what its part counts."""
    return (
        *before,
        (counted, "part"),
        (_("Of"), "of"),
        (_("Share"), "share"),
        (_("From (95%)"), "low"),
        (_("To (95%)"), "high"),
    )


def checked(table: Table) -> Table:
    """Return the table; raise ValueError where a row has not one cell a column."""
    if any(len(row) != len(table.columns) for row in table.rows):
        raise ValueError(f"expected {len(table.columns)} cells in each row")
    return table


def table_of(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a table of these rows."""
    return checked(Table(tuple(columns), tuple(tuple(row) for row in rows)))
