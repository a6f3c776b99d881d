"""All that can be said of the answers to the question: fitted on one part of the cases, told of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np

from arbiter.calibrating.guarantee import Certified
from arbiter.errors import RefusedError
from arbiter.evaluation.agreeing import error_correlation
from arbiter.evaluation.answering import Way, cost_of, judge, member_ways, service_way, simple_ways
from arbiter.evaluation.ballots import Ballots, ballots_of
from arbiter.evaluation.cases import Case
from arbiter.evaluation.contributing import contributions
from arbiter.evaluation.figures.answers import RiskCurve, StrategyFigures
from arbiter.evaluation.figures.report import Decisions, Settings
from arbiter.evaluation.fitting import fit_ballots, fit_settings
from arbiter.evaluation.hearing import Came, Hearing
from arbiter.evaluation.probabilities import (
    Posteriors,
    calibration,
    certificates,
    certified_answers,
    hardest,
    posteriors,
    risk_curve,
)
from arbiter.evaluation.splitting import Part, part_of
from arbiter.evaluation.subgroups import LEAST_SHOWN, SMALL, subgroups
from arbiter.evaluation.unseated import unseated
from arbiter.question import QUESTION, Protocol

Pairs: TypeAlias = Sequence[tuple[Case, Hearing]]

ALPHA: Final = 0.05
DELTA: Final = 0.05


def settings_of(protocol: Protocol) -> Settings:
    """Return what is chosen before looking: the protocol's own where it states a guarantee; its family prior always."""
    guarantee, options = protocol.adjudication.guarantee, protocol.question.option_ids()
    fitting = fit_settings(protocol)
    stated = {} if guarantee is None else {option: float(rate) for option, rate in guarantee.error_rates}
    return Settings(
        stated=guarantee is not None,
        error_rates=tuple(ALPHA if guarantee is None else stated.get(option) for option in options),
        delta=DELTA if guarantee is None else float(guarantee.delta),
        smoothing=fitting.smoothing,
        shrinkage=fitting.shrinkage,
        family_prior=fitting.family_prior,
        small_group=SMALL,
        least_group=LEAST_SHOWN,
    )


def decisions(protocol: Protocol, pairs: Pairs, settings: Settings) -> Decisions:
    """Return the figures of the held-out cases.

    Raises:
        RefusedError: when a part has too few cases to fit or to tell anything from.
    """
    asked = [(case, hearing) for case, hearing in pairs if hearing.came is Came.ASKED]
    parts = np.array([part_of(case.id) for case, _ in asked])
    whole = ballots_of(protocol, QUESTION, asked, labelled=True)
    fitting, tempering, held_out = (whole.of(parts == part) for part in Part)
    fitted = fit_ballots(fitting, tempering, held_out, fit_settings(protocol))
    fitted_on, own = posteriors(fitted, fitting), posteriors(fitted, held_out)
    certified = certificates(fitted_on, own, settings.error_rates, settings.delta)
    calibrated = calibration(own, fitted.temperature)
    if calibrated is None:
        raise RefusedError("expected a held-out case that at least one member answered, none was answered")
    told = [pair for pair, part in zip(asked, parts, strict=True) if part == Part.HELD_OUT]
    service = service_way(held_out, [hearing for _, hearing in told])
    others = unseated(fitting, held_out, fitted_on, own)
    groups, unshown = subgroups([case for case, _ in told], held_out.truths, own.leads, service.answers)
    return Decisions(
        settings=settings,
        options=tuple(option.id for option in whole.options),
        option_titles=tuple(option.title for option in whole.options),
        strategies=_strategies(protocol, pairs, told, (fitting, held_out), own, certified, others.ways),
        risk=_risk(whole, own, certified, settings),
        calibration=calibrated,
        cold_start=others.cold_start,
        stacker=others.stacker,
        error_correlation=error_correlation(held_out),
        contributions=contributions(fitting, held_out, fitted),
        hardest=hardest(own, held_out),
        subgroups=groups,
        unshown=unshown,
    )


def _strategies(
    protocol: Protocol,
    pairs: Pairs,
    told: Pairs,
    ballots: tuple[Ballots, Ballots],
    own: Posteriors,
    certified: Sequence[Certified | None],
    others: Sequence[Way],
) -> tuple[StrategyFigures, ...]:
    fitting, held_out = ballots
    hearings = [hearing for _, hearing in told]
    everyone = tuple(range(len(held_out.seats)))
    ways = (
        service_way(held_out, hearings),
        *simple_ways(held_out, protocol.adjudication),
        Way("posterior", "Posterior alone, whatever leads", "strategy", own.leads, everyone),
        Way(
            "posterior-certified",
            "Posterior alone, without quorum and policy, above what is certified",
            "strategy",
            certified_answers(own, certified),
            everyone,
        ),
        *others,
        *member_ways(fitting, held_out),
    )
    number = sum(part_of(case.id) is Part.HELD_OUT for case, _ in pairs)
    cost = cost_of(held_out, hearings)
    return tuple(judge(way, held_out, number, cost) for way in ways)


def _risk(
    whole: Ballots, own: Posteriors, certified: Sequence[Certified | None], settings: Settings
) -> tuple[RiskCurve, ...]:
    return (
        risk_curve(own, None, None, "All options together", None),
        *(
            risk_curve(own, at, option.id, option.title, certified[at], settings.error_rates[at])
            for at, option in enumerate(whole.options)
        ),
    )
