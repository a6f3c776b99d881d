"""Puts beside the ways that a protocol may decide by those that none does: a cold start without labels, and a stacker."""

from __future__ import annotations

from dataclasses import dataclass

from arbiter.evaluation.answering import Way
from arbiter.evaluation.ballots import Ballots
from arbiter.evaluation.cold_start import cold_start_figures, fit_unlabelled, unlabelled_posteriors
from arbiter.evaluation.figures.unseated import ColdStartFigures, StackerFigures
from arbiter.evaluation.probabilities import Posteriors
from arbiter.evaluation.stacked import fit_stacked, stacker_figures


@dataclass(frozen=True, slots=True)
class Unseated:
    """The ways that could be fitted, with their figures; None where one could not."""

    ways: tuple[Way, ...]
    cold_start: ColdStartFigures | None
    stacker: StackerFigures | None


def unseated(fitting: Ballots, held_out: Ballots, fitted_on: Posteriors, own: Posteriors) -> Unseated:
    """Return both; `fitted_on` and `own` are the posteriors of the fitting and of the held-out cases."""
    everyone = tuple(range(len(held_out.seats)))
    ways: list[Way] = []
    cold_start = stacker = None
    found = fit_unlabelled(fitting.leads.tolist(), len(fitting.options))
    if found is not None:
        cold = unlabelled_posteriors(found, held_out)
        cold_start = cold_start_figures(found, fitting, cold, own)
        ways.append(Way("cold-start", "Dawid and Skene's EM, no labels", "strategy", cold.leads, everyone))
    stacked = fit_stacked(fitted_on, fitting)
    if stacked is not None:
        stacker = stacker_figures(stacked, own, held_out)
        answers = stacked.answers(own, held_out)
        title = "Stacker, where likelier right than wrong"
        ways.append(Way("stacker", title, "strategy", answers, everyone))
    return Unseated(tuple(ways), cold_start, stacker)
