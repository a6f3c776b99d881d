"""The report as a whole: its parts fit together, it holds no facts, and what cannot be said it does not say."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path

import pytest

from arbiter.errors import RefusedError
from arbiter.evaluation.document import document_of, json_of
from arbiter.evaluation.figures import answers, members, unseated
from arbiter.evaluation.figures import report as whole
from arbiter.evaluation.figures.report import Report
from arbiter.evaluation.opinions_file import FILE
from arbiter.evaluation.page import render
from arbiter.evaluation.rates import Estimate, Rate
from arbiter.evaluation.reporting import report_of
from tests.evaluation.small import NOW, heard, invented, reported, shelved


def strategies(report: Report) -> dict[str, answers.StrategyFigures]:
    assert report.decisions is not None
    return {way.name: way for way in report.decisions.strategies}


def test_every_way_is_compared_on_the_same_held_out_cases(ward: Report) -> None:
    held_out = next(part for part in ward.seen.parts if part.part == "held out")
    assert {way.coverage.of for way in strategies(ward).values()} == {held_out.asked}
    assert {way.to_human.of for way in strategies(ward).values()} == {held_out.cases}
    assert list(strategies(ward)) == [
        "service", "majority", "weighted", "unanimous", "posterior", "posterior-certified", "cold-start", "stacker",
        "best-member", "news2", "mews", "cart",
    ]  # fmt: skip


def test_the_service_is_what_its_verdicts_were(ward: Report, tmp_path: Path) -> None:
    _, own = heard("deterioration", invented("deterioration", 1200), tmp_path)
    decided = sum(
        hearing.verdict is not None and hearing.verdict.option is not None for _, hearing in own.pairs
    )
    counted = {each.name: each.count for each in ward.seen.verdicts}
    assert sum(count for name, count in counted.items() if name.startswith("decide ")) == decided
    service = strategies(ward)["service"]
    assert 0 < service.coverage.count < decided


def test_parts_add_up_and_excluded_cases_are_counted_apart(ward: Report) -> None:
    assert sum(part.cases for part in ward.seen.parts) == ward.seen.cases == 1200
    assert all(part.cases == part.asked + part.excluded + part.refused for part in ward.seen.parts)
    excluded = sum(part.excluded for part in ward.seen.parts)
    assert 0 < excluded <= sum(each.count for each in ward.seen.exclusions)
    asked = sum(part.asked for part in ward.seen.parts)
    assert all(sum(status.count for status in member.statuses) == asked for member in ward.members)


def test_contributions_add_up_to_the_panels_gain(ward: Report) -> None:
    assert ward.decisions is not None
    found = ward.decisions.contributions
    assert found is not None
    gained = sum(each.shapley_accuracy.value or 0.0 for each in found.members)
    assert gained == pytest.approx(found.whole_accuracy - found.prior_accuracy)
    assert found.smaller[-1].accuracy.value == pytest.approx(found.whole_accuracy)


def test_where_nobody_votes_no_accuracy_is_stated_and_the_page_says_why(theatre: Report) -> None:
    assert theatre.decisions is None
    assert any("no accuracy of a decision can be stated" in sentence for sentence in theatre.summary)
    assert "Why no accuracy of a decision stands here" in render(theatre)
    assert [each.asks for each in theatre.agreement] == ["cardiac-risk"]
    assert {member.asks for member in theatre.members} == {
        "cardiac-risk",
        "pulmonary-risk",
        "sleep-apnoea-risk",
    }


def test_two_runs_make_the_same_bytes_but_for_the_time(ward: Report, tmp_path: Path) -> None:
    again = reported("deterioration", 1200, tmp_path)
    assert json_of(again) == json_of(ward)
    assert render(again) == render(ward)
    later = dataclasses.replace(
        ward, provenance=dataclasses.replace(ward.provenance, generated_at="2031-01-01T00:00:00.000000Z")
    )
    assert render(later).replace("2031-01-01T00:00:00.000000Z", ward.provenance.generated_at).replace(
        "2031-01-01 00:00 UTC", "2026-11-27 12:00 UTC"
    ) == render(ward)


def test_no_fact_of_a_patient_is_in_the_report(tmp_path: Path) -> None:
    """What members cite is in the opinions, and in nothing made from them."""
    marked = {"white_cell_count": {"value": 7.31, "unit": "10*9/L", "age_minutes": 3}}
    lines = [
        {**line, "title": "Canary Patient", "facts": {**line["facts"], **marked}}
        for line in invented("deterioration", 400)
    ]
    cases, own = heard("deterioration", lines, tmp_path)
    report = report_of(shelved("deterioration"), cases, "cases.jsonl", own, NOW)
    assert "7.31" in (tmp_path / FILE).read_text(encoding="utf-8")
    for told in (json_of(report), render(report)):
        assert not [word for word in ("7.31", "Canary", "white_cell_count") if word in told]


def test_an_invented_label_is_told_as_such(ward: Report) -> None:
    assert ward.provenance.synthetic == 1200
    assert "All 1,200</strong>" not in render(ward)
    assert "<strong>All 1,200 cases are synthetic.</strong>" in render(ward)
    real = dataclasses.replace(ward, provenance=dataclasses.replace(ward.provenance, synthetic=0))
    assert "cases are synthetic" not in render(real)
    some = dataclasses.replace(ward, provenance=dataclasses.replace(ward.provenance, synthetic=7))
    assert "<strong>7 of 1,200 cases are synthetic.</strong>" in render(some)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "expected cases that were put to the panel in each part of the split"),
        (3, "expected cases that were put to the panel in each part of the split"),
    ],
)
def test_too_few_cases_are_refused_in_words(number: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=said):
        reported("deterioration", number, tmp_path)


def test_an_option_that_is_never_right_is_refused_by_name(tmp_path: Path) -> None:
    lines = [{**line, "label": "continue-monitoring"} for line in invented("deterioration", 60)]
    cases, own = heard("deterioration", lines, tmp_path)
    with pytest.raises(
        RefusedError, match="at least 2 cases for fitting whose label is urgent-review, 0 came"
    ):
        report_of(shelved("deterioration"), cases, "x", own, NOW)


def test_one_case_of_a_panel_that_only_advises_is_a_report(tmp_path: Path) -> None:
    report = reported("surgery-readiness", 1, tmp_path)
    assert report.seen.cases == 1
    assert "<h1>" in render(report)


def test_cases_that_are_all_excluded_are_refused_for_a_panel_that_votes(tmp_path: Path) -> None:
    lines = [
        {**line, "facts": {**line["facts"], "age": {"value": 5, "unit": "a", "age_minutes": 0}}}
        for line in invented("deterioration", 30)
    ]
    cases, own = heard("deterioration", lines, tmp_path)
    with pytest.raises(RefusedError, match="0 came for fitting, 0 came for the temperature, 0 came held out"):
        report_of(shelved("deterioration"), cases, "x", own, NOW)


def test_cases_that_are_all_excluded_still_make_a_report_of_a_panel_that_advises(tmp_path: Path) -> None:
    lines = [
        {**line, "facts": {**line["facts"], "patient_wish": {"value": "declines", "age_minutes": 0}}}
        for line in invented("surgery-readiness", 10)
    ]
    cases, own = heard("surgery-readiness", lines, tmp_path)
    report = report_of(shelved("surgery-readiness"), cases, "x", own, NOW)
    assert sum(part.excluded for part in report.seen.parts) == 10
    assert "<h1>" in render(report)


def test_the_json_has_the_fields_of_the_figures_and_finite_numbers(ward: Report, theatre: Report) -> None:
    for report in (ward, theatre):
        found = json.loads(json_of(report), parse_constant=pytest.fail)
        assert found == document_of(report)
        assert list(found) == [field.name for field in dataclasses.fields(Report)]


def test_every_key_of_the_json_is_explained_where_it_is_defined() -> None:
    """Each figure's class names in its docstring every field that it has."""
    kinds = [
        kind
        for module in (members, answers, unseated, whole)
        for kind in vars(module).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    ]
    known = {whole.Report, whole.Decisions, answers.CalibrationFigures, unseated.StackerFigures, members.Seen}
    assert {*known, Rate, Estimate} <= set(kinds)
    unexplained = [
        f"{kind.__name__}.{field.name}"
        for kind in kinds
        for field in dataclasses.fields(kind)
        if f"`{field.name}`" not in (kind.__doc__ or "")
    ]
    assert unexplained == []


def test_a_number_that_is_none_is_null(ward: Report) -> None:
    broken = dataclasses.replace(ward.seen, cases=typing.cast(int, float("nan")))
    assert document_of(dataclasses.replace(ward, seen=broken))["seen"]["cases"] is None


def test_opinions_of_a_case_asked_in_other_company_are_the_same(tmp_path: Path) -> None:
    lines = invented("deterioration", 20)
    (tmp_path / "all").mkdir()
    (tmp_path / "last").mkdir()
    _, everyone = heard("deterioration", lines, tmp_path / "all")
    _, alone = heard("deterioration", lines[-1:], tmp_path / "last")
    assert everyone.pairs[-1][1] == alone.pairs[0][1]
