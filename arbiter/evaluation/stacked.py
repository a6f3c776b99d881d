"""A stacker over the posterior: fitted on the fitting cases, tried on the held-out ones, and seated by no protocol.

What members cite is held by the case, or grounding would have refused the answer, and how sure a model says it is no opinion keeps. So
of the four signs these two are never there, and self-consistency is where a member draws several samples. A sign that is the
same in all fitting cases teaches nothing: it is 0 in every case, which leaves its weight at 0 exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from arbiter.calibrating.logistic import log_loss
from arbiter.calibrating.stacking import HeldOut, Signs, Stacker, fit_stacker, tried, wins
from arbiter.evaluation.ballots import NOBODY, Ballots, Flags, Floats, Indices
from arbiter.evaluation.figures.unseated import StackerFigures
from arbiter.evaluation.probabilities import Posteriors
from arbiter.evaluation.rates import NO_ESTIMATE, mean

_LEAST: Final = 1e-300
"""What a posterior leaves to all other options at the least: certainty has no log-odds."""


@dataclass(frozen=True, slots=True)
class Stacked:
    """A stacker, on how many cases it was fitted, and whether self-consistency is one of its signs."""

    stacker: Stacker
    cases: int
    reads_consistency: bool

    def signs(self, own: Posteriors, ballots: Ballots) -> tuple[Signs, ...]:
        """Return the signs of each case that has a leading option, in their order."""
        return _signs(own, ballots, reads_consistency=self.reads_consistency)

    def answers(self, own: Posteriors, ballots: Ballots) -> Indices:
        """Return the posterior's leading option where it is likelier right than wrong; else NOBODY."""
        likelier = [self.stacker.log_odds_right(signs) > 0.0 for signs in self.signs(own, ballots)]
        found = np.full(len(ballots), NOBODY, dtype=np.int64)
        chosen = np.flatnonzero(own.leads != NOBODY)[np.array(likelier, dtype=bool)]
        found[chosen] = own.leads[chosen]
        return found


def fit_stacked(own: Posteriors, ballots: Ballots) -> Stacked | None:
    """Return the stacker of these cases; None where what leads was right in all of them, or in none."""
    chosen = own.leads != NOBODY
    consistency = consistencies(ballots)[chosen]
    reads = bool(len(consistency)) and float(np.ptp(consistency)) > 0.0
    signs = _signs(own, ballots, reads_consistency=reads)
    right = (own.leads[chosen] == own.truths[chosen]).tolist()
    try:
        return Stacked(fit_stacker(signs, right), len(signs), reads)
    except ValueError:
        return None


def stacker_figures(stacked: Stacked, own: Posteriors, ballots: Ballots) -> StackerFigures:
    """Return the figures; `own` and `ballots` are of the held-out cases."""
    stacker, chosen = stacked.stacker, own.leads != NOBODY
    right = (own.leads[chosen] == own.truths[chosen]).tolist()
    cases = [
        HeldOut(signs, outcome) for signs, outcome in zip(stacked.signs(own, ballots), right, strict=True)
    ]
    alone = _losses([case.signs.log_odds for case in cases], right)
    losses = _losses([stacker.log_odds_right(case.signs) for case in cases], right)
    trial = tried(stacker, cases) if len(cases) > 1 else None
    return StackerFigures(
        cases=stacked.cases,
        intercept=stacker.intercept,
        log_odds=stacker.log_odds,
        self_consistency=stacker.self_consistency if stacked.reads_consistency else None,
        groundedness=None,
        confidence=None,
        held_out=len(cases),
        log_loss=None if trial is None else float(losses.mean()),
        posterior_log_loss=None if trial is None else float(alone.mean()),
        gain=NO_ESTIMATE if trial is None else mean(alone - losses),
        p_value=None if trial is None else trial.p_value,
        wins=wins(stacker, cases),
    )


def consistencies(ballots: Ballots) -> Floats:
    """Return each case's mean self-consistency, 1 - H / ln K, over the members that answered; 0 where nobody did."""
    shares, valid = ballots.shares, ballots.valid
    logs = np.log(np.where(shares > 0.0, shares, 1.0))
    own = 1.0 + (shares * logs).sum(axis=2) / math.log(len(ballots.options))
    held: Floats = np.where(valid, np.clip(own, 0.0, 1.0), 0.0).sum(axis=1)
    found: Floats = held / np.maximum(valid.sum(axis=1), 1)
    return found


def log_odds(own: Posteriors, chosen: Flags) -> Floats:
    """Return ln(p / (1 - p)) of the leading options, 1 - p summed from the others' so that near certainty keeps its digits."""
    of, leads = own.of[chosen], own.leads[chosen]
    at = np.arange(len(leads))
    others = of.copy()
    others[at, leads] = 0.0
    found: Floats = np.log(of[at, leads]) - np.log(np.maximum(others.sum(axis=1), _LEAST))
    return found


def _signs(own: Posteriors, ballots: Ballots, *, reads_consistency: bool) -> tuple[Signs, ...]:
    chosen = own.leads != NOBODY
    consistency = consistencies(ballots)[chosen] * float(reads_consistency)
    return tuple(
        Signs(odds, steady, groundedness=0.0, confidence=0.0)
        for odds, steady in zip(log_odds(own, chosen).tolist(), consistency.tolist(), strict=True)
    )


def _losses(odds: Sequence[float], right: Sequence[bool]) -> Floats:
    return np.array([log_loss(each, outcome=outcome) for each, outcome in zip(odds, right, strict=True)])
