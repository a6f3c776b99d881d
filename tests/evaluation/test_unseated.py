"""The page says what no service decides by, what it would be worth, and what could not be fitted."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.page import render


def shown(report: Report, **changes: Any) -> str:
    assert report.decisions is not None
    page = render(dataclasses.replace(report, decisions=dataclasses.replace(report.decisions, **changes)))
    between = page[page.index("Before there are labels") : page.index('id="guarantee"')]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", between))


def test_the_page_says_what_a_cold_start_is_worth_and_that_no_service_decides_by_it(ward: Report) -> None:
    assert ward.decisions is not None
    cold = ward.decisions.cold_start
    assert cold is not None
    told = shown(ward)
    assert f"{cold.cases} fitting cases without their labels" in told
    assert f"differs from the posterior by {100 * (cold.accuracy_gain.value or 0):+.1f} (" in told
    assert "no service ever decides by it, for without labels nothing can be certified" in told
    assert f"stood still after {cold.iterations} iterations" in told
    stopped = shown(ward, cold_start=dataclasses.replace(cold, converged=False))
    assert "before it stood still: more of them might change its figures" in stopped


def test_the_page_says_whether_the_stacker_wins_and_shows_its_weights(ward: Report) -> None:
    assert ward.decisions is not None
    own = ward.decisions.stacker
    assert own is not None
    for wins, words, p_value, said in (
        (True, "The stacker wins over", 1e-7, "p &lt; 0.0001"),
        (False, "The stacker does not win over", 0.0712, "p = 0.0712"),
    ):
        told = shown(ward, stacker=dataclasses.replace(own, wins=wins, p_value=p_value))
        assert words in told
        assert said in told
        assert "no shipped protocol seats it" in told
    assert f"intercept {own.intercept:+.4f}" in told
    assert f"log-odds by the posterior {own.log_odds:+.4f}" in told
    assert told.count("not there, or the same in all fitting cases") == 3
    assert "with no sign but the posterior" in told.lower()


def test_the_page_says_what_could_not_be_fitted_or_told(ward: Report) -> None:
    assert ward.decisions is not None
    cold, own = ward.decisions.cold_start, ward.decisions.stacker
    assert cold is not None
    assert own is not None
    told = shown(ward, cold_start=None, stacker=None)
    assert "EM cannot be fitted to these cases" in told
    assert "No stacker can be fitted to these cases" in told
    assert "seated" not in told
    assert "decides by it" not in told
    unsaid = dataclasses.replace(
        own, held_out=1, p_value=None, log_loss=None, posterior_log_loss=None, wins=False
    )
    told = shown(ward, stacker=unsaid, cold_start=dataclasses.replace(cold, calibration=None))
    assert "cannot be said: fewer than two held-out cases" in told
    assert "win over the posterior" not in told
    assert "none for any held-out case" in told
