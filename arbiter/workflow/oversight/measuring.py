"""Figures of reviews made from their rows: shares with intervals, quantiles of times, agreement of families. Pure.

An interval is Wilson's (1927, JASA 22:209) at 95%. Of fewer than `FEWEST` cases no share is told, nor how many they were: of one
review alone a share would tell what one person did.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from arbiter.calibrating.binomial import wilson
from arbiter.model import RiskClass
from arbiter.store.review_figures import Alike, Pattern, Waited

FEWEST: Final = 5
CONFIDENCE: Final = 0.95

Row = TypeVar("Row", Alike, Pattern)


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


def measure(alike: Sequence[Alike], patterns: Sequence[Pattern], waited: Sequence[Waited]) -> Reviewed:
    """Return the figures of these reviews, their patterns and how long they waited; planted ones count in their own figures alone."""
    real = [row for row in alike if not row.planted]
    lengths = {each.risk_class: each for each in waited}
    return Reviewed(
        reasons=_reasons(patterns),
        times=tuple(_times(risk_class, lengths.get(risk_class), real) for risk_class in reversed(RiskClass)),
        pairs=_pairs(patterns),
        judging=_judging(real),
        reliance=_reliance([row for row in alike if row.planted]),
    )


def share_of(rows: Iterable[Row], of: Callable[[Row], bool | None]) -> Share:
    """Return of how many reviews something is true, of those of which it is known."""
    told = [(row.reviews, of(row)) for row in rows]
    known = [(reviews, value) for reviews, value in told if value is not None]
    return Share(sum(reviews for reviews, value in known if value), sum(reviews for reviews, _ in known))


def _reasons(rows: Sequence[Pattern]) -> tuple[tuple[str, Share], ...]:
    counted: Counter[str] = Counter()
    for row in rows:
        counted.update(dict.fromkeys(row.reasons, row.reviews))
    whole = sum(row.reviews for row in rows)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return tuple((reason, Share(number, whole)) for reason, number in ranked)


def _times(risk_class: RiskClass, waited: Waited | None, rows: Sequence[Alike]) -> Times:
    overdue = share_of((row for row in rows if row.risk_class is risk_class), lambda row: row.overdue)
    # The lengths were counted beside the rest, maybe a moment before the last of enough reviews.
    told = waited if overdue.told and waited is not None and waited.reviews >= FEWEST else None
    return Times(
        risk_class=risk_class,
        cases=overdue.whole,
        to_claim=None if told is None else Quantiles(*told.to_claim),
        to_decision=None if told is None else Quantiles(*told.to_decision),
        overdue=overdue,
    )


def _pairs(rows: Sequence[Pattern]) -> tuple[Pair, ...]:
    families = sorted({family for row in rows for family in row.families})
    pairs = (
        Pair(one, other, share_of(rows, partial(_agree, one=one, other=other)))
        for one, other in itertools.combinations_with_replacement(families, 2)
    )
    return tuple(pair for pair in pairs if pair.agreed.whole)


def _agree(row: Pattern, *, one: str, other: str) -> bool | None:
    answers = [set(row.families.get(family, {}).values()) for family in (one, other)]
    if one == other:
        return None if len(row.families.get(one, {})) < 2 else len(answers[0]) == 1
    return None if any(len(given) != 1 for given in answers) else answers[0] == answers[1]


def _judging(rows: Sequence[Alike]) -> Judging:
    differed = [row for row in rows if row.own_is_leading is False]
    agreed = [row for row in rows if row.own_is_leading]
    known = [row for row in rows if row.final_right is not None]
    switches = [row for row in known if row.own_is_final is False]
    return Judging(
        reviews=sum(row.reviews for row in rows),
        overridden=share_of(rows, lambda row: _not(row.leading_is_final)),
        switched=share_of(rows, lambda row: _not(row.own_is_final)),
        toward=share_of(differed, lambda row: row.leading_is_final),
        away=share_of(agreed, lambda row: _not(row.own_is_final)),
        elsewhere=share_of(differed, lambda row: not row.leading_is_final and not row.own_is_final),
        mended=share_of(switches, lambda row: bool(row.final_right) and not row.own_right),
        spoilt=share_of(switches, lambda row: bool(row.own_right) and not row.final_right),
        own_right=share_of(known, lambda row: row.own_right),
        panel_right=share_of(known, lambda row: row.leading_right),
        signed_right=share_of(known, lambda row: row.final_right),
    )


def _reliance(rows: Sequence[Alike]) -> Reliance:
    known = [row for row in rows if row.final_right is not None]
    rightly = [row for row in known if row.own_right]
    return Reliance(
        planted=sum(row.reviews for row in rows),
        followed=share_of(rightly, lambda row: row.leading_is_final),
        before=share_of(known, lambda row: row.own_right),
        after=share_of(known, lambda row: row.final_right),
    )


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value
