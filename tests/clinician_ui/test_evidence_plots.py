"""Where evidence is drawn: against the alarm's level, on a logarithmic scale, and never nearer or farther than it is."""

from __future__ import annotations

import itertools
import math
import re

import pytest

from arbiter.calibrating.watch import begin_watch, share
from clinician_ui.presenters.evidence_plots import EvidencePlot, evidence_plot

START = math.log(0.0125)


def points(plot: EvidencePlot) -> list[tuple[float, float]]:
    assert re.fullmatch(r"M[\d. ]+(L[\d. ]+)*", plot.line)
    return [(float(x), float(y)) for x, y in (pair.split() for pair in plot.line[1:].split("L"))]


def test_before_any_audit_the_line_is_a_point_below_the_alarm() -> None:
    plot = evidence_plot((), START)
    ((x, y),) = points(plot)
    assert (x, y) == (plot.last_x, plot.last_y)
    assert y > plot.levels[0].y


def test_levels_are_powers_of_ten_with_the_alarm_on_top() -> None:
    plot = evidence_plot((START - 1.0,), START)
    assert [level.label for level in plot.levels] == ["alarm", "1/10", "1/100", "1/1,000"]
    heights = [level.y for level in plot.levels]
    assert heights == sorted(heights)
    steps = {round(below - above, 1) for above, below in itertools.pairwise(heights)}
    assert max(steps) - min(steps) <= 0.1, "each power of ten has as much room"


@pytest.mark.parametrize("power", [0, 1, 2])
def test_a_value_stands_on_the_level_that_it_is(power: int) -> None:
    plot = evidence_plot((-power * math.log(10),), START)
    assert plot.last_y == plot.levels[power].y


def test_what_is_beyond_an_edge_stays_at_it() -> None:
    above = evidence_plot((3.0,), START)
    assert above.last_y == above.levels[0].y
    below = evidence_plot((-50.0,), START)
    assert below.last_y == below.levels[-1].y


@pytest.mark.parametrize("length", [9, 199, 200, 201, 1_999, 20_000])
def test_a_long_path_is_drawn_by_few_points_and_no_peak_is_lost(length: int) -> None:
    path = [START - 1.0 + math.sin(at) / 2 for at in range(length)]
    path[length // 3] = -0.1
    plot = evidence_plot(path, START)
    drawn = points(plot)
    assert len(drawn) <= 202
    peak = evidence_plot((-0.1, START - 2.0), START)
    assert min(y for _, y in drawn) == pytest.approx(points(peak)[1][1], abs=0.1)
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    last = evidence_plot((path[-1], START - 1.5), START)
    assert plot.last_y == pytest.approx(points(last)[1][1], abs=0.1), "it ends where it stands now"


@pytest.mark.parametrize(
    ("path", "start"),
    [((math.nan,), START), ((math.inf,), START), ((-math.inf,), START), ((), 0.0), ((), 1.0), ((), math.nan)],
)
def test_what_is_no_evidence_is_not_drawn(path: tuple[float, ...], start: float) -> None:
    with pytest.raises(ValueError, match="finite evidence"):
        evidence_plot(path, start)


def test_a_watch_that_alarms_is_drawn_up_to_the_alarm() -> None:
    watch = begin_watch(0.05, 0.025, 200)
    path = []
    while not watch.alarmed:
        watch = watch.after(True)
        path.append(max(each.log_value + math.log(each.delta) for each in watch.running))
    plot = evidence_plot(path, math.log(share(0, 0.025)))
    assert plot.last_y == plot.levels[0].y
    assert all(y > plot.levels[0].y for _, y in points(plot)[:-1])
