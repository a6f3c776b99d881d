"""Renders the report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.

All text that came from outside is escaped by the template; the plots are ours and stand in the page as they are. The page
forbids itself to load anything (Content-Security-Policy), and says the same on paper and in the dark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from arbiter.calibrating.stacking import FEWEST_HELD_OUT
from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.plots import curves, pairs, seats, ways
from arbiter.evaluation.plots.drawing import Plot
from arbiter.evaluation.rates import Estimate, Rate
from arbiter.evaluation.summary import calibration_words, percent

_LONGEST_ID: Final = 80
_TIED: Final = "\N{NO-BREAK SPACE}"
_NONE: Final = "\N{EN DASH}"
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def render(report: Report) -> str:
    """Return the page."""
    drawn = {plot.name: plot for plot in _plots(report)}
    return _environment().get_template("report.html.jinja").render(report=report, plots=drawn)


def _plots(report: Report) -> Sequence[Plot]:
    titles = {member.member: member.title for member in report.members}
    found: list[Plot] = []
    if report.agreement:
        found.append(pairs.agreement(report.agreement, titles))
    if report.members and report.members[0].statuses:
        found += [seats.statuses(report.members), seats.answers(report.members)]
    decisions = report.decisions
    if decisions is None:
        return found
    found += [
        ways.strategies(decisions),
        curves.risk_coverage(decisions.risk),
        curves.reliability(decisions.calibration),
    ]
    if len(decisions.error_correlation.members) > 1:
        found.append(pairs.error_correlation(decisions.error_correlation, titles))
    if decisions.contributions is not None:
        found += [
            seats.contributions(decisions.contributions),
            ways.smaller_panels(decisions.contributions.smaller),
        ]
    if decisions.subgroups:
        found.append(ways.subgroups(decisions.subgroups))
    return found


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("arbiter.evaluation"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["fewest_held_out"] = FEWEST_HELD_OUT
    environment.filters.update(
        percent=percent,
        interval=_interval,
        points=_points,
        nats=_nats,
        number=_number,
        id=_id,
        words=_words,
        sentence=_sentence,
        plot=_svg,
        whole=_whole,
        calibration=calibration_words,
    )
    return environment


def _interval(rate: Rate | Estimate) -> str:
    """Return the interval of a rate in percent."""
    if rate.low is None or rate.high is None:
        return _NONE
    return f"{100 * rate.low:.1f}{_TIED}to{_TIED}{100 * rate.high:.1f}"


def _points(estimate: Estimate) -> str:
    """Return an estimate in percentage points with its interval."""
    return _estimate(estimate, 100.0, 1)


def _nats(estimate: Estimate) -> str:
    """Return an estimate as it is with its interval."""
    return _estimate(estimate, 1.0, 4)


def _estimate(estimate: Estimate, factor: float, decimals: int) -> str:
    if estimate.value is None:
        return _NONE
    value = f"{factor * estimate.value:+.{decimals}f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({factor * estimate.low:+.{decimals}f} to {factor * estimate.high:+.{decimals}f})"


def _number(value: float | None, decimals: int = 3) -> str:
    return _NONE if value is None else f"{value:.{decimals}f}"


def _whole(value: int) -> str:
    return f"{value:,}"


def _id(text: str) -> str:
    """Return an id from outside as it can be shown: no control characters, none that turn the text round, not longer than a line."""
    told = _words(text)
    return told if len(told) <= _LONGEST_ID else f"{told[:_LONGEST_ID]}… ({len(text):,} characters)"


def _words(text: str) -> str:
    """Return text from outside without control characters, nor those that turn text round."""
    told = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cf" else char for char in told
    )


def _sentence(text: str) -> str:
    """Return a sentence of the summary as the page shows it: numbers keep their unit, and commands stand without quotes."""
    return text.replace(" %", f"{_TIED}%").replace("`", "")


def _svg(plot: Plot) -> Markup:
    return Markup(plot.svg)  # noqa: S704 - matplotlib wrote it, and escapes what it is given
