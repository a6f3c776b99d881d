"""Plots of accuracy and coverage: by way to answer, by size of panel, by group of patients."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from arbiter.evaluation.figures.answers import Subgroup
from arbiter.evaluation.figures.members import SmallerPanel
from arbiter.evaluation.figures.report import Decisions
from arbiter.evaluation.plots.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    VERMILION,
    Plot,
    figure,
    steps,
    style,
    svg_of,
    wrapped,
)
from arbiter.evaluation.rates import Estimate, Rate

_KINDS = {"service": (BLACK, "D"), "strategy": (BLUE, "o"), "member": (VERMILION, "s")}


def strategies(decisions: Decisions) -> Plot:
    """Draw accuracy and coverage of every way to answer."""
    ways = decisions.strategies[::-1]
    title = "How often each way of answering is right, and how often it answers"
    with style():
        drawn, (left, right) = figure(0.9 + 0.42 * len(ways), widths=(1, 1), share_y=True)
        for at, way in enumerate(ways):
            colour, marker = _KINDS[way.kind]
            _interval(left, at, way.accuracy, colour, marker)
            _interval(right, at, way.coverage, colour, marker)
        left.set_yticks(range(len(ways)), [wrapped(way.title, 32) for way in ways])
        left.set_xlabel("right, of those answered")
        right.set_xlabel("answered, of those\nput to the panel")
        for axes in (left, right):
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))
            axes.xaxis.set_major_locator(steps())
        right.set_xlim(-0.03, 1.03)
        right.tick_params(axis="y", length=0)
    return Plot(
        "strategies",
        title,
        "Further right is better on both sides (the left one does not begin at 0), and neither side says much without the other: answering only what is easy makes "
        "any panel look accurate. Diamond: the service as configured. Circles: strategies over the whole panel. Squares: one "
        "member alone. Lines are 95 % intervals.",
        svg_of(drawn, "strategies", title),
    )


def _interval(axes: Axes, at: float, rate: Rate | Estimate, colour: str, marker: str) -> None:
    if rate.value is None:
        return
    if rate.low is not None and rate.high is not None:
        axes.plot([rate.low, rate.high], [at, at], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot([rate.value], [at], color=colour, marker=marker, markersize=6, linestyle="none")


def smaller_panels(panels: Sequence[SmallerPanel]) -> Plot:
    """Draw the accuracy of the best panel of each size."""
    title = "What a smaller panel would give"
    with style():
        drawn, (axes,) = figure(2.9)
        sizes = [panel.size for panel in panels]
        for panel in panels:
            if panel.accuracy.low is not None and panel.accuracy.high is not None:
                axes.plot(
                    [panel.size] * 2, [panel.accuracy.low, panel.accuracy.high], color=BLUE, linewidth=1.6
                )
        axes.plot(
            sizes, [panel.accuracy.value or 0.0 for panel in panels], color=BLUE, marker="o", linestyle="--"
        )
        axes.set_xticks(sizes)
        axes.set_xlim(min(sizes) - 0.5, max(sizes) + 0.5)
        axes.set_xlabel("members on the panel")
        axes.set_ylabel("right, of all put to the panel")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    return Plot(
        "smaller",
        title,
        "The best panel of each size, chosen on the fitting cases and measured on the held-out ones; the axis does not begin at 0. Where the line is flat, "
        "further members add nothing here that those before them did not already see; they may still be worth their seat for "
        "what happens when one is down.",
        svg_of(drawn, "smaller", title),
    )


def subgroups(groups: Sequence[Subgroup]) -> Plot:
    """Draw accuracy by group."""
    title = "Whether it is as often right for some patients as for others"
    ordered = list(groups)[::-1]
    with style():
        drawn, (left, right) = figure(0.9 + 0.34 * len(ordered), widths=(1, 1), share_y=True)
        for at, group in enumerate(ordered):
            marker = "o" if not group.small else "x"
            _interval(left, at, group.accuracy, BLUE, marker)
            _interval(right, at, group.gap, GREEN, marker)
        left.set_yticks(range(len(ordered)), [_group(group) for group in ordered])
        left.set_xlabel("right, of those answered")
        right.set_xlabel("difference from all others, in points")
        right.axvline(0.0, color=GREY, linewidth=1.0)
        left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
        for axes in (left, right):
            axes.xaxis.set_major_locator(steps())
        right.tick_params(axis="y", length=0)
    return Plot(
        "subgroups",
        title,
        "Accuracy of the posterior in each group, and its difference from everybody else. A line that crosses zero is a difference "
        "that chance alone could explain; of twenty groups that are alike one would not cross it. A cross marks a group too small to "
        "say much. Groups may differ because their cases are harder: a gap is a question, not yet an answer.",
        svg_of(drawn, "subgroups", title),
    )


def _group(group: Subgroup) -> str:
    return f"{group.kind} {group.group} (n {group.cases:,})"
