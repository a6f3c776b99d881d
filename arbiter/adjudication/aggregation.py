"""Turns members' samples into one distribution: what each said, how much each counts, and what leads.

Samples are counted as they fell, unsmoothed. Members of one family err together, so each counts for
1 / sum_i max(rho_ij, 0), with rho = 1 with itself, the protocol's family correlation within a family, and 0 across
families; the sum of these is the effective number of members (arXiv 2506.07962). The posterior takes each correlation from
the calibration instead, and reads there what each member's word is worth (`arbiter.adjudication.posterior`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, assert_never

from arbiter.adjudication import posterior as bayes
from arbiter.adjudication.bench import Bench, Heard
from arbiter.adjudication.records import places_of, posterior_of, records_of
from arbiter.adjudication.words import option_title, quoted
from arbiter.model import ReasonCode
from arbiter.question import Strategy

NEAR: Final = 1e-6 + 1e-12
"""A millionth, and what rounding may add to a difference of one: numbers no further apart than this are not told apart."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The valid voting members put together.

    `distributions` and `weights` follow `voices`, `shares` the question's options; weights and shares sum to 1.
    `effective` is exact. `votes` counts members by the one option they lead with, in the question's order. `posterior`
    follows the options; None under another strategy, or where not every voice has a record.
    """

    voices: tuple[Heard, ...]
    distributions: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    shares: tuple[float, ...]
    votes: tuple[int, ...]
    effective: Fraction
    posterior: tuple[float, ...] | None = None


def tally(bench: Bench, heard: Sequence[Heard]) -> Tally:
    """Return the tally of the members that answered the question validly, in the order of their seats."""
    voices = tuple(voice for voice in heard if voice.votes_on_question and voice.is_valid)
    options = bench.option_ids()
    distributions = tuple(distribution(voice, options) for voice in voices)
    posterior = None
    records = records_of(bench) if bench.settings.strategy is Strategy.POSTERIOR else None
    places = places_of(records, voices)
    # Where nobody answered there is nothing but how frequent options are, which is no answer about this patient.
    if records is None or not places:
        families = [voice.seat.family for voice in voices]
        independent = independence(families, bench.settings.family_correlation)
    else:
        independent = bayes.independence(records.correlations, places)
        posterior = posterior_of(records, places, independent, distributions)
    weights = _normalised(_weights(bench, voices, independent))
    return Tally(
        voices=voices,
        distributions=distributions,
        weights=weights,
        shares=mixture(weights, distributions, len(options)),
        votes=tuple(sum(voice.leaders == (option,) for voice in voices) for option in options),
        effective=sum(independent, Fraction(0)),
        posterior=posterior,
    )


def distribution(voice: Heard, options: Sequence[str]) -> tuple[float, ...]:
    """Return the share of the member's valid samples that each option got."""
    votes = dict(voice.votes)
    samples = sum(votes.values())
    return tuple(votes.get(option, 0) / samples for option in options)


def independence(families: Sequence[str], correlation: Decimal) -> tuple[Fraction, ...]:
    """Return, for each member by its family, 1 / (1 + correlation * the others of its family), exactly."""
    return _independence(tuple(families), correlation)


@lru_cache(maxsize=1024)
def _independence(families: tuple[str, ...], correlation: Decimal) -> tuple[Fraction, ...]:
    alike, apart = Fraction(correlation), Fraction(0)
    correlations = tuple(tuple(alike if one == other else apart for other in families) for one in families)
    return bayes.independence(correlations, tuple(range(len(families))))


def _weights(bench: Bench, voices: Sequence[Heard], independent: Sequence[Fraction]) -> list[Fraction]:
    """A seat's own weight counts only where the strategy weighs."""
    if bench.settings.strategy is not Strategy.WEIGHTED:
        return list(independent)
    return [Fraction(voice.seat.weight) * own for voice, own in zip(voices, independent, strict=True)]


def _normalised(weights: Sequence[Fraction]) -> tuple[float, ...]:
    whole = sum(weights, Fraction(0))
    return tuple(float(weight / whole) for weight in weights)


def mixture(
    weights: Sequence[float], distributions: Sequence[Sequence[float]], options: int
) -> tuple[float, ...]:
    """Return the weighted mean of the distributions, option by option; all zero when there are none."""
    return tuple(
        math.fsum(weight * shares[at] for weight, shares in zip(weights, distributions, strict=True))
        for at in range(options)
    )


@dataclass(frozen=True, slots=True)
class Lead:
    """What leads under the strategy, and why that is not enough, if it is not: `code`, with `shortfall` in words."""

    option: str | None
    shortfall: str | None
    code: ReasonCode = ReasonCode.NO_MAJORITY


def lead(bench: Bench, counted: Tally) -> Lead:
    """Return what the panel leans to, and whether the protocol's strategy takes that as its answer."""
    strategy = bench.settings.strategy
    match strategy:
        case Strategy.WEIGHTED:
            return _lead_by_weight(bench, counted)
        case Strategy.POSTERIOR:
            return _lead_by_posterior(bench, counted)
        case Strategy.MAJORITY:
            needed = len(counted.voices) // 2 + 1
        case Strategy.UNANIMOUS:
            needed = len(counted.voices)
        case _:
            assert_never(strategy)
    most = max(counted.votes)
    leaders = [
        option for option, votes in zip(bench.option_ids(), counted.votes, strict=True) if votes == most
    ]
    if most == 0 or len(leaders) > 1:
        return Lead(None, "no option has most votes")
    said = f"{quoted(option_title(bench.protocol, leaders[0]))} has {most} of {len(counted.voices)} votes, at least {needed} needed"
    return Lead(leaders[0], None if most >= needed else said)


def _lead_by_weight(bench: Bench, counted: Tally) -> Lead:
    options = bench.option_ids()
    ranked = sorted(range(len(options)), key=lambda at: -counted.shares[at])
    first, second = (counted.shares[at] for at in ranked[:2])
    if first - second <= NEAR:
        return Lead(None, "no option has most of the weight")
    option, threshold = options[ranked[0]], _threshold(bench)
    title = quoted(option_title(bench.protocol, option))
    said = f"{title} has {first:.6f} of the weight, more than {threshold:.6f} needed"
    if abs(first - threshold) <= NEAR:
        return Lead(option, said, ReasonCode.NEAR_THRESHOLD)
    return Lead(option, None if first > threshold else said)


def _threshold(bench: Bench) -> float:
    """Return the share that is to be exceeded; without one nothing is enough, and a bench without one is refused."""
    return 1.0 if bench.settings.threshold is None else float(bench.settings.threshold)


def _lead_by_posterior(bench: Bench, counted: Tally) -> Lead:
    """The most probable option leads, and is enough where its probability lies above what is certified for that option."""
    options = bench.option_ids()
    # Without a record of every voice nothing can be decided; what they lean to is still worth telling.
    probabilities = counted.shares if counted.posterior is None else counted.posterior
    ranked = sorted(range(len(options)), key=lambda at: -probabilities[at])
    first, second = (probabilities[at] for at in ranked[:2])
    if first - second <= NEAR:
        return Lead(None, "no option is more probable than every other")
    option = options[ranked[0]]
    if counted.posterior is None or bench.calibration is None:
        return Lead(option, None)
    title, stratum = quoted(option_title(bench.protocol, option)), bench.calibration.stratum(option)
    if stratum is None or stratum.certified is None:
        return Lead(option, f"nothing is certified of deciding {title}", ReasonCode.NOT_CERTIFIED)
    threshold = float(stratum.certified.threshold)
    said = f"{title} has a probability of {first:.6f}, more than {threshold:.6f} needed"
    if abs(first - threshold) <= NEAR:
        return Lead(option, said, ReasonCode.NEAR_THRESHOLD)
    return Lead(option, None if first > threshold else said, ReasonCode.NOT_CERTIFIED)
