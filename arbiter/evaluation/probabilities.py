"""The posterior on labelled cases: how far its probabilities hold, what accepting fewer cases gains, where it fails worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from arbiter.calibrating.fitting import Fitted
from arbiter.calibrating.guarantee import Certified, Scored, certify, grid, is_accepted
from arbiter.evaluation.ballots import NOBODY, Ballots, Flags, Floats, Indices, leading
from arbiter.evaluation.figures.answers import (
    Bin,
    CalibrationFigures,
    CertifiedPoint,
    HardCase,
    RiskCurve,
    RiskPoint,
)
from arbiter.evaluation.rates import rate

BINS: Final = 10
HARDEST: Final = 20
POINTS: Final = 100
"""How many points a risk curve has at most: what an eye can tell apart."""


@dataclass(frozen=True, slots=True)
class Posteriors:
    """The posterior of each case, N x K, 0 throughout where nobody answered; what leads in it, and the probability of that."""

    of: Floats
    leads: Indices
    scores: Floats
    truths: Indices

    @property
    def answered(self) -> Flags:
        """The cases that somebody answered."""
        somebody: Flags = self.of.sum(axis=1) > 0.0
        return somebody


def posteriors(fitted: Fitted, ballots: Ballots) -> Posteriors:
    """Return the posterior of each case, by the same function that decides."""
    found = np.zeros((len(ballots), len(ballots.options)))
    # What scores say repeats, case after case, and a posterior depends on nothing else.
    known: dict[object, tuple[float, ...] | None] = {}
    for at, row in enumerate(ballots.rows()):
        if row not in known:
            known[row] = fitted.posterior(row)
        posterior = known[row]
        if posterior is not None:
            found[at] = posterior
    return Posteriors(found, leading(found, found.sum(axis=1) > 0.0), found.max(axis=1), ballots.truths)


def calibration(held_out: Posteriors, temperature: float) -> CalibrationFigures | None:
    """Return reliability by tenths of confidence, and what it comes to; None where nobody answered any case."""
    chosen = held_out.answered
    if not chosen.any():
        return None
    of, truths = held_out.of[chosen], held_out.truths[chosen]
    confidence, right = of.max(axis=1), of.argmax(axis=1) == truths
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    filled = tuple(
        Bin(
            low=at / BINS,
            high=(at + 1) / BINS,
            confidence=float(confidence[bins == at].mean()),
            right=rate(int(right[bins == at].sum()), int((bins == at).sum())),
        )
        for at in range(BINS)
        if (bins == at).any()
    )
    gaps = [abs(each.confidence - (each.right.value or 0.0)) * each.right.of for each in filled]
    at = np.arange(len(truths))
    wanted = np.eye(of.shape[1])[truths]
    return CalibrationFigures(
        cases=len(truths),
        ece=sum(gaps) / len(truths),
        brier=float(((of - wanted) ** 2).sum(axis=1).mean()),
        log_score=float(np.log(of[at, truths]).mean()),
        temperature=temperature,
        bins=filled,
    )


def certificates(
    fitting: Posteriors, held_out: Posteriors, error_rates: Sequence[float | None], delta: float
) -> tuple[Certified | None, ...]:
    """Return what each option is certified at; None where no case of either part leads with it, or it has no error rate."""
    found: list[Certified | None] = []
    for option, alpha in enumerate(error_rates):
        chosen, seen = held_out.leads == option, fitting.leads == option
        if alpha is None or not seen.any() or not chosen.any():
            found.append(None)
            continue
        scored = [
            Scored(score, right)
            for score, right in zip(
                held_out.scores[chosen].tolist(), (held_out.truths[chosen] == option).tolist(), strict=True
            )
        ]
        right = (fitting.truths[seen] == option).tolist()
        levels = grid(fitting.scores[seen].tolist(), len(scored), alpha, delta, right=right)
        found.append(certify(scored, levels, alpha, delta))
    return tuple(found)


def certified_answers(held_out: Posteriors, certified: Sequence[Certified | None]) -> Indices:
    """Return the leading option of each case whose score is above what is certified for that option; else NOBODY."""
    thresholds = [None if each is None else each.threshold for each in certified]
    answers = [
        lead
        if lead != NOBODY and (least := thresholds[lead]) is not None and is_accepted(score, least)
        else NOBODY
        for lead, score in zip(held_out.leads.tolist(), held_out.scores.tolist(), strict=True)
    ]
    return np.array(answers, dtype=np.int64)


def risk_curve(
    held_out: Posteriors,
    option: int | None,
    name: str | None,
    title: str,
    certified: Certified | None,
    alpha: float | None = None,
) -> RiskCurve:
    """Return risk against coverage over the cases that lead with an option, or with any where it is None.

    Cases of one score are accepted together, so a curve has a point for each score that comes.
    """
    chosen = held_out.leads != NOBODY if option is None else held_out.leads == option
    scores, wrong = held_out.scores[chosen], held_out.leads[chosen] != held_out.truths[chosen]
    order = np.argsort(-scores, kind="stable")
    scores, errors = scores[order], np.cumsum(wrong[order])
    number = len(scores)
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if number else np.array([], dtype=int)
    points = [
        RiskPoint(float(scores[at]), (int(at) + 1) / number, int(errors[at]) / (int(at) + 1)) for at in last
    ]
    return RiskCurve(
        option=name,
        title=title,
        cases=number,
        area=_area(points),
        points=tuple(_thinned(points)),
        certified=None if option is None else _certified_point(certified, alpha),
    )


def _area(points: Sequence[RiskPoint]) -> float | None:
    """Return the mean risk over coverage: each step of coverage at the risk it ends with."""
    before = 0.0
    area = 0.0
    for point in points:
        area += (point.coverage - before) * point.risk
        before = point.coverage
    return area if points else None


def _thinned(points: Sequence[RiskPoint]) -> Sequence[RiskPoint]:
    if len(points) <= POINTS:
        return points
    return [points[round(at * (len(points) - 1) / (POINTS - 1))] for at in range(POINTS)]


def _certified_point(certified: Certified | None, alpha: float | None) -> CertifiedPoint:
    if certified is None or certified.threshold is None:
        return CertifiedPoint(alpha, None, 0, 0, None, None, None)
    return CertifiedPoint(
        alpha=alpha,
        threshold=certified.threshold,
        accepted=certified.accepted,
        errors=certified.errors,
        bound=certified.bound,
        coverage=certified.accepted / certified.cases,
        risk=certified.errors / certified.accepted if certified.accepted else None,
    )


def hardest(held_out: Posteriors, ballots: Ballots) -> tuple[HardCase, ...]:
    """Return the cases whose truth the posterior gave least, by id alone; never those that nobody answered."""
    own = held_out.of[np.arange(len(ballots)), ballots.truths]
    answered = np.flatnonzero(held_out.answered)
    order = sorted(answered.tolist(), key=lambda at: (own[at], ballots.cases[at]))[:HARDEST]
    options = ballots.options
    return tuple(
        HardCase(
            case=ballots.cases[at],
            truth=options[ballots.truths[at]].id,
            leading="" if held_out.leads[at] == NOBODY else options[held_out.leads[at]].id,
            probability=float(own[at]),
        )
        for at in order
    )
