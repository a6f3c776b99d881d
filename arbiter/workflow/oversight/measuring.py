"""Figures of reviews made from their rows: shares with intervals, quantiles of times, agreement of families. Pure.

An interval is Wilson's (1927, JASA 22:209) at 95%. Of fewer than `FEWEST` cases no share is told, nor how many they were: of one
review alone a share would tell what one person did.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from arbiter.calibrating.binomial import wilson
from arbiter.model import RiskClass
from arbiter.store.review_figures import Measured, ReviewFigure

FEWEST: Final = 5
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some cases."""

    part: int
    whole: int

    @property
    def told(self) -> bool:
        """Whether the cases are enough to tell a share of them."""
        return self.whole >= FEWEST

    @property
    def rate(self) -> float | None:
        """The share, 0 to 1; None of too few cases."""
        return self.part / self.whole if self.told else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the share lies that such cases have in the long run, at 95%; None of too few cases."""
        return wilson(self.part, self.whole, CONFIDENCE) if self.told else None


@dataclass(frozen=True, slots=True)
class Span:
    """What concluded of the cases taken in from an instant up to another, and how many of them with a clinician."""

    since: datetime
    until: datetime
    escalated: Share


@dataclass(frozen=True, slots=True)
class Quantiles:
    """How long something took in half, nine tenths and nineteen twentieths of all cases, at most."""

    p50: timedelta
    p90: timedelta
    p95: timedelta


@dataclass(frozen=True, slots=True)
class Times:
    """How long cases of a risk class waited until somebody took them and until they were signed; None of too few."""

    risk_class: RiskClass
    cases: int
    to_claim: Quantiles | None
    to_decision: Quantiles | None
    overdue: Share


@dataclass(frozen=True, slots=True)
class Pair:
    """How often two families gave the same answer, of the cases in which both gave one.

    A family whose members differ gives none. Beside itself a family stands for its own members: how often they all gave the same
    answer, of the cases in which at least two gave one.
    """

    one: str
    other: str
    agreed: Share


@dataclass(frozen=True, slots=True)
class Judging:
    """What clinicians did beside the panel.

    `overridden`: signed otherwise than the panel leant. `switched`: signed otherwise than they had judged alone, which is `toward` the
    panel of those who differed from it, `away` from it of those who did not, and `elsewhere`, to a third answer, of those who differed.
    Where it is known what was right: `mended` and `spoilt` are the switches from wrong to right and from right to wrong, of all
    switches; `own_right`, `panel_right` and `signed_right` who was.
    """

    reviews: int
    overridden: Share
    switched: Share
    toward: Share
    away: Share
    elsewhere: Share
    mended: Share
    spoilt: Share
    own_right: Share
    panel_right: Share
    signed_right: Share


@dataclass(frozen=True, slots=True)
class Reliance:
    """What planted cases measure, in each of which the panel's advice was wrong.

    `followed`: of those that were judged rightly alone, how many were signed as the panel leant. `before` and `after`: of all, how
    many were right alone and when signed.
    """

    planted: int
    followed: Share
    before: Share
    after: Share


@dataclass(frozen=True, slots=True)
class Reviewed:
    """All that signed reviews say; `reasons` by code, the most frequent first."""

    reasons: tuple[tuple[str, Share], ...]
    times: tuple[Times, ...]
    pairs: tuple[Pair, ...]
    judging: Judging
    reliance: Reliance


def measure(rows: Sequence[Measured]) -> Reviewed:
    """Return the figures of these reviews; planted ones count in their own figures alone."""
    real = [row for row in rows if not row.figure.training]
    figures = [row.figure for row in real]
    return Reviewed(
        reasons=_reasons(figures),
        times=tuple(
            _times(risk_class, [each for each in figures if each.risk_class is risk_class])
            for risk_class in reversed(RiskClass)
        ),
        pairs=_pairs(figures),
        judging=_judging(real),
        reliance=_reliance([row for row in rows if row.figure.planted]),
    )


def share_of(rows: Iterable[bool | None]) -> Share:
    """Return how many are true of those that are known."""
    known = [row for row in rows if row is not None]
    return Share(sum(known), len(known))


def quantile(values: Sequence[float], part: float) -> float:
    """Return the quantile of values, at least one, between the two nearest ranks in proportion.

    That is type 7 of Hyndman and Fan (1996, The American Statistician 50:361), which NumPy has by default.
    """
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def _reasons(figures: Sequence[ReviewFigure]) -> tuple[tuple[str, Share], ...]:
    counted = Counter(reason for figure in figures for reason in figure.reasons)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return tuple((reason, Share(number, len(figures))) for reason, number in ranked)


def _times(risk_class: RiskClass, figures: Sequence[ReviewFigure]) -> Times:
    return Times(
        risk_class=risk_class,
        cases=len(figures),
        to_claim=_quantiles(figures, lambda figure: figure.claimed_at - figure.escalated_at),
        to_decision=_quantiles(figures, lambda figure: figure.signed_at - figure.escalated_at),
        overdue=share_of(figure.overdue for figure in figures),
    )


def _quantiles(
    figures: Sequence[ReviewFigure], length: Callable[[ReviewFigure], timedelta]
) -> Quantiles | None:
    if len(figures) < FEWEST:
        return None
    seconds = [max(0.0, length(figure).total_seconds()) for figure in figures]
    p50, p90, p95 = (timedelta(seconds=quantile(seconds, part)) for part in (0.5, 0.9, 0.95))
    return Quantiles(p50, p90, p95)


def _pairs(figures: Sequence[ReviewFigure]) -> tuple[Pair, ...]:
    families = sorted({family for figure in figures for family in figure.families})
    pairs = (
        Pair(one, other, share_of(_agree(figure, one, other) for figure in figures))
        for one, other in itertools.combinations_with_replacement(families, 2)
    )
    return tuple(pair for pair in pairs if pair.agreed.whole)


def _agree(figure: ReviewFigure, one: str, other: str) -> bool | None:
    answers = [set(figure.families.get(family, {}).values()) for family in (one, other)]
    if one == other:
        return None if len(figure.families.get(one, {})) < 2 else len(answers[0]) == 1
    return None if any(len(given) != 1 for given in answers) else answers[0] == answers[1]


def _judging(rows: Sequence[Measured]) -> Judging:
    figures = [row.figure for row in rows]
    differed = [each for each in figures if each.own_is_leading is False]
    agreed = [each for each in figures if each.own_is_leading]
    known = [row.outcome for row in rows if row.outcome is not None]
    switches = [row.outcome for row in rows if row.figure.own_is_final is False and row.outcome is not None]
    return Judging(
        reviews=len(figures),
        overridden=share_of(_not(each.leading_is_final) for each in figures),
        switched=share_of(_not(each.own_is_final) for each in figures),
        toward=share_of(each.leading_is_final for each in differed),
        away=share_of(_not(each.own_is_final) for each in agreed),
        elsewhere=share_of(not each.leading_is_final and not each.own_is_final for each in differed),
        mended=share_of(told.final_right and not told.own_right for told in switches),
        spoilt=share_of(bool(told.own_right) and not told.final_right for told in switches),
        own_right=share_of(told.own_right for told in known),
        panel_right=share_of(told.leading_right for told in known),
        signed_right=share_of(told.final_right for told in known),
    )


def _reliance(rows: Sequence[Measured]) -> Reliance:
    known = [(row.figure, row.outcome) for row in rows if row.outcome is not None]
    return Reliance(
        planted=len(rows),
        followed=share_of(figure.leading_is_final for figure, told in known if told.own_right),
        before=share_of(told.own_right for _, told in known),
        after=share_of(told.final_right for _, told in known),
    )


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value
