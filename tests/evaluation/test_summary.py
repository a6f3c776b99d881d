"""The sentences claim no more than their numbers: what is certified of what, and what was counted."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from arbiter.evaluation.figures.answers import CertifiedPoint, RiskCurve
from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.page import render
from arbiter.evaluation.plots.curves import risk_coverage
from arbiter.evaluation.summary import summary


def sentences(report: Report, risk: tuple[RiskCurve, ...]) -> tuple[str, ...]:
    assert report.decisions is not None
    changed = dataclasses.replace(report.decisions, risk=risk)
    return summary(report.seen, report.members, report.agreement, changed, report.provenance.calibration)


def certified_as(report: Report, point: CertifiedPoint) -> tuple[RiskCurve, ...]:
    assert report.decisions is not None
    return tuple(
        curve if curve.option is None else dataclasses.replace(curve, certified=point)
        for curve in report.decisions.risk
    )


def test_where_nothing_is_certified_no_more_is_said_than_that(ward: Report) -> None:
    nothing = CertifiedPoint(0.03, None, 0, 0, None, None, None)
    told = [each for each in sentences(ward, certified_as(ward, nothing)) if "nothing is certified" in each]
    assert len(told) == 2
    assert all("with these cases nothing is certified for the posterior alone" in each for each in told)
    assert all("whatever policy and quorum" in each and "at most 3.0 %" in each for each in told)
    assert not re.search("no threshold|not to be decided|must not be decided", render(ward))


def test_what_is_certified_is_said_of_the_posterior_alone(ward: Report) -> None:
    point = CertifiedPoint(0.05, 0.9, 200, 2, 0.031, 0.5, 0.01)
    told = [
        each for each in sentences(ward, certified_as(ward, point)) if "the error rate is at most" in each
    ]
    assert len(told) == 2
    assert all("for the posterior alone, without quorum and policy, above" in each for each in told)
    assert all("at most 3.1 %" in each and "2 wrong of 200 accepted" in each for each in told)


def test_the_posterior_is_right_where_it_answers_and_that_is_counted(ward: Report) -> None:
    assert ward.decisions is not None
    posterior = next(way for way in ward.decisions.strategies if way.name == "posterior")
    (told,) = [each for each in ward.summary if "Wherever it answers" in each]
    assert f"in {posterior.coverage.count} of the {posterior.coverage.of} cases" in told
    assert not any("answered everything" in each for each in ward.summary)


def test_each_limit_of_the_risk_plot_names_its_options(ward: Report) -> None:
    assert ward.decisions is not None
    one, *others = (curve for curve in ward.decisions.risk if curve.option is not None)
    apart = (
        dataclasses.replace(one, certified=CertifiedPoint(0.01, None, 0, 0, None, None, None)),
        *(
            dataclasses.replace(each, certified=CertifiedPoint(0.025, None, 0, 0, None, None, None))
            for each in others
        ),
    )
    drawn = risk_coverage(apart).svg
    assert f">{one.option}: 1 %<" in drawn
    assert all(f">{each.option}: 2.5 %<" in drawn for each in others)


# --- a panel that only advises ----------------------------------------------------------------------------------------------


def advice(report: Report, **changes: Any) -> tuple[str, ...]:
    seen = dataclasses.replace(report.seen, **changes)
    return summary(seen, report.members, report.agreement, None, report.provenance.calibration)


def test_advice_is_told_by_how_often_it_was_there(theatre: Report) -> None:
    asked = sum(part.asked for part in theatre.seen.parts)
    (told,) = [each for each in theatre.summary if each.startswith("A clinician would see each of the")]
    assert f"each of the {asked} cases" in told
    counts = [int(number) for number in re.findall(r"in (\d+) \(", told)]
    assert len(counts) == 2
    assert all(0 < count < asked for count in counts)


def test_where_every_fact_was_there_none_is_said_to_lack(theatre: Report) -> None:
    (told,) = [each for each in advice(theatre, reasons=()) if "lacked a fact" in each]
    assert "in 0 (0.0 %) one of them lacked a fact" in told


def test_where_nobody_was_asked_no_share_is_told(theatre: Report) -> None:
    nobody = tuple(dataclasses.replace(part, asked=0) for part in theatre.seen.parts)
    assert not any("lacked a fact" in each or "least often" in each for each in advice(theatre, parts=nobody))


def test_a_panel_that_votes_is_not_told_as_one_that_advises(ward: Report) -> None:
    assert not any("lacked a fact" in each or "With one member alone" in each for each in ward.summary)


def test_the_page_breaks_no_line_between_a_number_and_its_unit(ward: Report) -> None:
    listed = re.search(r'<ul class="summary">(.*?)</ul>', render(ward), re.DOTALL)
    assert listed is not None
    assert "\N{NO-BREAK SPACE}%" in listed[1]
    assert " %" not in listed[1]
    assert "`" not in listed[1]
