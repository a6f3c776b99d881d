"""The traffic light: how far independent families of members agree. It tells agreement, never who is right.

Three distinct families of models, their agreement shown as a traffic light, helped clinicians (medRxiv 2026.06.01.26354596); members
of one family err together, so that a count of members would show one mistake as several voices. Hence families alone are counted:

- A family is all seats on the question with the same `family`. It answers where one of its members gave a valid answer. It says an
  option where each of those members leads to that option; else it is divided and says none.
- Red, the first of these that holds: a member that may not be outvoted stands against the lead (reason `veto`); more than half of
  the families answered nothing and had an answer refused as ungrounded; some family answered and no option is said by more families than
  any other.
- Amber: none answered, or one, or one option leads and not every family that answered says it.
- Green: two or more answered, and each of them says the same option.

Which is shown preselects nothing. `compliance/decisions/0071-a-light-of-agreement-by-families.md` says why it is so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from clinician_ui.presenters.certificate_reading import NOT_HEARD, Certificate, SeatOpinion
from clinician_ui.presenters.wording import words_of
from clinician_ui.texts import _, ngettext, noted

VETO: Final = "veto"


class Colour(StrEnum):
    """The lamp that is lit."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Standing(StrEnum):
    """Why that lamp is lit."""

    AGREE = "agree"
    NONE = "none"
    ONE = "one"
    DIFFER = "differ"
    SPLIT = "split"
    REFUSED = "refused"
    VETO = "veto"


_COLOURS: Final = {
    Standing.AGREE: Colour.GREEN,
    Standing.NONE: Colour.AMBER,
    Standing.ONE: Colour.AMBER,
    Standing.DIFFER: Colour.AMBER,
    Standing.SPLIT: Colour.RED,
    Standing.REFUSED: Colour.RED,
    Standing.VETO: Colour.RED,
}
_HEADLINES: Final = {
    Standing.AGREE: noted("Green: the families that answered agree"),
    Standing.NONE: noted("Amber: no family answered"),
    Standing.ONE: noted("Amber: only one family answered, so agreement cannot be told"),
    Standing.DIFFER: noted("Amber: one answer leads, and not every family gives it"),
    Standing.SPLIT: noted("Red: no answer leads among the families"),
    Standing.REFUSED: noted("Red: most families had answers refused for citing this case falsely"),
    Standing.VETO: noted("Red: a member that may not be outvoted disagrees"),
}
_CAUTION: Final = noted(
    "The light tells how far independent families agree. It does not tell who is right: all of them can be wrong together."
)


@dataclass(frozen=True, slots=True)
class Family:
    """What a family came to: `says` is an option's id, None where it is divided or did not answer."""

    id: str
    members: int
    answered: int
    says: str | None
    refused: bool


@dataclass(frozen=True, slots=True)
class FamilyLine:
    """A family in words."""

    title: str
    members: str
    says: str


@dataclass(frozen=True, slots=True)
class Light:
    """The light in words: a headline that names its colour, the count, what it does not tell, and a line a family."""

    colour: Colour
    standing: Standing
    headline: str
    sentence: str
    caution: str
    families: tuple[FamilyLine, ...]


def light_of(read: Certificate) -> Light | None:
    """Return the light; None where no member answers the question itself or none was asked."""
    seats = read.voting()
    if all(seat.status == NOT_HEARD for seat in seats):
        return None
    families = families_of(seats)
    vetoed = any(reason.code == VETO for reason in read.verdict.reasons)
    standing = standing_of(families, vetoed=vetoed)
    titles = read.titles()
    return Light(
        colour=_COLOURS[standing],
        standing=standing,
        headline=_(_HEADLINES[standing]),
        sentence=_sentence(families, titles),
        caution=_(_CAUTION),
        families=tuple(_line(family, titles) for family in families),
    )


def families_of(seats: Sequence[SeatOpinion]) -> tuple[Family, ...]:
    """Return what each family of these seats came to, in the order of the seats."""
    grouped: dict[str, list[SeatOpinion]] = {}
    for seat in seats:
        grouped.setdefault(seat.family, []).append(seat)
    return tuple(_family(name, members) for name, members in grouped.items())


def standing_of(families: Sequence[Family], *, vetoed: bool) -> Standing:
    """Return how the families stand to each other; `vetoed` says that a veto stands against the lead."""
    answering = [family for family in families if family.answered]
    said = Counter(family.says for family in answering if family.says is not None)
    if vetoed:
        return Standing.VETO
    if 2 * sum(family.refused for family in families) > len(families):
        return Standing.REFUSED
    if not answering:
        return Standing.NONE
    leading = leader(said)
    if leading is None:
        return Standing.SPLIT
    if len(answering) == 1:
        return Standing.ONE
    return Standing.AGREE if said[leading] == len(answering) else Standing.DIFFER


def leader(said: Counter[str]) -> str | None:
    """Return what is said more often than anything else, None where nothing is or the first place is shared."""
    ranked = said.most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _family(name: str, members: Sequence[SeatOpinion]) -> Family:
    answers = [seat.leading for seat in members if seat.answered]
    one = len(set(answers)) == 1
    return Family(
        id=name,
        members=len(members),
        answered=len(answers),
        says=answers[0] if one else None,
        refused=not answers and any(seat.is_refused_as_ungrounded for seat in members),
    )


# --- words -------------------------------------------------------------------------------------------------------


def _sentence(families: Sequence[Family], titles: Mapping[str, str]) -> str:
    """Say how many of the independent families say what, the most first; then the divided and the silent ones."""
    said = Counter(family.says for family in families if family.says is not None)
    ranked = sorted(
        said, key=lambda option: (-said[option], list(titles).index(option) if option in titles else 0)
    )
    divided = sum(family.answered > 0 and family.says is None for family in families)
    silent = sum(not family.answered for family in families)
    parts = [_saying(said[option], len(families), titles.get(option, option)) for option in ranked]
    if divided:
        parts.append(_counted(divided, len(families), _DIVIDED))
    if silent:
        parts.append(_counted(silent, len(families), _SILENT))
    return " ".join(parts)


def _saying(number: int, whole: int, option: str) -> str:
    if whole == 1:
        return _("1 of 1 independent family says “{option}”.").format(option=option)
    return ngettext(
        "{number} of {whole} independent families says “{option}”.",
        "{number} of {whole} independent families say “{option}”.",
        number,
    ).format(number=number, whole=whole, option=option)


_DIVIDED: Final = (
    noted("The one independent family is divided within itself."),
    noted("{number} of {whole} is divided within itself."),
    noted("{number} of {whole} are divided within themselves."),
)
_SILENT: Final = (
    noted("The one independent family gave no valid answer."),
    noted("{number} of {whole} gave no valid answer."),
    noted("{number} of {whole} gave no valid answer."),
)


def _counted(number: int, whole: int, forms: tuple[str, str, str]) -> str:
    if whole == 1:
        return _(forms[0])
    return ngettext(forms[1], forms[2], number).format(number=number, whole=whole)


def _line(family: Family, titles: Mapping[str, str]) -> FamilyLine:
    counted = ngettext("{answered} of {number} member", "{answered} of {number} members", family.members)
    if family.says is not None:
        says = titles.get(family.says, words_of(family.says))
    elif family.answered:
        says = _("Divided: its members give different answers, or one is in two minds")
    elif family.refused:
        says = _("No valid answer: refused for citing this case falsely")
    else:
        says = _("No valid answer")
    return FamilyLine(
        title=words_of(family.id),
        members=counted.format(answered=family.answered, number=family.members),
        says=says,
    )
