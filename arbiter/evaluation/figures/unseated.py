"""What no service decides by: a fit that needs no labels, and a stacker. They are told so that their worth can be seen."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.figures.answers import CalibrationFigures
from arbiter.evaluation.rates import Estimate


@dataclass(frozen=True, slots=True)
class ColdStartFigures:
    """Dawid and Skene's EM, fitted on the fitting cases' answers without their labels, and judged on the held-out ones.

    It saw `cases`, those in which a member leads with one option, and took `iterations`; `converged` is false where it was
    stopped before it stood still. `priors` are how often it takes each option to be right, in the order of the options.
    `calibration` is of its probabilities, whose temperature is 1, for none can be fitted without labels; None where it has none for
    any held-out case. `accuracy_gain` and `log_score_gain` are by how much it is more often right than the posterior, and gives the
    truth more in nats, on the held-out cases of which both say something: below 0 where the labels were worth having.
    """

    cases: int
    iterations: int
    converged: bool
    priors: tuple[float, ...]
    calibration: CalibrationFigures | None
    accuracy_gain: Estimate
    log_score_gain: Estimate


@dataclass(frozen=True, slots=True)
class StackerFigures:
    """A logistic regression of whether the posterior's leading option is right, fitted on `cases` of the fitting part.

    `intercept` and the weights are in log-odds: `log_odds` of the posterior, `self_consistency` the mean of the members that
    answered, `groundedness` and `confidence`. A weight is None where its sign is not there, or the same in all those cases.
    On the `held_out` cases with a leading option, `log_loss` is the stacker's in nats and `posterior_log_loss` the posterior's;
    `gain` is the second less the first, case by case, `p_value` that of the one-sided paired t-test of it, and `wins` whether the
    stacker would be seated. The losses, `gain` and `p_value` are None where there are fewer than two such cases.
    """

    cases: int
    intercept: float
    log_odds: float
    self_consistency: float | None
    groundedness: float | None
    confidence: float | None
    held_out: int
    log_loss: float | None
    posterior_log_loss: float | None
    gain: Estimate
    p_value: float | None
    wins: bool
