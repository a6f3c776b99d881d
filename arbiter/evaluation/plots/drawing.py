"""How every plot looks, and how it becomes SVG that can stand in a page with others.

Colours are those of Okabe and Ito (2008), told apart by those who see few colours; with each goes a marker, a line style and a
hatch, so that a print in grey says the same. Text stays text: it can be read aloud, searched and copied. No date, no random id.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
YELLOW: Final = "#F0E442"
BLACK: Final = "#000000"
GREY: Final = "#595959"

COLOURS: Final = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: Final = ("-", "--", "-.", ":")
HATCHES: Final = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oooo")

WIDTH: Final = 7.6
"""Inches: what a page's column holds at the size of its text."""

_APART: Final = 0.14
"""Inches on either side of a plot."""

_STYLE: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9.5,
        "axes.titlesize": 10,
        "axes.labelsize": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#d9d9d9",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "figure.facecolor": "white",
        "hatch.linewidth": 0.6,
        # Titles are the protocol's: a dollar in one begins no formula.
        "text.parse_math": False,
    }
)
_NOTHING: Final[Mapping[str, None]] = MappingProxyType(dict.fromkeys(("Date", "Creator", "Format", "Type")))
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_TO_ID = re.compile(r'(?:url\(#([^)]+)\)|xlink:href="#([^"]+)")')


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: `svg` is safe to stand in a page as it is; `title` and `caption` are plain text."""

    name: str
    title: str
    caption: str
    svg: str


def figure(
    height: float, *, widths: Sequence[float] = (1,), share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of a height in inches, with axes of these relative widths beside one another."""
    with mpl.rc_context(dict(_STYLE)):
        # The last label of one plot must not touch the first of the next.
        drawn = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=_APART))
        axes = drawn.subplots(1, len(widths), sharey=share_y, squeeze=False, width_ratios=widths)
        return drawn, list(axes[0])


def style() -> Any:
    """Return the context within which a figure is drawn on."""
    return mpl.rc_context(dict(_STYLE))


def svg_of(drawn: Figure, name: str, title: str) -> str:
    """Return a figure as an `svg` element for a page: no prolog, no metadata, ids that no other plot has."""
    out = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        FigureCanvasSVG(drawn).print_svg(out, metadata=dict(_NOTHING))  # type: ignore[no-untyped-call]  # matplotlib gives it no types
    text = out.getvalue()
    text = _METADATA.sub("", text[text.index("<svg") :])
    text = _ID.sub(lambda found: f'id="{name}-{found[1]}"', text)
    text = _TO_ID.sub(lambda found: _reference(name, found), text)
    text = re.sub(r'\s+xmlns:xlink="[^"]*"', "", text)
    # The page says how wide a plot is; the plot how high it is for that.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    head = f'<svg role="img" aria-label="{_attribute(title)}"'
    return text.replace("<svg", head, 1).strip()


def _reference(name: str, found: re.Match[str]) -> str:
    return f"url(#{name}-{found[1]})" if found[1] else f'href="#{name}-{found[2]}"'


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def steps(most: int = 5) -> MaxNLocator:
    """Return ticks at round numbers."""
    return MaxNLocator(most, steps=[1, 2, 5, 10])


def wrapped(text: str, width: int = 34) -> str:
    """Return a label in lines of at most so many characters, and at most three of them."""
    return "\n".join(textwrap.wrap(text, width, max_lines=3, placeholder=" …"))
