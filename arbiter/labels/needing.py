"""Tells from labels alone the least that certificates still take, before any panel has been asked.

A certificate counts held-out cases that the panel would decide for an option, and is possible with `fewest(0, ...)` of them when none
is wrong (`arbiter.calibrating.binomial`). A right decision for an option is of a case so labelled, so the held-out cases of that label
bound what is there. How many the panel decides and how often it errs nobody knows yet: `arbiter calibrate` says it afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from arbiter.calibrating.binomial import fewest
from arbiter.evaluation.splitting import Part, part_of
from arbiter.protocols.bundle import LabelledCase
from arbiter.question import Protocol


@dataclass(frozen=True, slots=True)
class Lacking:
    """For an option that may be decided alone: how many cases are labelled so, and held out, and the fewest held out that it takes."""

    option: str
    labelled: int
    held_out: int
    least: int

    @property
    def more(self) -> int:
        """How many held-out cases are lacking at the least; about twice as many have to be labelled, for half are held out."""
        return max(0, self.least - self.held_out)


def lacking(protocol: Protocol, cases: Iterable[LabelledCase]) -> tuple[Lacking, ...]:
    """Return what each option of the protocol's guarantee takes, in the question's order; nothing where it has no guarantee."""
    guarantee = protocol.adjudication.guarantee
    if guarantee is None:
        return ()
    labelled: Counter[str] = Counter()
    held_out: Counter[str] = Counter()
    for case in cases:
        labelled[case.label] += 1
        held_out[case.label] += part_of(case.id) is Part.HELD_OUT
    rates = dict(guarantee.error_rates)
    return tuple(
        Lacking(
            option,
            labelled[option],
            held_out[option],
            fewest(0, float(rates[option]), float(guarantee.delta)),
        )
        for option in protocol.question.option_ids()
        if option in rates
    )
