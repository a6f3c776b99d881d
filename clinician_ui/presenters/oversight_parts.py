"""What every figure of the oversight page consists of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.workflow.oversight.measuring import FEWEST, Share
from clinician_ui.presenters.figure_tables import Cell, Table, share_cells, share_words
from clinician_ui.presenters.plots import CoursePlot, Entered, RowsPlot
from clinician_ui.texts import _


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: its name, title, what it says in a sentence, what its numbers are of, its plot and the table behind it.

    At most one of `rows` and `course` is there; neither where there is nothing to draw. `link` leads to a page that says more.
    """

    name: str
    title: str
    sentence: str
    note: str
    table: Table
    rows: RowsPlot | None = None
    course: CoursePlot | None = None
    link: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A share with what people and programs call it."""

    title: str
    name: str
    share: Share


def entered(labelled: Labelled) -> Entered:
    """Return a share as a row of a plot."""
    share = labelled.share
    if share.rate is None or share.interval is None:
        return Entered(labelled.title, share_words(share), None)
    return Entered(labelled.title, share_words(share), share.rate, *share.interval)


def share_row(labelled: Labelled) -> tuple[Cell, ...]:
    """Return a share as a row of a table."""
    return (Cell(labelled.title, labelled.name), *share_cells(labelled.share))


def few(reviews: int) -> str:
    """Return what is said of none, or too few reviews."""
    if not reviews:
        return _("No review was signed.")
    return _("Fewer than {number} reviews were signed: too few to tell.").format(number=FEWEST)
