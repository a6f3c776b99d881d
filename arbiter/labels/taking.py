"""Judges a labelled case as the service would have taken it in, and turns it into one that can be evaluated.

Facts go through the question's own intake at the instant of the case: units are converted, ranges and ages checked, and what was
observed later is refused, since no panel could have seen it. A case that passes holds ages in place of instants, and neither the
patient's number nor where a fact came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from arbiter.errors import InvalidCaseError, Problem
from arbiter.labels.form import Arrived
from arbiter.labels.provenance import misdated, unfit_kind
from arbiter.labels.reading import Beside
from arbiter.model import Fact, FactStatus, RiskClass
from arbiter.protocols.bundle import ExampleFact, LabelledCase
from arbiter.protocols.intake import FUTURE_TOLERANCE, OLDEST, take_facts
from arbiter.question import Question

_MINUTE: Final = timedelta(minutes=1)
_MOST_MINUTES: Final = OLDEST // _MINUTE


def take_case(
    arrived: Arrived, question: Question, beside: Beside, now: datetime, problems: list[Problem]
) -> LabelledCase | None:
    """Return the case, or None with each problem noted at its place in the file; `now` bounds what can have happened."""
    risk_class = arrived.risk_class or beside.risk_class
    found = [*_unfit(arrived, risk_class, question, beside, now)]
    facts: tuple[Fact, ...] = ()
    try:
        facts = take_facts(question, arrived.facts, arrived.taken_at).facts
    except InvalidCaseError as refused:
        found += refused.problems
    if found or risk_class is None:
        problems += [arrived.tell(problem) for problem in found]
        return None
    return LabelledCase(
        id=arrived.id,
        title=f"Case {arrived.id}",
        risk_class=risk_class,
        facts=tuple(
            ExampleFact(fact.name, fact.value, fact.unit, age_minutes(fact, arrived.taken_at))
            for fact in facts
        ),
        label=arrived.label.option,
        provenance=arrived.label.provenance,
        expect=None,
        covers=(),
    )


def age_minutes(fact: Fact, taken_at: datetime) -> int:
    """Return how old a fact was, in whole minutes up, so that none becomes fresher; 366 days at most, which those that age never reach.

    A clock that ran ahead by as much as intake allows gives 0.
    """
    return min(max(0, -(-(taken_at - fact.observed_at) // _MINUTE)), _MOST_MINUTES)


def unconfirmed(arrived: Arrived) -> int:
    """Return how many facts were preliminary: an evaluation hears every fact as final."""
    return sum(fact.status == FactStatus.PRELIMINARY for fact in arrived.facts.values())


def _unfit(
    arrived: Arrived, risk_class: RiskClass | None, question: Question, beside: Beside, now: datetime
) -> Iterator[Problem]:
    label = arrived.label
    if risk_class is None:
        yield Problem(
            "/risk_class", "missing", "expected a value here, none came; --risk-class gives one to all"
        )
    if label.option not in question.option_ids():
        yield Problem("/label/option", "option", f"expected one of {', '.join(question.option_ids())}")
    unfit = unfit_kind(label.kind, synthetic=beside.synthetic)
    if unfit is not None:
        yield Problem("/label/kind", "kind", unfit)
    if arrived.taken_at > now + FUTURE_TOLERANCE:
        yield Problem("/taken_at", "future", "expected an instant that has come")
    wrong = misdated(label.given, arrived.taken_at, now, FUTURE_TOLERANCE)
    if wrong is not None:
        yield wrong
