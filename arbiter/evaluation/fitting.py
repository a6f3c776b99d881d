"""Fits labelled ballots: the same settings and the same refusals for a report and for a calibration."""

from __future__ import annotations

from collections import Counter
from typing import Final

from arbiter.calibrating.fitting import FEWEST_CASES, FitSettings, Fitted, fit
from arbiter.calibrating.labelled import Labelled
from arbiter.errors import RefusedError
from arbiter.evaluation.ballots import Ballots
from arbiter.question import Protocol

SMOOTHING: Final = 2.0
SHRINKAGE: Final = 50.0


def fit_settings(protocol: Protocol) -> FitSettings:
    """Return what is assumed where little was seen: one family's correlation is the protocol's to say."""
    return FitSettings(SMOOTHING, SHRINKAGE, float(protocol.adjudication.family_correlation))


def fit_ballots(fitting: Ballots, tempering: Ballots, held_out: Ballots, settings: FitSettings) -> Fitted:
    """Return what the posterior uses; `held_out` is only counted.

    Raises:
        RefusedError: when a part has too few cases to fit or to tell anything from, with what to do.
    """
    _check(fitting, tempering, held_out)
    try:
        return fit(
            _labelled(fitting), _labelled(tempering), [seat.family for seat in fitting.seats], settings
        )
    except ValueError as error:
        raise RefusedError(f"the labelled cases cannot be fitted: {error}; more cases are needed") from error


def _labelled(ballots: Ballots) -> Labelled:
    return Labelled(ballots.rows(), tuple(ballots.truths.tolist()), len(ballots.options))


def _check(fitting: Ballots, tempering: Ballots, held_out: Ballots) -> None:
    """Refuse cases of which a part is empty: nothing would be fitted, or nothing told."""
    counts = {"for fitting": len(fitting), "for the temperature": len(tempering), "held out": len(held_out)}
    if not all(counts.values()):
        raise RefusedError(
            "expected cases that were put to the panel in each part of the split, "
            + ", ".join(f"{count} came {part}" for part, count in counts.items())
            + ": give more labelled cases, some hundred at least"
        )
    kinds = Counter(fitting.truths.tolist())
    for at, option in enumerate(fitting.options):
        if kinds[at] < FEWEST_CASES:
            raise RefusedError(
                f"expected at least {FEWEST_CASES} cases for fitting whose label is {option.id}, {kinds[at]} came: "
                "give more labelled cases of it"
            )
