"""Counts in how many runs a certified error rate is exceeded, by laws under which the true rate is known exactly.

Each run draws labelled cases, lays thresholds on the fitting set, certifies on the guarantee set, and asks the law how
often what would be decided is wrong. A certificate promises that this exceeds alpha in at most a share delta of runs.

The panel is the whole way: it is drawn, fitted and tempered anew in each run, and each of its two options is a stratum.
All that it can say is few enough to be summed. The other laws are of scores alone, and hard: under one the error rate
falls smoothly through alpha, so that the loosest threshold that passes lies where a little luck goes too far; under the
other it is just above alpha everywhere, so that whatever is certified is wrong.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from arbiter.adjudication.aggregation import NEAR
from arbiter.calibrating.binomial import interval
from arbiter.calibrating.fitting import Fitted, fit
from arbiter.calibrating.guarantee import Scored, certify, grid, is_accepted
from benchmarks.adjudication.comparing import FIT
from benchmarks.adjudication.panels import Answers, Case, Setting, draw_panel, labelled, law, shares

ALPHA, DELTA = 0.05, 0.05
FITTING, TEMPERING, GUARANTEE = 400, 200, 2_000
SCORES: Final = 400
WORST: Final = 0.3
"""Of scores that fall smoothly: the error rate at a score of one half, where all that is decided errs in 7.5%."""

ABOVE: Final = 0.051

PANEL: Final = Setting(
    "two options, four of seven of one family",
    ("a", "a", "a", "a", "b", "c", "d"),
    (0.5, 0.5),
    0.7,
    samples=1,
    steady=1.0,
    steady_wrong=1.0,
    invalid=0.0,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one stratum: whether anything was certified, the share of its cases decided, and how often wrongly.

    The share and the rate are of the law, not of the cases drawn; both 0 where nothing was certified.
    """

    certified: bool
    decided: float
    rate: float

    @property
    def exceeds(self) -> bool:
        """Whether the certificate is wrong."""
        return self.certified and self.rate > ALPHA


NONE: Final = Outcome(certified=False, decided=0.0, rate=0.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """Over all runs of a stratum: in how many it was certified and exceeded, with 95% bounds of the latter's share.

    `decided` and `rate` are means over the runs with a certificate; not a number where there was none.
    """

    runs: int
    certified: int
    exceeded: int
    between: tuple[float, float]
    decided: float
    rate: float


def count(outcomes: Sequence[Outcome]) -> Kept:
    """Return what these runs came to."""
    held = [outcome for outcome in outcomes if outcome.certified]
    exceeded = sum(outcome.exceeds for outcome in outcomes)
    return Kept(
        len(outcomes),
        len(held),
        exceeded,
        interval(exceeded, len(outcomes), 0.95),
        fmean(outcome.decided for outcome in held) if held else math.nan,
        fmean(outcome.rate for outcome in held) if held else math.nan,
    )


def run_panel(seed: str) -> tuple[Outcome, ...]:
    """Return the outcome of each option of a panel that is drawn, fitted and certified."""
    chance = random.Random(seed)
    sayings = list(law(draw_panel(PANEL, chance)))
    options = len(PANEL.prior)
    fitting, tempering, guarantee = (
        _drawn(sayings, number, chance) for number in (FITTING, TEMPERING, GUARANTEE)
    )
    fitted = fit(labelled(fitting, options), labelled(tempering, options), PANEL.families, FIT)
    leads = _Leads(fitted)
    whole = [(leads.of(said), chances) for said, chances in sayings]
    outcomes = []
    for option in range(options):
        seen, held = ([*leads.candidates(cases, option)] for cases in (fitting, guarantee))
        threshold = _certified(seen, held)
        weighed = [
            (lead[1], sum(chances), chances[option]) for lead, chances in whole if lead and lead[0] == option
        ]
        outcomes.append(NONE if threshold is None else _true(weighed, threshold))
    return tuple(outcomes)


def _drawn(
    sayings: Sequence[tuple[Answers, tuple[float, ...]]], number: int, chance: random.Random
) -> list[Case]:
    """Return so many cases from all that may be said and each truth's part in it."""
    cases = [Case(truth, said) for said, chances in sayings for truth in range(len(chances))]
    return chance.choices(cases, [each for _, chances in sayings for each in chances], k=number)


def run_smooth(seed: str) -> Outcome:
    """Return the outcome where scores are even from one half to 1 and err as a cube that falls to 0 at 1."""
    chance = random.Random(seed)
    seen, held = (
        [
            Scored(score, chance.random() >= WORST * (2.0 * (1.0 - score)) ** 3)
            for score in (chance.uniform(0.5, 1.0) for _ in range(SCORES))
        ]
        for _ in range(2)
    )
    threshold = _certified(seen, held)
    if threshold is None:
        return NONE
    decided = min(1.0, 2.0 * (1.0 - threshold - NEAR))
    return Outcome(certified=True, decided=decided, rate=WORST * decided**3 / 4.0)


def run_above(seed: str) -> Outcome:
    """Return the outcome where every score errs just above alpha: nothing could rightly be certified."""
    chance = random.Random(seed)
    seen, held = (
        [Scored(chance.uniform(0.5, 1.0), chance.random() >= ABOVE) for _ in range(SCORES)] for _ in range(2)
    )
    threshold = _certified(seen, held)
    if threshold is None:
        return NONE
    return Outcome(certified=True, decided=min(1.0, 2.0 * (1.0 - threshold - NEAR)), rate=ABOVE)


def _certified(seen: Sequence[Scored], held: Sequence[Scored]) -> float | None:
    """Return the threshold as a calibration's stratum gets it, None where nothing is certified."""
    if not seen or not held:
        return None
    levels = grid([case.score for case in seen], len(held), ALPHA, DELTA, right=[case.right for case in seen])
    return certify(held, levels, ALPHA, DELTA).threshold


class _Leads:
    """What a fitted panel leads with, and how probable that is, for all that it can say; each is reckoned once."""

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self._known: dict[Answers, tuple[int, float] | None] = {}

    def of(self, said: Answers) -> tuple[int, float] | None:
        if said not in self._known:
            self._known[said] = self._lead(said)
        return self._known[said]

    def candidates(self, cases: Iterable[Case], option: int) -> Iterable[Scored]:
        for case in cases:
            lead = self.of(case.answers)
            if lead is not None and lead[0] == option:
                yield Scored(lead[1], case.truth == option)

    def _lead(self, said: Answers) -> tuple[int, float] | None:
        found = self._fitted.posterior([shares(counts) for counts in said])
        if found is None:
            return None
        first, second = sorted(found, reverse=True)[:2]
        return (found.index(first), first) if first - second > NEAR else None


def _true(weighed: Sequence[tuple[float, float, float]], threshold: float) -> Outcome:
    """Return the outcome from each score's probability, and that of being right with it."""
    decided = [(whole, right) for score, whole, right in weighed if is_accepted(score, threshold)]
    share = math.fsum(whole for whole, _ in decided)
    right = math.fsum(right for _, right in decided)
    return Outcome(
        certified=True,
        decided=share / math.fsum(whole for _, whole, _ in weighed),
        rate=1.0 - right / share if share else 0.0,
    )
