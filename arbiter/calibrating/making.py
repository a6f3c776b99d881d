"""Makes a calibration: the fit as decimals, and for each option that may be decided the loosest level that is certified.

What is certified is the error rate of what would be decided: a case counts only where the whole decision, policy included,
leaves nothing in the way but certainty. So the cases are weighed first by a provisional calibration under which everything
is certain enough, and what it decides is a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Final

from arbiter.calibrating.fitting import DECIMALS, FitSettings, Fitted
from arbiter.calibrating.guarantee import Scored, Tested, certify, grid
from arbiter.calibration import Calibration, Labels, Level, MemberRecord, Stratum
from arbiter.documents.calibrations import sealed
from arbiter.model import MemberId
from arbiter.question import QUESTION, Guarantee, Protocol

_STEP: Final = Decimal(1).scaleb(-DECIMALS)
_UNTESTED: Final = Level(Decimal(0), 0, 0, Decimal(0))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A labelled case that is decided when certainty is left out: for which option, how probable, and whether rightly.

    `probability` is the least that the option has over everything that missing members could have said: it is what a level
    must lie below for the case to be decided.
    """

    option: str
    probability: float
    right: bool


def provisional(
    protocol: Protocol,
    identities: Mapping[MemberId, str],
    fitted: Fitted,
    settings: FitSettings,
    labels: Labels,
    code_version: str,
) -> Calibration:
    """Return the fit as a calibration that lets every option through whose error rate the protocol bounds.

    It is for finding candidates and has no hash: nothing may be decided by it.

    Args:
        protocol: decides by the posterior.
        identities: the SHA-256 (hex) of the identity of each member, of those that answer facets too.
        fitted: of the voting members in the order of their seats, and the options in the question's.
        settings: those of the fit.
        labels: of the cases that it was, and will be, made from.
        code_version: of the code that makes it.

    Raises:
        ValueError: when the protocol has no guarantee; KeyError: when a member has no identity.
    """
    guarantee = _guarantee(protocol)
    members = [seat.member for seat in protocol.seats if seat.asks == QUESTION]
    others = sorted(seat.member for seat in protocol.seats if seat.asks != QUESTION)
    return Calibration(
        protocol=protocol.id,
        protocol_version=protocol.version,
        protocol_hash=protocol.content_hash,
        options=protocol.question.option_ids(),
        prior=_decimals(fitted.prior),
        records=tuple(
            MemberRecord(member, identities[member], tuple(_decimals(row) for row in matrix))
            for member, matrix in zip(members, fitted.reliabilities, strict=True)
        ),
        facet_members=tuple((member, identities[member]) for member in others),
        correlations=tuple(_decimals(row) for row in fitted.correlations),
        temperature=_decimal(fitted.temperature),
        delta=guarantee.delta,
        strata=tuple(
            Stratum(option, alpha, _UNTESTED, (_UNTESTED,)) for option, alpha in guarantee.error_rates
        ),
        labels=labels,
        smoothing=_decimal(settings.smoothing),
        shrinkage=_decimal(settings.shrinkage),
        family_correlation=_decimal(settings.family_prior),
        code_version=code_version,
        content_hash="",
    )


def certified(
    weighed: Calibration, fitting: Sequence[Candidate], guarantee: Sequence[Candidate]
) -> Calibration:
    """Return the calibration with what its candidates certify, under its hash.

    Args:
        weighed: the provisional one.
        fitting: candidates among the cases it was fitted on, from which alone the levels to test are chosen.
        guarantee: candidates among cases that nothing was fitted on.
    """
    strata = tuple(_stratum(stratum, weighed.delta, fitting, guarantee) for stratum in weighed.strata)
    return sealed(replace(weighed, strata=strata))


def _stratum(
    stratum: Stratum, delta: Decimal, fitting: Sequence[Candidate], guarantee: Sequence[Candidate]
) -> Stratum:
    seen = [each for each in fitting if each.option == stratum.option]
    held = [Scored(each.probability, each.right) for each in guarantee if each.option == stratum.option]
    if not seen or not held:
        return Stratum(stratum.option, stratum.alpha, None, ())
    alpha, chance = float(stratum.alpha), float(delta)
    levels = grid(
        [each.probability for each in seen],
        len(held),
        alpha,
        chance,
        right=[each.right for each in seen],
    )
    tested: list[Level] = []
    for own in certify(held, levels, alpha, chance).path:
        tested.append(_level(own))
        # As printed: a bound that rounding up takes above the rate has not held.
        if tested[-1].bound > stratum.alpha:
            break
    passed = [level for level in tested if level.bound <= stratum.alpha]
    return Stratum(stratum.option, stratum.alpha, passed[-1] if passed else None, tuple(tested))


def _level(tested: Tested) -> Level:
    # A bound is rounded up: what is printed as held did hold.
    bound = Decimal(tested.bound).quantize(_STEP, ROUND_CEILING)
    return Level(_decimal(tested.threshold), tested.accepted, tested.errors, bound)


def _guarantee(protocol: Protocol) -> Guarantee:
    if protocol.adjudication.guarantee is None:
        raise ValueError(f"protocol {protocol.id}: expected one that states a guarantee")
    return protocol.adjudication.guarantee


def _decimals(numbers: Sequence[float]) -> tuple[Decimal, ...]:
    return tuple(map(_decimal, numbers))


def _decimal(number: float) -> Decimal:
    return Decimal(f"{number:.{DECIMALS}f}")
