"""Says in plain English how probable a panel's answers are, by what is known of its members, and what is certified of that.

Every number said is one that the certificate states, and none flatters: the probability of what the panel leans to is
rounded down and those of the others up, a level to be exceeded and a bound of errors up. Where one decimal would hide on
which side of its limit a number lies, it is told with more of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from arbiter.adjudication.bench import Heard
from arbiter.adjudication.words import listed, option_title, quoted
from arbiter.documents.scalars import decimal_text
from arbiter.model import ReasonCode, Verdict
from arbiter.question import Protocol, Strategy

_SYNTHETIC: Final = "The labelled cases behind these figures are synthetic: a generator invented them, and of real patients they show nothing."

_HUNDRED: Final = Decimal(100)
_MILLIONTH: Final = Decimal("0.000001")
"""The certificate states probabilities in millionths: 1.000000 stands for some that are not quite certain."""

_PLACES: Final = (1, 2, 3, 4)
"""Decimals of a percentage, up to all that a number of the certificate has."""


def probable_sentences(
    protocol: Protocol, heard: Sequence[Heard], verdict: Verdict, note: Mapping[str, Any] | None
) -> list[str]:
    """Return what the verdict's numbers, and `note` of the calibration they were read from, say of its certainty.

    Under another strategy, and where nobody answered or nothing was weighed, there is nothing to say.
    """
    numbers = dict(verdict.numbers)
    voices = [voice for voice in heard if voice.votes_on_question and voice.is_valid]
    if protocol.adjudication.strategy is not Strategy.POSTERIOR or not voices or "effective" not in numbers:
        return []
    if note is None or not any(name.startswith("posterior.") for name in numbers):
        counted = f"counted by their families alone, as {_members(numbers)}"
        return [f"How probable the answers are cannot be said; they are {counted}."]
    level = _Level.of(verdict, note)
    return [
        *_weighed(protocol, voices, numbers, verdict.leading, level),
        *_least(protocol, verdict, note, level),
        *_certainty(protocol, numbers, verdict, note, level),
        *([_SYNTHETIC] if note["synthetic"] else []),
    ]


def _weighed(
    protocol: Protocol,
    voices: Sequence[Heard],
    numbers: Mapping[str, str],
    leading: str | None,
    level: _Level,
) -> list[str]:
    """Say how much each member counts and how probable that makes each option, what leads first."""
    options = sorted(protocol.question.option_ids(), key=lambda option: option != leading)
    probable = [f"{_title(protocol, option)} {_told(numbers, option, leading, level)}" for option in options]
    probable[0] += " probable"
    made = listed(probable)
    if len(voices) == 1:
        return [f"Weighed by how often that member was right before, its answer makes {made}."]
    says = [f"{voice.seat.title} {_share(numbers[f'weight.{voice.seat.member}'])}" for voice in voices]
    return [
        f"Weighed by how often each member was right before, and counted as {_members(numbers)}, the answers make {made}.",
        f"Of the say each has: {listed(says)}.",
    ]


def _told(numbers: Mapping[str, str], option: str, leading: str | None, level: _Level) -> str:
    stated = _posterior(numbers, option)
    if option == leading:
        return level.below(stated)
    return f"at most {_ceiling(max(stated, _MILLIONTH), 1)}%"


def _least(protocol: Protocol, verdict: Verdict, note: Mapping[str, Any], level: _Level) -> list[str]:
    """Say how improbable the members that are missing could have made what the panel leans to."""
    if "least_probability" not in note or verdict.leading is None:
        return []
    least, title = level.below(_uncertain(note["least_probability"])), _title(protocol, verdict.leading)
    return [f"Whatever the missing members had said, {title} would be at least {least} probable."]


def _certainty(
    protocol: Protocol, numbers: Mapping[str, str], verdict: Verdict, note: Mapping[str, Any], level: _Level
) -> list[str]:
    """Say what deciding for the leading option takes, and how often it was wrong with labelled cases."""
    stratum = note.get("stratum")
    if stratum is None:
        return []
    title = _title(protocol, stratum["option"])
    alpha, confidence = Decimal(stratum["alpha"]), _exact(1 - Decimal(note["delta"]))
    held = stratum.get("certified")
    if held is None:
        return [_uncertified(title, stratum.get("failed"), alpha, confidence)]
    errors = (
        f"Of {_cases(held['cases'])} decided so, {_wrong(held['errors'])}: with {confidence} confidence at most "
        f"{_bound(Decimal(held['bound']), alpha)} of such decisions are, and {_exact(alpha)} are allowed."
    )
    return [_needed(title, _posterior(numbers, stratum["option"]), verdict, level), errors]


def _needed(title: str, leads: Decimal, verdict: Verdict, level: _Level) -> str:
    if not level.threshold:
        return f"For deciding {title} alone it is enough that it leads."
    said = f"Deciding {title} alone takes more than {level.told}"
    if any(reason.code is ReasonCode.NOT_CERTIFIED for reason in verdict.reasons):
        return f"{said}: it is {level.shortfall(leads)} percentage points short."
    return f"{said}."


def _uncertified(title: str, failed: Mapping[str, Any] | None, alpha: Decimal, confidence: str) -> str:
    said = f"Nothing is certified of deciding {title} alone"
    if failed is None:
        return f"{said}: too few labelled cases led to it, and {_exact(alpha)} wrong decisions are allowed."
    bound = f"{_ceiling(Decimal(failed['bound']), 1)}%"
    return (
        f"{said}: of {_cases(failed['cases'])} at the strictest level that was tried, {_wrong(failed['errors'])}, which leaves "
        f"up to {bound} possible with {confidence} confidence, and {_exact(alpha)} are allowed."
    )


# --- numbers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Level:
    """The probability to be exceeded: None where none is certified, 0 where leading is enough.

    `told` is it rounded up to `places` decimals of a percentage: as few as show above it what lies above it.
    """

    threshold: Decimal | None
    places: int
    told: str

    @classmethod
    def of(cls, verdict: Verdict, note: Mapping[str, Any]) -> _Level:
        """Return what the note says of the option that leads."""
        stratum = note.get("stratum", {})
        if "certified" not in stratum:
            return cls(None, _PLACES[0], "")
        threshold = Decimal(stratum["certified"]["threshold"])
        beside = [_posterior(dict(verdict.numbers), stratum["option"])]
        beside += [_uncertain(note["least_probability"])] if "least_probability" in note else []
        above = [each for each in beside if each > threshold]
        for places in _PLACES:
            if all(_floor(each, places) > _ceiling(threshold, places) for each in above):
                return cls(threshold, places, f"{_ceiling(threshold, places)}%")
        return cls(threshold, _PLACES[-1], _exact(threshold))

    def below(self, probability: Decimal) -> str:
        """Return a probability rounded down."""
        return f"{_floor(probability, self.places)}%"

    def shortfall(self, probability: Decimal) -> Decimal:
        """Return by how many percentage points a probability, as it is told, is short of the level."""
        return _ceiling(self.threshold or Decimal(0), self.places) - _floor(probability, self.places)


def _posterior(numbers: Mapping[str, str], option: str) -> Decimal:
    return _uncertain(numbers[f"posterior.{option}"])


def _uncertain(stated: str) -> Decimal:
    """Return a probability, short of certainty, which nothing is."""
    return min(Decimal(stated), 1 - _MILLIONTH)


def _bound(bound: Decimal, alpha: Decimal) -> str:
    """Return the bound rounded up, as long as that leaves it within the rate that it is within."""
    told = (_ceiling(bound, places) for places in _PLACES)
    within = next((each for each in told if each <= alpha * _HUNDRED), None)
    return _exact(bound) if within is None else f"{within}%"


def _members(numbers: Mapping[str, str]) -> str:
    counted = Decimal(numbers["effective"]).quantize(Decimal("0.1"), ROUND_FLOOR)
    return f"{counted} independent member{'' if counted == 1 else 's'}"


def _share(weight: str) -> str:
    return f"{_rounded(Decimal(weight), 1, ROUND_HALF_EVEN)}%"


def _floor(value: Decimal, places: int) -> Decimal:
    return _rounded(value, places, ROUND_FLOOR)


def _ceiling(value: Decimal, places: int) -> Decimal:
    return _rounded(value, places, ROUND_CEILING)


def _rounded(value: Decimal, places: int, rounding: str) -> Decimal:
    return (value * _HUNDRED).quantize(Decimal(1).scaleb(-places), rounding)


def _exact(rate: Decimal) -> str:
    return f"{decimal_text(rate * _HUNDRED)}%"


def _title(protocol: Protocol, option: str) -> str:
    return quoted(option_title(protocol, option))


def _cases(number: int) -> str:
    return f"{number} labelled {'case' if number == 1 else 'cases'}"


def _wrong(errors: int) -> str:
    return {0: "none was wrong", 1: "1 was wrong"}.get(errors, f"{errors} were wrong")
