"""Plots of the seats: what each adds, what became of asking it, what it said."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from arbiter.evaluation.figures.members import Contributions, Counted, MemberFigures
from arbiter.evaluation.plots.drawing import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    HATCHES,
    ORANGE,
    Plot,
    figure,
    steps,
    style,
    svg_of,
    wrapped,
)
from arbiter.evaluation.rates import Estimate


def contributions(found: Contributions) -> Plot:
    """Draw each member's Shapley value and what is lost without it."""
    title = "What each member adds"
    members = found.members[::-1]
    with style():
        drawn, (left, right) = figure(1.3 + 0.62 * len(members), widths=(1, 1), share_y=True)
        for axes, log in ((left, False), (right, True)):
            for at, each in enumerate(members):
                shapley = each.shapley_log_score if log else each.shapley_accuracy
                without = each.left_out_log_score if log else each.left_out_accuracy
                _bar(axes, at + 0.19, shapley, BLUE, "", "its fair share (Shapley)" if at == 0 else None)
                _bar(axes, at - 0.19, without, ORANGE, "////", "lost if it alone goes" if at == 0 else None)
            axes.axvline(0.0, color=GREY, linewidth=1.0)
            axes.xaxis.set_major_locator(steps())
        left.set_yticks(range(len(members)), [wrapped(each.title, 24) for each in members])
        left.set_xlabel("accuracy, percentage points")
        left.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
        right.set_xlabel("log score, nats a case")
        right.tick_params(axis="y", length=0)
        handles, labels = left.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=2)
    return Plot(
        "contributions",
        title,
        "Plain bars share out all that the panel gains over having no member; they add up to it. Hatched bars are what the panel loses "
        "if that one member leaves and all others stay. A long plain and a short hatched bar: it knows much, and others know "
        "the same. Thin lines are 95 % intervals.",
        svg_of(drawn, "contributions", title),
    )


def _bar(axes: Axes, at: float, estimate: Estimate, colour: str, hatch: str, label: str | None) -> None:
    value = estimate.value or 0.0
    axes.barh(at, value, height=0.36, color=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.6, label=label)
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [at, at], color=BLACK, linewidth=1.1)


def statuses(members: Sequence[MemberFigures]) -> Plot:
    """Draw what became of asking each member."""
    title = "What became of asking each member"
    with style():
        drawn, (axes,) = figure(1.2 + 0.42 * len(members))
        names = [each.name for each in members[0].statuses]
        used = [name for name in names if any(_of(each.statuses, name) for each in members)]
        rows = [
            [_of(each.statuses, name) / max(1, sum(own.count for own in each.statuses)) for name in used]
            for each in members
        ]
        _stacked(axes, [wrapped(each.title, 30) for each in members], used, rows)
        axes.set_xlabel("share of the cases put to the panel")
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(5, len(used)))
    return Plot(
        "statuses",
        title,
        "Valid answers count. A member that abstained lacked a fact, or a model was not sure; one that is invalid, timed out or down "
        "gave nothing that may be used. The service treats each of these differently, and merges none of them.",
        svg_of(drawn, "statuses", title),
    )


def answers(members: Sequence[MemberFigures]) -> Plot:
    """Draw what each member said where its answer was valid."""
    title = "What each member says"
    with style():
        drawn, (axes,) = figure(1.2 + 0.42 * len(members))
        names = sorted({own.name for each in members for own in each.answers})
        rows = [
            [_of(each.answers, name) / max(1, sum(own.count for own in each.answers)) for name in names]
            for each in members
        ]
        _stacked(axes, [wrapped(f"{each.title}: {each.asks}", 40) for each in members], names, rows)
        axes.set_xlabel("share of its valid answers")
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(4, len(names)))
    return Plot(
        "answers",
        title,
        "The option that each member leads with, over all cases to which it gave a valid answer. A member that says the same of "
        "nearly everybody tells a clinician little.",
        svg_of(drawn, "answers", title),
    )


def _stacked(
    axes: Axes, rows: Sequence[str], names: Sequence[str], shares: Sequence[Sequence[float]]
) -> None:
    left = [0.0] * len(rows)
    for at, name in enumerate(names):
        own = [share[at] for share in shares]
        axes.barh(
            range(len(rows)),
            own,
            left=left,
            height=0.66,
            color=COLOURS[at % len(COLOURS)],
            hatch=HATCHES[at % len(HATCHES)],
            edgecolor=BLACK,
            linewidth=0.6,
            label=name,
        )
        left = [before + share for before, share in zip(left, own, strict=True)]
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def _of(counts: Sequence[Counted], name: str) -> int:
    return next((each.count for each in counts if each.name == name), 0)
