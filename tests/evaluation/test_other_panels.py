"""Panels unlike the shipped ones: one voter, eleven, four options, guarantees for some options, members that never answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from arbiter.errors import RefusedError
from arbiter.evaluation.asking import TAKEN_AT
from arbiter.evaluation.ballots import Ballots
from arbiter.evaluation.cases import Case, Cases
from arbiter.evaluation.document import json_of
from arbiter.evaluation.figures.report import Decisions, Report
from arbiter.evaluation.hearing import Came, Hearing
from arbiter.evaluation.opinions_file import Unused
from arbiter.evaluation.page import render
from arbiter.evaluation.reporting import report_of
from arbiter.evaluation.running import Heard
from arbiter.model import MemberIdentity, MemberStatus, Opinion, RiskClass, Verdict, VerdictKind
from arbiter.protocols.bundle import LabelledCase
from arbiter.question import QUESTION, Guarantee, Strategy
from tests.evaluation.small import NOW, drawn, seats, shelved
from tests.evaluation.test_page import parsed

ESCALATED = Verdict(VerdictKind.ESCALATE, None, None, (), (), ())
SAMPLES = 3


def opinions(ballots: Ballots, row: int) -> tuple[Opinion, ...]:
    found = []
    for member, seat in enumerate(ballots.seats):
        votes = tuple(
            (option.id, round(share * SAMPLES))
            for option, share in zip(ballots.options, ballots.shares[row, member], strict=True)
            if share > 0
        )
        found.append(
            Opinion(
                member=seat.member,
                asks=QUESTION,
                status=MemberStatus.VALID if votes else MemberStatus.ABSTAINED,
                facts_hash="h",
                votes=votes,
                samples=SAMPLES,
                evidence=(),
                missing=(),
                rationale="",
                identity=MemberIdentity("score", "s", "1", "d"),
                asked_at=TAKEN_AT,
                answered_at=TAKEN_AT,
            )
        )
    return tuple(found)


def reported(ballots: Ballots, guarantee: Guarantee | None = None) -> Report:
    own = shelved("deterioration")
    protocol = replace(
        own.protocol,
        seats=ballots.seats,
        facets=(),
        question=replace(own.protocol.question, options=ballots.options),
        adjudication=replace(own.protocol.adjudication, strategy=Strategy.MAJORITY, guarantee=guarantee),
    )
    pairs = []
    for row, case in enumerate(ballots.cases):
        label = ballots.options[ballots.truths[row]].id
        labelled = LabelledCase(case, "t", RiskClass.ROUTINE, (), label, "chart review", None, ())
        hearing = Hearing(case, "h", "p", Came.ASKED, opinions(ballots, row), ESCALATED, "0")
        pairs.append((Case(labelled, "h"), hearing))
    heard = Heard(tuple(pairs), "o", 0, len(pairs), Unused())
    cases = Cases(tuple(case for case, _ in pairs), "c")
    changed = replace(own, bundle=replace(own.bundle, protocol=protocol))
    return report_of(changed, cases, "cases.jsonl", heard, NOW)


def decisions_of(report: Report) -> Decisions:
    page = parsed(render(report))
    assert (page.faults, page.open) == ([], [])
    assert json_of(report)
    assert report.decisions is not None
    return report.decisions


def test_one_voter_alone_has_nobody_to_agree_or_to_err_with() -> None:
    report = reported(drawn(1, 300, seats("a"), 2, SAMPLES))
    found = decisions_of(report)
    assert report.agreement == ()
    assert found.contributions is not None
    assert [panel.size for panel in found.contributions.smaller] == [1]
    assert found.error_correlation.values == ((None,),)


def test_eleven_voters_are_too_many_for_shares_and_the_page_says_so() -> None:
    report = reported(drawn(2, 300, seats(*["a", "b"] * 5, "c"), 2, SAMPLES))
    assert decisions_of(report).contributions is None
    assert "computed for up to ten voting members; this panel has more" in render(report)


def test_ten_voters_are_gone_through() -> None:
    found = decisions_of(reported(drawn(3, 300, seats(*["a", "b"] * 5), 2, SAMPLES))).contributions
    assert found is not None
    assert len(found.smaller) == len(found.members) == 10


def test_four_options_have_four_curves_and_one_for_all() -> None:
    found = decisions_of(reported(drawn(4, 600, seats("a", "b", "c"), 4, SAMPLES)))
    assert [curve.option for curve in found.risk] == [None, "o0", "o1", "o2", "o3"]
    assert all(len(way.confusion) == 4 and len(way.confusion[0]) == 5 for way in found.strategies)


def test_labels_by_readers_bring_no_banner_and_are_counted_by_name() -> None:
    report = reported(drawn(5, 300, seats("a", "b"), 2, SAMPLES))
    assert report.provenance.synthetic == 0
    assert [(label.name, label.count) for label in report.provenance.labels] == [("chart review", 300)]
    assert 'class="banner"' not in render(report)


def test_the_error_rates_are_the_protocols_where_it_states_them() -> None:
    guarantee = Guarantee(Decimal("0.1"), (("o1", Decimal("0.2")),))
    report = reported(drawn(6, 900, seats("a", "b", "c"), 2, SAMPLES), guarantee)
    found = decisions_of(report)
    assert (found.settings.stated, found.settings.error_rates, found.settings.delta) == (
        True,
        (None, 0.2),
        0.1,
    )
    never, bounded = (curve.certified for curve in found.risk[1:])
    assert never is not None
    assert bounded is not None
    assert (never.alpha, never.threshold) == (None, None)
    assert bounded.bound is not None
    assert bounded.bound <= 0.2
    assert any(
        "bounds no error rate for it, so a clinician always decides" in told for told in report.summary
    )


def test_the_summary_says_what_a_certificate_of_one_option_loses_of_another() -> None:
    guarantee = Guarantee(Decimal("0.1"), (("o1", Decimal("0.2")),))
    report = reported(drawn(6, 900, seats("a", "b", "c"), 2, SAMPLES), guarantee)
    certified = next(way for way in decisions_of(report).strategies if way.name == "posterior-certified")
    lost, kept = certified.wrong_by_truth
    assert lost.count == certified.confusion[0][1] > 0
    assert kept.count == 0
    (told,) = [
        sentence
        for sentence in report.summary
        if sentence.startswith("Deciding by the posterior alone, without quorum and policy")
    ]
    assert f"“Option 0” {100 * (lost.value or 0):.1f} %" in told
    assert f"{lost.count} of {lost.of}); “Option 1” 0.0 %" in told


def test_a_voter_that_never_answers_is_shown_with_nothing_to_count() -> None:
    ballots = drawn(7, 300, seats("a", "b", "c"), 2, SAMPLES)
    ballots.shares[:, 1] = 0.0
    report = reported(ballots)
    found = decisions_of(report)
    silent = next(way for way in found.strategies if way.name == "m1")
    assert (silent.accuracy.value, silent.coverage.value) == (None, 0.0)
    assert report.agreement[0].agreement.values[0][1] is None


def test_where_everybody_is_always_right_nothing_breaks() -> None:
    ballots = drawn(8, 400, seats("a", "b"), 2, SAMPLES, absent=0.0)
    ballots.shares[:] = np.eye(2)[ballots.truths][:, np.newaxis, :]
    found = decisions_of(reported(ballots))
    assert {way.accuracy.value for way in found.strategies if way.name != "service"} == {1.0}
    assert found.error_correlation.values[0] == (None, None)
    assert all(point.risk == 0.0 for curve in found.risk for point in curve.points)


def test_where_everybody_is_always_silent_it_is_refused_in_words() -> None:
    ballots = drawn(9, 300, seats("a", "b"), 2, SAMPLES, absent=1.0)
    with pytest.raises(RefusedError, match="answered"):
        reported(ballots)
