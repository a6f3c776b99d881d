"""The figures of panels and clinicians turned into what their page says: a sentence, a plot and a table each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.workflow.oversight.looking import Overseen
from clinician_ui.presenters.figure_tables import Table
from clinician_ui.presenters.oversight_judging import judging_figure, reliance_figure
from clinician_ui.presenters.oversight_panel import (
    agreement_figure,
    alarms_figure,
    families_figure,
    members_figure,
)
from clinician_ui.presenters.oversight_parts import Figure
from clinician_ui.presenters.oversight_ways import escalation_figure, reasons_figure, times_figure
from clinician_ui.presenters.times import Here, Moment, moment

_FIGURES: Final[dict[str, Callable[[Overseen, Here], Figure]]] = {
    "escalation": escalation_figure,
    "reasons": reasons_figure,
    "times": times_figure,
    "families": families_figure,
    "agreement": agreement_figure,
    "judging": judging_figure,
    "reliance": reliance_figure,
    "members": members_figure,
    "alarms": alarms_figure,
}
NAMES: Final = tuple(_FIGURES)
"""The figures by name, in the order of the page; each is a CSV of its own."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose in the filters."""

    value: str
    text: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters as they stand, to be shown again as they were sent."""

    protocols: tuple[Choice, ...]
    sites: tuple[Choice, ...]
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class OversightPage:
    """Every figure of what was asked; none where the filters have to be put right first."""

    filters: Filters
    figures: tuple[Figure, ...]
    query: str
    at: Moment
    zone: str


def oversight_page(overseen: Overseen | None, filters: Filters, query: str, here: Here) -> OversightPage:
    """Return the page; `query` is what a figure's CSV is asked with."""
    figures: Sequence[Figure] = ()
    if overseen is not None:
        figures = [make(overseen, here) for make in _FIGURES.values()]
    return OversightPage(filters, tuple(figures), query, moment(here.now, here), here.zone_name)


def table_named(name: str, overseen: Overseen, here: Here) -> Table:
    """Return the table of a figure; raise KeyError for one that there is not."""
    return _FIGURES[name](overseen, here).table
