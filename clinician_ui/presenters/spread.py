"""How the samples of one member fell over the options: one bar, its words and its table. Pure; a template draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from arbiter.workflow.review import Draws
from clinician_ui.presenters.certificate_reading import SeatOpinion
from clinician_ui.presenters.wording import words_of
from clinician_ui.texts import _, ngettext

WIDTH: Final = 320
_PATTERNS: Final = 4
"""So many options have a filling of their own; with more they come round again, and the numbers and the table still tell."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the bar: what it stands for, how many samples, and where it lies; `kind` names its filling."""

    title: str
    count: int
    kind: str
    x: float
    width: float

    @property
    def middle(self) -> float:
        """Where its number is written."""
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Spread:
    """The samples of a member: the bar's parts in order, the same in words, and how far they agree."""

    samples: int
    slices: tuple[Slice, ...]
    words: str
    consistency: str


def spread_of(seat: SeatOpinion, titles: Mapping[str, str], draws: Draws | None) -> Spread | None:
    """Return how a member's samples fell, None where it gave fewer than two; options in the question's order, silence last."""
    if seat.samples < 2:
        return None
    order = [option for option in titles if option in seat.votes]
    order += [option for option in seat.votes if option not in titles]
    places = {option: place % _PATTERNS for place, option in enumerate(titles)}
    counted = [
        (titles.get(option, words_of(option)), seat.votes[option], f"option-{places.get(option, 0)}")
        for option in order
    ]
    counted += _silent(seat, draws)
    return Spread(
        samples=seat.samples,
        slices=_laid_out(counted, seat.samples),
        words=" ".join(_sentence(title, count, seat.samples) for title, count, _kind in counted),
        consistency=_consistency(seat),
    )


def _silent(seat: SeatOpinion, draws: Draws | None) -> list[tuple[str, int, str]]:
    """Return the samples without a vote that counts: told apart where what came is kept, else together."""
    without = seat.samples - sum(seat.votes.values())
    if draws is None:
        return [(_("No vote that counts"), without, "silent")] if without else []
    found = [
        (_("Abstained"), draws.abstained, "abstained"),
        (_("Refused"), draws.refused, "refused"),
        (_("Could not be read"), draws.unreadable, "unreadable"),
        (_("Voted, but too few did to count"), draws.uncounted, "silent"),
    ]
    return [part for part in found if part[1]]


def _laid_out(counted: list[tuple[str, int, str]], samples: int) -> tuple[Slice, ...]:
    slices, before = [], 0
    for title, count, kind in counted:
        x, after = WIDTH * before / samples, WIDTH * (before + count) / samples
        slices.append(Slice(title, count, kind, round(x, 1), round(after - x, 1)))
        before += count
    return tuple(slices)


def _sentence(title: str, count: int, samples: int) -> str:
    form = ngettext(
        "{count} of {samples} sample: {title}.", "{count} of {samples} samples: {title}.", samples
    )
    return form.format(count=count, samples=samples, title=title)


def _consistency(seat: SeatOpinion) -> str:
    """Say how far the samples that voted agree; self-consistency is 1 where all are the same, 0 where evenly divided."""
    if not seat.votes:
        return ""
    if len(seat.votes) == 1:
        return _("All its samples that voted say the same.")
    said = _("Its samples are in two minds")
    if len(seat.votes) > 2:
        said = _("Its samples are divided")
    if seat.self_consistency is None:
        return f"{said}."
    return _("{said}: self-consistency {value}, where 1 is all the same and 0 evenly divided.").format(
        said=said, value=f"{seat.self_consistency:.2f}"
    )
