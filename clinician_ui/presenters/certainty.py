"""How probable the panel's answers make each option by its members' records, and what deciding alone would have taken.

For a clinician: percentages, none of which flatters. The probability of what leads is rounded down, those of the others and a bound
of errors up, and where one decimal would hide on which side of its limit a number lies, it is told with more of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from clinician_ui.presenters.certificate_reading import Calibration, Certificate, Level, Stratum
from clinician_ui.texts import _, ngettext, noted

WIDTH: Final = 320
_PLACES: Final = (1, 2, 3, 4)
_MILLIONTH: Final = Decimal("0.000001")
_POSTERIOR: Final = "posterior"
_SYNTHETIC: Final = noted(
    "The labelled cases behind these figures are synthetic: a generator invented them, and of real patients they show nothing."
)


@dataclass(frozen=True, slots=True)
class Probable:
    """An option's probability in words and as a length of a bar `WIDTH` wide; `level_x` is what it must exceed, if anything."""

    title: str
    value: str
    leads: bool
    length: float
    level_x: float | None


@dataclass(frozen=True, slots=True)
class Certainty:
    """The probabilities, what leads first, and sentences: what they are, what it takes, how often it was wrong."""

    options: tuple[Probable, ...]
    sentences: tuple[str, ...]


def certainty_of(read: Certificate) -> Certainty | None:
    """Return how certain the panel's answers are; None under a strategy that knows no probability, or where nothing was weighed."""
    numbers = read.verdict.measures()
    if read.settings.strategy != _POSTERIOR or "effective" not in numbers or not numbers.get("valid"):
        return None
    note = read.calibration
    posterior = {
        name.removeprefix("posterior."): p for name, p in numbers.items() if name.startswith("posterior.")
    }
    if note is None or not posterior:
        unknown = _(
            "How probable the answers are cannot be said: too little is known of how often these members are right."
        )
        return Certainty((), (unknown,))
    leading, titles = read.verdict.leading, read.titles()
    places = _places(posterior, leading, note)
    order = sorted((option for option in titles if option in posterior), key=lambda option: option != leading)
    threshold = _threshold(note.stratum)
    return Certainty(
        options=tuple(
            Probable(
                title=titles[option],
                value=_told(posterior[option], places, leads=option == leading),
                leads=option == leading,
                length=round(WIDTH * float(posterior[option]), 1),
                level_x=round(WIDTH * float(threshold), 1) if option == leading and threshold else None,
            )
            for option in order
        ),
        sentences=tuple(_sentences(read, note, posterior, places)),
    )


def _threshold(stratum: Stratum | None) -> Decimal | None:
    return None if stratum is None or stratum.certified is None else stratum.certified.threshold


def _places(posterior: dict[str, Decimal], leading: str | None, note: Calibration) -> int:
    """Return as few decimals as show above the level what lies above it."""
    threshold = _threshold(note.stratum)
    if threshold is None or leading is None:
        return _PLACES[0]
    beside = [posterior.get(leading), note.least_probability]
    above = [value for each in beside if each is not None and (value := _uncertain(each)) > threshold]
    for places in _PLACES:
        if all(_floor(each, places) > _ceiling(threshold, places) for each in above):
            return places
    return _PLACES[-1]


def _told(probability: Decimal, places: int, *, leads: bool) -> str:
    if leads:
        return _("{percent}%").format(percent=_floor(_uncertain(probability), places))
    return _("at most {percent}%").format(percent=_ceiling(max(_uncertain(probability), _MILLIONTH), 1))


def _sentences(read: Certificate, note: Calibration, posterior: dict[str, Decimal], places: int) -> list[str]:
    titles, stratum = read.titles(), note.stratum
    said = [
        _(
            "By how often each of these members was right in {labels} cases whose answer is known, the answers together make each option so probable."
        ).format(labels=note.labels)
    ]
    leading = read.verdict.leading
    if note.least_probability is not None and leading is not None:
        said.append(
            _(
                "Whatever the missing members had said, “{option}” would be at least {percent}% probable."
            ).format(
                option=titles.get(leading, leading),
                percent=_floor(_uncertain(note.least_probability), places),
            )
        )
    if stratum is not None:
        title = titles.get(stratum.option, stratum.option)
        said += _taken(stratum, title, posterior.get(stratum.option), places)
        said.append(_errors(stratum, note))
    if note.synthetic:
        said.append(_(_SYNTHETIC))
    return said


def _taken(stratum: Stratum, title: str, probability: Decimal | None, places: int) -> list[str]:
    """Say what deciding for the leading option without a clinician takes, and how far short of that it is."""
    held = stratum.certified
    if held is None:
        return [_("However probable, “{option}” is not decided without a clinician.").format(option=title)]
    if not held.threshold:
        return [
            _("To decide “{option}” without a clinician it is enough that it leads.").format(option=title)
        ]
    level = _ceiling(held.threshold, places)
    form = _("To decide “{option}” without a clinician takes more than {level}%.")
    said = [form.format(option=title, level=level)]
    if probability is not None and _uncertain(probability) <= held.threshold:
        short = level - _floor(_uncertain(probability), places)
        said.append(_("It is {short} percentage points short.").format(short=short))
    return said


def _errors(stratum: Stratum, note: Calibration) -> str:
    """Say how often deciding so was wrong with labelled cases, and what that leaves possible."""
    allowed, sure = _plain(stratum.alpha), _plain(1 - note.delta)
    level = stratum.certified or stratum.failed
    if level is None:
        return _("Too few cases whose answer is known led to it; {allowed}% may be wrong.").format(
            allowed=allowed
        )
    form = _(
        "{counted}: with {sure}% confidence at most {bound}% of such decisions are wrong, and {allowed}% may be."
    )
    return form.format(counted=_counted(level), sure=sure, bound=_bound(level, stratum), allowed=allowed)


def _counted(level: Level) -> str:
    cases = ngettext(
        "Of {cases} case whose answer is known and that would have been decided so, {wrong}",
        "Of {cases} cases whose answer is known and that would have been decided so, {wrong}",
        level.cases,
    )
    wrong = ngettext("{n} was decided wrongly", "{n} were decided wrongly", level.errors)
    return cases.format(cases=level.cases, wrong=wrong.format(n=level.errors))


def _bound(level: Level, stratum: Stratum) -> Decimal | str:
    """Return the bound in percent rounded up, as long as that leaves it within the rate that it is within."""
    if level.bound > stratum.alpha:
        return _ceiling(level.bound, 1)
    allowed = stratum.alpha * 100
    within = (told for places in _PLACES if (told := _ceiling(level.bound, places)) <= allowed)
    return next(within, _plain(level.bound))


# --- numbers -----------------------------------------------------------------------------------------------------


def _uncertain(stated: Decimal) -> Decimal:
    """Return a probability, short of certainty, which nothing is: 1.000000 stands for some that are not quite certain."""
    return min(stated, 1 - _MILLIONTH)


def _floor(value: Decimal, places: int) -> Decimal:
    return (value * 100).quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)


def _ceiling(value: Decimal, places: int) -> Decimal:
    return (value * 100).quantize(Decimal(1).scaleb(-places), ROUND_CEILING)


def _plain(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}"
