"""Compares ways to answer on the same held-out cases: the service itself, strategies, the posterior, and each member alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arbiter.evaluation.ballots import NOBODY, Ballots, Floats, Indices
from arbiter.evaluation.figures.answers import StrategyFigures
from arbiter.evaluation.hearing import Hearing
from arbiter.evaluation.rates import rate
from arbiter.evaluation.strategies import by_votes, by_weight, threshold_of
from arbiter.question import Adjudication


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer: an option's index or NOBODY a case; `members` are those it asks, by their place on the ballots."""

    name: str
    title: str
    kind: str
    answers: Indices
    members: tuple[int, ...]


def simple_ways(ballots: Ballots, settings: Adjudication) -> tuple[Way, ...]:
    """Return the three simple strategies."""
    everyone = tuple(range(len(ballots.seats)))
    return (
        Way("majority", "Majority of members", "strategy", by_votes(ballots, unanimous=False), everyone),
        Way(
            "weighted",
            f"Weighted, more than {threshold_of(settings):f} of it",
            "strategy",
            by_weight(ballots, settings),
            everyone,
        ),
        Way("unanimous", "Unanimous members", "strategy", by_votes(ballots, unanimous=True), everyone),
    )


def member_ways(fitting: Ballots, held_out: Ballots) -> tuple[Way, ...]:
    """Return the member that is right most often on the fitting cases, then each member: alone, as if nobody else sat there."""
    right = (fitting.leads == fitting.truths[:, np.newaxis]).sum(axis=0)
    best = int(right.argmax())
    ways = [
        Way(seat.member, seat.title, "member", held_out.leads[:, at], (at,))
        for at, seat in enumerate(held_out.seats)
    ]
    title = f"Best single member: {held_out.seats[best].title}"
    return (Way("best-member", title, "strategy", held_out.leads[:, best], (best,)), *ways)


def service_way(ballots: Ballots, hearings: Sequence[Hearing]) -> Way:
    """Return what the whole service would have done: panel, policy, quorum and disagreement as the protocol has them."""
    index = {option.id: at for at, option in enumerate(ballots.options)}
    decided = [None if hearing.verdict is None else hearing.verdict.option for hearing in hearings]
    answers = np.array([NOBODY if option is None else index[option] for option in decided], dtype=np.int64)
    return Way("service", "The service as configured", "service", answers, tuple(range(len(ballots.seats))))


def judge(way: Way, ballots: Ballots, held_out: int, cost: Cost) -> StrategyFigures:
    """Return a way's figures; `held_out` counts all held-out cases, those never put to the panel too."""
    answered = way.answers != NOBODY
    right = int((way.answers == ballots.truths).sum())
    options = len(ballots.options)
    confusion = np.zeros((options, options + 1), dtype=np.int64)
    np.add.at(confusion, (ballots.truths, np.where(answered, way.answers, options)), 1)
    return StrategyFigures(
        name=way.name,
        title=way.title,
        kind=way.kind,
        accuracy=rate(right, int(answered.sum())),
        coverage=rate(int(answered.sum()), len(ballots)),
        to_human=rate(held_out - int(answered.sum()), held_out),
        wrong_by_truth=tuple(
            rate(int(row[:options].sum() - row[at]), int(row.sum())) for at, row in enumerate(confusion)
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        samples_per_case=cost.samples(way.members),
        seconds_per_case=cost.seconds(way.members),
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What models took for the held-out cases: samples and seconds by case and member, NaN for a score."""

    drawn: Floats
    took: Floats

    def samples(self, members: Sequence[int]) -> float | None:
        """Return how many samples the models among these members draw for a case on average, None where none is one."""
        own = self.drawn[:, list(members)]
        return None if np.isnan(own).all() else float(np.nansum(own, axis=1).mean())

    def seconds(self, members: Sequence[int]) -> float | None:
        """Return how long the slowest of these models takes for a case on average: members are asked at the same time."""
        own = self.took[:, list(members)]
        return (
            None
            if np.isnan(own).all()
            else float(np.nanmax(np.where(np.isnan(own), 0.0, own), axis=1).mean())
        )


def cost_of(ballots: Ballots, hearings: Sequence[Hearing]) -> Cost:
    """Return what models took."""
    models = {seat.member: at for at, seat in enumerate(ballots.seats) if seat.model is not None}
    drawn = np.full((len(hearings), len(ballots.seats)), np.nan)
    took = drawn.copy()
    for row, hearing in enumerate(hearings if models else ()):
        for opinion in hearing.opinions:
            if opinion.member in models:
                drawn[row, models[opinion.member]] = opinion.samples
                took[row, models[opinion.member]] = (opinion.answered_at - opinion.asked_at).total_seconds()
    return Cost(drawn, took)
