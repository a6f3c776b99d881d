"""What was measured of the panel's disagreement, each against its limit: a small plot and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from clinician_ui.presenters.certificate_reading import Certificate, Limits
from clinician_ui.texts import _, ngettext

WIDTH: Final = 320
_LEAST_COMPARED: Final = 2
"""One answer has nothing to be compared with: adjudication never asks for fewer, whatever a protocol says."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure from 0 to 1 against the most that is allowed: in words, and as lengths of a bar `WIDTH` wide."""

    title: str
    value: str
    limit: str
    sentence: str
    over: bool
    length: float
    limit_x: float


@dataclass(frozen=True, slots=True)
class Needed:
    """Something that was counted, with how much of it a decision without a clinician needs."""

    title: str
    counted: str
    needed: str
    short: bool


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far members disagree; `unmeasured` says why nothing is known, empty where something is."""

    measures: tuple[Measure, ...]
    unmeasured: str
    together: str
    needed: tuple[Needed, ...]


def disagreement_of(read: Certificate) -> Disagreement | None:
    """Return what was measured; None where no member answers the question itself."""
    if not read.voting():
        return None
    numbers = read.verdict.measures()
    measured = "between" in numbers and "within" in numbers
    return Disagreement(
        measures=_measures(numbers, read.settings) if measured else (),
        unmeasured=""
        if measured
        else _("Disagreement could not be measured: fewer than two members gave a valid answer."),
        together=_together(numbers),
        needed=_needed(numbers, read.settings),
    )


def _measures(numbers: Mapping[str, Decimal], limits: Limits) -> tuple[Measure, ...]:
    return (
        _measure(
            _("Between members"),
            numbers["between"],
            limits.greatest_between,
            none=_("The members that answered agree with one another."),
            some=_("The members disagree with one another"),
        ),
        _measure(
            _("Within members"),
            numbers["within"],
            limits.greatest_within,
            none=_("None of them is in two minds itself."),
            some=_("Members are in two minds themselves"),
        ),
    )


def _measure(title: str, value: Decimal, limit: Decimal, *, none: str, some: str) -> Measure:
    over = value > limit
    form = _("{what}: {value} on a scale from 0 to 1, within the limit of {limit}.")
    if over:
        form = _("{what}: {value} on a scale from 0 to 1, more than the limit of {limit}.")
    shown, limit_shown = _apart(value, limit)
    return Measure(
        title=title,
        value=shown,
        limit=limit_shown,
        sentence=none if value == 0 else form.format(what=some, value=shown, limit=limit_shown),
        over=over,
        length=_x(value),
        limit_x=_x(limit),
    )


def _apart(value: Decimal, limit: Decimal) -> tuple[str, str]:
    """Return both with two decimals, or with as many as show on which side of its limit the value lies."""
    for places in (2, 3, 4, 5, 6):
        shown, limit_shown = f"{value:.{places}f}", f"{limit:.{places}f}"
        if value == limit or shown != limit_shown:
            break
    return shown, limit_shown


def _x(value: Decimal) -> float:
    return round(WIDTH * float(min(max(value, Decimal(0)), Decimal(1))), 1)


def _together(numbers: Mapping[str, Decimal]) -> str:
    """Say that members which share inputs count for less than their number."""
    valid, effective = numbers.get("valid", Decimal(0)), numbers.get("effective")
    if valid < _LEAST_COMPARED or effective is None:
        return ""
    return _(
        "Where members share inputs they err together: the {valid} that answered count as {effective} independent voices."
    ).format(valid=f"{valid:.0f}", effective=f"{effective:.1f}")


def _needed(numbers: Mapping[str, Decimal], limits: Limits) -> tuple[Needed, ...]:
    """Set what was counted beside what deciding without a clinician needs; nothing where nothing was counted."""
    if not {"valid", "families", "effective"} <= numbers.keys():
        return ()
    least_valid = Decimal(max(limits.least_valid, _LEAST_COMPARED))
    counted = (
        (_("Members with a valid answer"), numbers["valid"], least_valid, 0),
        (_("Families they come from"), numbers["families"], Decimal(limits.least_families), 0),
        (_("Independent voices they count as"), numbers["effective"], limits.least_effective, 1),
    )
    return tuple(
        Needed(
            title=title,
            counted=f"{number:.{places}f}",
            needed=ngettext("at least {least}", "at least {least}", int(least)).format(
                least=f"{least:.{places}f}"
            ),
            short=number < least,
        )
        for title, number, least, places in counted
    )
