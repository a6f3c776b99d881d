"""Heat maps over pairs of members; the number stands in each field, so that a shade need not be guessed."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from arbiter.evaluation.figures.members import Agreement, Pairwise
from arbiter.evaluation.plots.drawing import BLACK, Plot, figure, style, svg_of, wrapped

_LIGHT_UNTIL = 0.55
_ROOMY = 4


def agreement(agreements: Sequence[Agreement], titles: dict[str, str]) -> Plot:
    """Draw the share of cases on which two members lead with the same, a map for each question or facet."""
    title = "How often two members say the same"
    with style():
        most = max(len(each.agreement.members) for each in agreements)
        sizes = [len(each.agreement.members) for each in agreements]
        drawn, axes = figure(1.6 + 0.5 * most, widths=sizes)
        for own, each in zip(axes, agreements, strict=True):
            _map(own, each.agreement, titles, crowded=sum(sizes) > _ROOMY)
            own.set_title(wrapped("the question" if each.asks == "question" else f"facet {each.asks}", 30))
    return Plot(
        "agreement",
        title,
        "Of the cases that both answered, the share on which they lead with the same option. Darker is more. Members that nearly "
        "always agree are one voice in two seats; members that hardly do are where a clinician has most to look at.",
        svg_of(drawn, "agreement", title),
    )


def error_correlation(pairs: Pairwise, titles: dict[str, str]) -> Plot:
    """Draw the correlation of two members' errors."""
    title = "How far two members err on the same cases"
    with style():
        drawn, (axes,) = figure(1.5 + 0.55 * len(pairs.members))
        _map(axes, pairs, titles, crowded=len(pairs.members) > _ROOMY)
    return Plot(
        "errors",
        title,
        "Pearson's correlation of being wrong, over the held-out cases that both answered. At 0 one member's errors say nothing "
        "about the other's and two are worth two; towards 1 they fail together and a second one protects from little. Below 0 "
        "they fail on different cases. A dash: it cannot be computed.",
        svg_of(drawn, "errors", title),
    )


def _map(axes: Axes, pairs: Pairwise, titles: dict[str, str], *, crowded: bool) -> None:
    number = len(pairs.members)
    shades = colormaps["Blues"]
    for row in range(number):
        for column in range(number):
            if row == column:
                continue
            value = pairs.values[row][column]
            depth = 0.0 if value is None else min(1.0, max(0.0, value))
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1.0, 1.0, facecolor=shades(0.9 * depth), edgecolor="white"))
            axes.text(
                column,
                row,
                "\N{EN DASH}" if value is None else f"{value:.2f}",
                ha="center",
                va="center",
                color=BLACK if depth < _LIGHT_UNTIL else "white",
            )
    names = [titles[member] for member in pairs.members]
    # Ids are short, and the titles stand beside the rows.
    if crowded:
        axes.set_xticks(range(number), pairs.members, rotation=25, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(number), pairs.members)
    axes.set_yticks(range(number), [wrapped(name, 18 if crowded else 28) for name in names])
    axes.set_xlim(-0.5, number - 0.5)
    axes.set_ylim(number - 0.5, -0.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
