"""Watches decisions after a certificate: how long a risen error rate goes unseen, how often one is seen that is none.

Decisions err independently. After `QUIET` audits at half of alpha the rate rises to a multiple of it; each decision is
audited with the probability `SAMPLING`, and the delay counts from the rise, in audits and in decisions. Watches that
had alarmed before the rise are left out, as they are from the delay that `expected_delay` states.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.calibrating.betting import Evidence, alarm_probability, begin, decisions, expected_delay
from arbiter.calibrating.binomial import interval

ALPHA, DELTA = 0.05, 0.05
QUIET: Final = 100
BEFORE: Final = 0.5
"""The error rate before the rise, as a multiple of alpha."""

SAMPLING: Final = 0.2
RISES: Final = (1.5, 2.0, 3.0)
FALSE: Final = (1.0, 0.5)
WATCHED: Final = 1_000
"""How many audits a watch lasts whose rate does not rise."""

MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Delay:
    """From the rise to the alarm."""

    audits: int
    decisions: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, its standard error, median, and what nine of ten do not exceed."""

    mean: float
    error: float
    median: float
    ninety: float

    @classmethod
    def of(cls, values: Sequence[int]) -> Spread:
        """Return the spread of at least two numbers."""
        return cls(
            statistics.fmean(values),
            statistics.stdev(values) / len(values) ** 0.5,
            statistics.median(values),
            statistics.quantiles(values, n=10)[-1],
        )


@dataclass(frozen=True, slots=True)
class Delays:
    """A rise to so many times alpha: how long it went unseen, beside what the package states."""

    times: float
    quiet: int
    runs: int
    audits: Spread
    decisions: Spread
    stated_audits: float | None
    stated_decisions: float | None


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Watches whose rate stayed at so many times alpha: how many alarmed, 95% bounds of their share, the exact one."""

    times: float
    runs: int
    alarms: int
    between: tuple[float, float]
    exact: float


def rise(times: float, quiet: int, seed: str) -> Delay | None:
    """Return how long one rise went unseen, None where the alarm came before it."""
    chance = random.Random(seed)
    evidence = begin(ALPHA, DELTA)
    for _ in range(quiet):
        evidence = evidence.after(float(chance.random() < BEFORE * ALPHA))
    return None if evidence.alarmed else _delay(evidence, times, chance)


def _delay(evidence: Evidence, times: float, chance: random.Random) -> Delay:
    audits = decided = 0
    while not evidence.alarmed:
        if audits >= MOST:
            raise RuntimeError(f"expected an alarm within {MOST} audits at {times} times alpha")
        decided += 1
        if chance.random() < SAMPLING:
            audits += 1
            evidence = evidence.after(float(chance.random() < times * ALPHA))
    return Delay(audits, decided)


def spread(times: float, quiet: int, found: Sequence[Delay | None]) -> Delays:
    """Return what these rises came to."""
    delays = [delay for delay in found if delay is not None]
    stated = expected_delay(ALPHA, times * ALPHA, DELTA, quiet=quiet, before=BEFORE * ALPHA)
    return Delays(
        times,
        quiet,
        len(delays),
        Spread.of([delay.audits for delay in delays]),
        Spread.of([delay.decisions for delay in delays]),
        stated,
        None if stated is None else decisions(stated, SAMPLING),
    )


def stay(times: float, seed: str) -> bool:
    """Return whether a watch alarmed though the rate never rose."""
    chance = random.Random(seed)
    evidence = begin(ALPHA, DELTA)
    for _ in range(WATCHED):
        evidence = evidence.after(float(chance.random() < times * ALPHA))
        if evidence.alarmed:
            return True
    return False


def count(times: float, alarmed: Sequence[bool]) -> FalseAlarms:
    """Return how many alarmed."""
    return FalseAlarms(
        times,
        len(alarmed),
        sum(alarmed),
        interval(sum(alarmed), len(alarmed), 0.95),
        alarm_probability(ALPHA, times * ALPHA, DELTA, WATCHED),
    )
