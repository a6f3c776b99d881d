"""Says whether enough of the panel answered, and what the members that did not answer might have said.

A member that is invalid, timed out, down or was never heard is missing: nobody knows what it would have said, so every
answer it could have given is put in its place. One that abstained is not missing; it said that it cannot say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import prod
from typing import Final

from arbiter.adjudication.aggregation import NEAR, Tally
from arbiter.adjudication.bench import Bench, Heard
from arbiter.adjudication.words import option_title, quoted, what_became
from arbiter.model import MemberStatus, Reason, ReasonCode
from arbiter.question import Strategy

MOST_COMPLETIONS: Final = 256
LEAST_COMPARED: Final = 2
"""Fewer valid members than this cannot be compared, whatever the protocol asks for."""


def quorum_reasons(bench: Bench, heard: Sequence[Heard], counted: Tally) -> list[Reason]:
    """Return why the answers that came are too few, each reason with its numbers or members."""
    settings = bench.settings
    reasons = [
        Reason(
            ReasonCode.REQUIRED_MEMBER,
            f"{voice.seat.title} {_role(voice)} and {what_became(bench.protocol, voice)}",
        )
        for voice in heard
        if (voice.seat.required or voice.seat.veto) and not voice.is_valid
    ]
    if bench.only_advises:
        # INVARIANT: such a bench is never automatic, so leaving the counts out cannot let anything be decided.
        return reasons
    valid, least_valid = len(counted.voices), max(settings.least_valid, LEAST_COMPARED)
    if valid < least_valid:
        reasons.append(Reason(ReasonCode.TOO_FEW_VALID, f"{valid} valid, at least {least_valid} needed"))
    families = len({voice.seat.family for voice in counted.voices})
    if families < settings.least_families:
        reasons.append(
            Reason(
                ReasonCode.TOO_FEW_FAMILIES, f"{families} answered, at least {settings.least_families} needed"
            )
        )
    reasons.extend(_effective_reasons(counted.effective, settings.least_effective))
    return reasons


def _effective_reasons(effective: Fraction, least: Decimal) -> Iterator[Reason]:
    # Both are exact, so equal means equal; anything else this close is as near as a rounded number would be.
    distance = effective - Fraction(least)
    detail = f"{float(effective):.6f} effective members, at least {least:.6f} needed"
    if distance < 0:
        yield Reason(ReasonCode.TOO_FEW_EFFECTIVE, detail)
    if distance != 0 and abs(distance) <= NEAR:
        yield Reason(ReasonCode.NEAR_THRESHOLD, detail)


def _role(voice: Heard) -> str:
    return "is required" if voice.seat.required else "holds a veto"


def veto_reasons(bench: Bench, heard: Sequence[Heard], leading: str | None) -> list[Reason]:
    """Return each veto that stands against the panel's lean.

    A seat's `veto` lists the answers in which it cannot be outvoted: where it gives one of them, the panel decides that
    or nothing.
    """
    return [
        Reason(ReasonCode.VETO, f"{voice.seat.title} says {quoted(option_title(bench.protocol, option))}")
        for voice in heard
        for option in voice.leaders
        if option in voice.seat.veto and option != leading
    ]


def completions(
    bench: Bench, heard: Sequence[Heard], silent: Sequence[Heard], or_abstains: bool
) -> Iterator[tuple[Heard, ...]] | None:
    """Return every way in which the silent members could have answered, or None when there are more than 256.

    Args:
        bench: gives the options of what each was asked.
        heard: what every seat said.
        silent: those of them whose answers are to be supposed.
        or_abstains: also suppose that each might have abstained.
    """
    answers = [[*_supposed(bench, voice), *([_abstaining(voice)] if or_abstains else [])] for voice in silent]
    if prod(len(choices) for choices in answers) > MOST_COMPLETIONS:
        return None
    return (_completed(heard, supposed) for supposed in product(*answers))


def _supposed(bench: Bench, voice: Heard) -> list[Heard]:
    options = bench.option_ids(voice.seat.asks)
    answers: list[tuple[tuple[str, int], ...]] = [((option, 1),) for option in options]
    draws = 1 if voice.seat.model is None else voice.seat.model.samples
    if draws > 1 and bench.settings.strategy is Strategy.POSTERIOR:
        # In two minds as far as can be: of all that it could have said, this lets the panel disagree most within. Under the
        # other strategies it is left out, as it was when cases were first decided by them: they are decided again alike.
        answers.append(tuple((option, 1) for option in sorted(options)))
    return [
        replace(voice, status=MemberStatus.VALID, votes=votes, missing=(), identity=None) for votes in answers
    ]


def _abstaining(voice: Heard) -> Heard:
    return replace(voice, status=MemberStatus.ABSTAINED, votes=(), missing=(), identity=None)


def _completed(heard: Sequence[Heard], supposed: Sequence[Heard]) -> tuple[Heard, ...]:
    by_member = {voice.seat.member: voice for voice in supposed}
    return tuple(by_member.get(voice.seat.member, voice) for voice in heard)
