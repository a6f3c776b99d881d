"""The sentences claim no more than their numbers: what is certified of what, and what was counted."""

from __future__ import annotations

import dataclasses
import re

from arbiter.evaluation.figures import CertifiedPoint, Report, RiskCurve
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
