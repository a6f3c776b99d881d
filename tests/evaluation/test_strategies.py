"""Strategies in arrays say what adjudication says of each case alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.adjudication.aggregation import lead, tally
from arbiter.adjudication.bench import Bench, Heard
from arbiter.evaluation.ballots import NOBODY, Ballots, Indices
from arbiter.evaluation.strategies import by_votes, by_weight
from arbiter.model import MemberStatus, RiskClass
from arbiter.question import Strategy
from tests.evaluation.small import drawn, seats, shelved


def _bench(ballots: Ballots, strategy: Strategy, threshold: str) -> Bench:
    protocol = shelved("deterioration").protocol
    settings = replace(
        protocol.adjudication,
        strategy=strategy,
        threshold=Decimal(threshold),
        least_effective=Decimal(0),
        family_correlation=Decimal("0.6"),
    )
    question = replace(protocol.question, options=ballots.options)
    return Bench(
        replace(protocol, adjudication=settings, question=question, seats=ballots.seats, facets=()),
        "hash",
        RiskClass.ROUTINE,
    )


def _one_by_one(ballots: Ballots, bench: Bench, samples: int) -> list[int]:
    ids = bench.option_ids()
    found = []
    for row in range(len(ballots)):
        heard = []
        for member, seat in enumerate(ballots.seats):
            votes = tuple(
                (ids[at], round(share * samples))
                for at, share in enumerate(ballots.shares[row, member])
                if share > 0
            )
            status = MemberStatus.VALID if votes else MemberStatus.ABSTAINED
            heard.append(Heard(seat, status, votes, ()))
        counted = tally(bench, heard)
        leading = lead(bench, counted) if counted.voices else None
        answers = leading is not None and leading.option is not None and leading.shortfall is None
        found.append(ids.index(str(leading.option)) if answers and leading is not None else NOBODY)
    return found


@pytest.mark.parametrize("threshold", ["0.5", "0.6", "0.75"])
@pytest.mark.parametrize(("number", "samples"), [(2, 1), (3, 5), (4, 4)])
@pytest.mark.parametrize("strategy", [Strategy.MAJORITY, Strategy.WEIGHTED, Strategy.UNANIMOUS])
def test_arrays_answer_as_adjudication_does_case_by_case(
    strategy: Strategy, number: int, samples: int, threshold: str
) -> None:
    own = seats("a", "a", "b", "c", weights=("2", "1", "1", "0.5"))
    ballots = drawn(5, 120, own, number, samples, absent=0.3)
    bench = _bench(ballots, strategy, threshold)
    answers: dict[Strategy, Indices] = {
        Strategy.MAJORITY: by_votes(ballots, unanimous=False),
        Strategy.UNANIMOUS: by_votes(ballots, unanimous=True),
        Strategy.WEIGHTED: by_weight(ballots, bench.settings),
    }
    expected = _one_by_one(ballots, bench, samples)
    assert answers[strategy].tolist() == expected
    assert {NOBODY, *range(number)} <= set(expected)


def test_nobody_answers_where_no_member_did() -> None:
    ballots = drawn(6, 10, seats("a", "b"), 2, absent=1.0)
    settings = shelved("deterioration").protocol.adjudication
    for answers in (
        by_votes(ballots, unanimous=True),
        by_votes(ballots, unanimous=False),
        by_weight(ballots, settings),
    ):
        assert set(answers.tolist()) == {NOBODY}


def test_without_a_threshold_of_its_own_a_protocol_is_weighed_at_a_half() -> None:
    ballots = drawn(7, 200, seats("a", "b", "c"), 3)
    settings = shelved("deterioration").protocol.adjudication
    none, half = replace(settings, threshold=None), replace(settings, threshold=Decimal("0.5"))
    assert by_weight(ballots, none).tolist() == by_weight(ballots, half).tolist()
