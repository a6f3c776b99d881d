"""Plots of the posterior: risk against coverage with what is certified, and reliability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from arbiter.evaluation.figures.answers import CalibrationFigures, RiskCurve
from arbiter.evaluation.plots.drawing import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    Plot,
    figure,
    steps,
    style,
    svg_of,
    wrapped,
)

_LINE: Final = 0.065
"""The height of a line of small print, as a share of the risk plot's axis."""


def risk_coverage(curves: Sequence[RiskCurve]) -> Plot:
    """Draw risk against coverage for each decided option and for all together, with the certified points."""
    title = "What accepting fewer cases gains"
    with style():
        drawn, (axes,) = figure(4.2)
        for at, curve in enumerate(curves):
            colour = BLACK if curve.option is None else COLOURS[(at - 1) % len(COLOURS)]
            axes.step(
                [point.coverage for point in curve.points],
                [point.risk for point in curve.points],
                where="pre",
                color=colour,
                linestyle=LINES[at % len(LINES)],
                linewidth=1.5,
                marker="." if len(curve.points) <= 30 else None,
                label=wrapped(curve.title, 44),
            )
            point = curve.certified
            if point is not None and point.coverage is not None and point.risk is not None:
                axes.plot(
                    [point.coverage],
                    [point.risk],
                    color=colour,
                    marker=MARKERS[at % len(MARKERS)],
                    markersize=10,
                    markeredgecolor=BLACK,
                    linestyle="none",
                    label=wrapped(f"certified: {curve.title}", 44),
                )
        axes.set_xlim(0.0, 1.02)
        axes.set_ylim(bottom=0.0)
        _draw_limits(axes, curves)
        axes.set_xlabel("coverage: share of the cases that lead with the option")
        axes.set_ylabel("risk: wrong, of those accepted")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
            axis.set_major_locator(steps(6))
        drawn.legend(loc="outside lower center", ncols=2)
    return Plot(
        "risk",
        title,
        "Going left, only cases with a higher posterior are accepted; the lower the line, the fewer of them are wrong. A large marker "
        "is the certified point of an option for the posterior alone, without quorum and policy: from there to the left the error "
        "rate is bounded at the stated confidence. Dotted is what each option's error rate is to stay within. For an option without "
        "a large marker nothing is certified with these cases, be it that there are too few of them; what the whole decision may be "
        "certified for, with quorum and policy, is another set of cases, and arbiter calibrate says it.",
        svg_of(drawn, "risk", title),
    )


def _draw_limits(axes: Axes, curves: Sequence[RiskCurve]) -> None:
    """Draw the error rates to stay within, each with its options beside it, where no curve runs."""
    limits = _limits(curves)
    highest = max([axes.get_ylim()[1], *(1.1 * alpha for alpha in limits)])
    axes.set_ylim(0.0, highest)
    free = 0.0
    for alpha in sorted(limits):
        axes.axhline(alpha, color=GREY, linewidth=1.0, linestyle=(0, (1, 2)))
        at = max(alpha, free)
        words = f"{wrapped(', '.join(limits[alpha]), 24)}: {100 * alpha:g} %"
        axes.annotate(
            words, (1.03, at), annotation_clip=False, va="bottom", color=GREY, fontsize=8.5, clip_on=False
        )
        free = at + _LINE * highest * (1 + words.count("\n"))


def _limits(curves: Sequence[RiskCurve]) -> dict[float, list[str]]:
    """Return each error rate to stay within with the ids of the options that it is for."""
    found: dict[float, list[str]] = {}
    for curve in curves:
        if curve.option is not None and curve.certified is not None and curve.certified.alpha is not None:
            found.setdefault(curve.certified.alpha, []).append(curve.option)
    return found


def reliability(calibration: CalibrationFigures) -> Plot:
    """Draw how often the posterior is right against how sure it is, with the number of cases below."""
    title = "Whether its probabilities can be taken at their word"
    with style():
        drawn, (left, right) = figure(3.4, widths=(1, 1))
        left.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="as sure as right")
        for each in calibration.bins:
            if each.right.low is not None and each.right.high is not None:
                left.plot([each.confidence] * 2, [each.right.low, each.right.high], color=BLUE, linewidth=1.6)
        left.plot(
            [each.confidence for each in calibration.bins],
            [each.right.value or 0.0 for each in calibration.bins],
            color=BLUE,
            marker="o",
            linestyle="--",
            linewidth=1.0,
            label="the posterior",
        )
        left.set_xlim(0.0, 1.02)
        left.set_ylim(0.0, 1.02)
        left.set_xlabel("how sure it was, on average")
        left.set_ylabel("how often it was right")
        left.legend(loc="upper left")
        right.bar(
            [(each.low + each.high) / 2 for each in calibration.bins],
            [each.right.of for each in calibration.bins],
            width=0.09,
            color=BLUE,
            edgecolor=BLACK,
            linewidth=0.6,
        )
        right.set_xlim(0.0, 1.02)
        right.set_xlabel("how sure it was, in tenths")
        right.set_ylabel("cases")
        for axis in (left.xaxis, left.yaxis, right.xaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
            axis.set_major_locator(steps())
    return Plot(
        "reliability",
        title,
        "On the dotted line, of the cases called 80 % sure eight in ten are right. Below it the posterior promises too much, above it "
        "too little. The bars on the right say how many cases stand behind each point: a point far off with few cases matters "
        "little.",
        svg_of(drawn, "reliability", title),
    )
