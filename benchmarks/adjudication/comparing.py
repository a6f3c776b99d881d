"""Compares ways to put seven members together, on panels that err together and on panels that do not.

In each repetition a panel is drawn, the posterior is fitted on labelled cases, its temperature on others, and every way
is judged on the same further cases. Majority and weighted vote take their shares as how sure they are; the weights are
those of the strategy `weighted`, by family. Dawid and Skene's EM sees the fitting and tempering cases without their
labels, takes members as independent and decides by its own matrices: once with every sample as an answer of its own, as
their model has it, once with one answer a member, its leading word, which does not count five samples of one member as
five witnesses.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import fmean
from typing import Final

from arbiter.adjudication.aggregation import independence, mixture
from arbiter.calibrating.dawid_skene import dawid_skene
from arbiter.calibrating.fitting import FitSettings, Fitted, fit
from arbiter.calibrating.temperature import fit_temperature
from benchmarks.adjudication.judging import Judged, Mean, Probabilities, judge, mean
from benchmarks.adjudication.panels import Answers, Case, Setting, draw_cases, draw_panel, labelled, shares

FITTING, TEMPERING, JUDGED = 400, 200, 1_500
FIT: Final = FitSettings(smoothing=1.0, shrinkage=20.0, family_prior=0.5)
FAMILY_CORRELATION: Final = Decimal("0.5")
EM_TOLERANCE: Final = 1e-5
"""No probability of a case moves by more when EM ends; at 1e-8 the four decimals printed were the same."""

MEASURES: Final = ("accuracy", "log_loss", "calibration_error")

POSTERIOR: Final = "posterior"
ALIKE: Final = "posterior, all weights 1"
MAJORITY: Final = "majority"
WEIGHTED: Final = "weighted vote"
EM_SAMPLES: Final = "Dawid-Skene, all samples"
EM_WORDS: Final = "Dawid-Skene, leading words"
WAYS: Final = (POSTERIOR, ALIKE, MAJORITY, WEIGHTED, EM_SAMPLES, EM_WORDS)

_FOUR: Final = ("a", "a", "a", "a", "b", "c", "d")
_THREES: Final = ("a", "a", "a", "b", "b", "b", "c")
_ALONE: Final = ("a", "b", "c", "d", "e", "f", "g")
_THREE_OPTIONS: Final = (0.5, 0.3, 0.2)
_TWO_OPTIONS: Final = (0.7, 0.3)
SETTINGS: Final = (
    Setting("three options, four of seven of one family", _FOUR, _THREE_OPTIONS, 0.7),
    Setting("three options, three and three of a family", _THREES, _THREE_OPTIONS, 0.7),
    Setting(
        "three options, four of one family, less steady where wrong",
        _FOUR,
        _THREE_OPTIONS,
        0.7,
        steady=0.85,
        steady_wrong=0.7,
    ),
    Setting("two options, four of seven of one family", _FOUR, _TWO_OPTIONS, 0.7),
    Setting("two options, three and three of a family", _THREES, _TWO_OPTIONS, 0.7),
    Setting("three options, nobody errs with another", _ALONE, _THREE_OPTIONS, 0.0),
    Setting("two options, nobody errs with another", _ALONE, _TWO_OPTIONS, 0.0),
)


@dataclass(frozen=True, slots=True)
class Repetition:
    """One panel: how each way was judged, and the fitted correlation of members of one family, its mean over pairs."""

    judged: Mapping[str, Judged]
    within: float


@dataclass(frozen=True, slots=True)
class Compared:
    """All repetitions of a setting. `less` is each way's figure minus the posterior's, over the same cases."""

    setting: Setting
    repetitions: int
    within: float
    means: Mapping[tuple[str, str], Mean]
    less: Mapping[tuple[str, str], Mean]


def repeat(setting: Setting, seed: str) -> Repetition:
    """Return what one panel of this setting came to."""
    chance = random.Random(seed)
    panel = draw_panel(setting, chance)
    options = len(setting.prior)
    fitting, tempering, judged = (
        draw_cases(panel, number, chance) for number in (FITTING, TEMPERING, JUDGED)
    )
    # Of a case that nobody answered no way says anything.
    judged = [case for case in judged if any(case.answers)]
    fitted = fit(labelled(fitting, options), labelled(tempering, options), setting.families, FIT)
    untruthed = [case for case in (*fitting, *tempering) if any(case.answers)]
    ways: dict[str, Callable[[Answers], Probabilities]] = {
        POSTERIOR: _by(fitted),
        ALIKE: _by(_alike(fitted, tempering)),
        MAJORITY: lambda answers: _majority(answers, options),
        WEIGHTED: lambda answers: _weighted(answers, setting.families, options),
        EM_SAMPLES: _em(untruthed, lambda counts: counts),
        EM_WORDS: _em(untruthed, _leading),
    }
    truths = [case.truth for case in judged]
    return Repetition(
        {way: judge([say(case.answers) for case in judged], truths) for way, say in ways.items()},
        _within(fitted, setting.families),
    )


def compare(setting: Setting, repetitions: Sequence[Repetition]) -> Compared:
    """Return the means of these repetitions, at least two, with paired differences from the posterior."""

    def values(way: str, measure: str) -> list[float]:
        return [getattr(each.judged[way], measure) for each in repetitions]

    pairs = [(way, measure) for way in WAYS for measure in MEASURES]
    return Compared(
        setting,
        len(repetitions),
        fmean(each.within for each in repetitions),
        {(way, measure): mean(values(way, measure)) for way, measure in pairs},
        {
            (way, measure): mean(
                [
                    theirs - ours
                    for theirs, ours in zip(values(way, measure), values(POSTERIOR, measure), strict=True)
                ]
            )
            for way, measure in pairs
            if way != POSTERIOR
        },
    )


def _by(fitted: Fitted) -> Callable[[Answers], Probabilities]:
    def say(answers: Answers) -> Probabilities:
        found = fitted.posterior([shares(counts) for counts in answers])
        return fitted.prior if found is None else found

    return say


def _alike(fitted: Fitted, tempering: Sequence[Case]) -> Fitted:
    """Return the fit as it were if no two members erred together, with a temperature of its own."""
    members = range(len(fitted.correlations))
    alone = tuple(tuple(float(one == other) for other in members) for one in members)
    separate = replace(fitted, correlations=alone)
    found = [
        (logarithms, case.truth)
        for case in tempering
        if (logarithms := separate.logarithms([shares(counts) for counts in case.answers])) is not None
    ]
    temperature = fit_temperature([logarithms for logarithms, _ in found], [truth for _, truth in found])
    return replace(separate, temperature=temperature.value)


def _majority(answers: Answers, options: int) -> Probabilities:
    """Return the share of votes, one a member for the option that its samples lead with; none from one in two minds."""
    words = [counts.index(max(counts)) for counts in answers if counts and counts.count(max(counts)) == 1]
    if not words:
        return (1.0 / options,) * options
    return tuple(words.count(option) / len(words) for option in range(options))


def _weighted(answers: Answers, families: Sequence[str], options: int) -> Probabilities:
    voices = [
        (family, own) for family, counts in zip(families, answers, strict=True) if (own := shares(counts))
    ]
    weights = independence([family for family, _ in voices], FAMILY_CORRELATION)
    whole = sum(weights)
    return mixture([float(weight / whole) for weight in weights], [own for _, own in voices], options)


def _em(
    untruthed: Sequence[Case], seen: Callable[[tuple[int, ...]], tuple[int, ...]]
) -> Callable[[Answers], Probabilities]:
    """Return how Dawid and Skene's model decides once EM has estimated it from cases without their labels."""

    def counted(answers: Answers) -> list[tuple[int, ...]]:
        return [none if counts is None else seen(counts) for counts in answers]

    none = (0,) * len(next(counts for counts in untruthed[0].answers if counts))
    found = dawid_skene([counted(case.answers) for case in untruthed], tolerance=EM_TOLERANCE)

    return lambda answers: found.probabilities(counted(answers))


def _leading(counts: tuple[int, ...]) -> tuple[int, ...]:
    """Return one answer for the option that leads, none where two do."""
    most = max(counts)
    return tuple(int(count == most and counts.count(most) == 1) for count in counts)


def _within(fitted: Fitted, families: Sequence[str]) -> float:
    pairs = [
        fitted.correlations[one][other]
        for one in range(len(families))
        for other in range(one)
        if families[one] == families[other]
    ]
    return fmean(pairs) if pairs else math.nan
