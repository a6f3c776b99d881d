"""Draws panels whose members may err together, and what they say, by a law that can also be summed exactly.

A case has a truth. Each family of models draws one word for it by a matrix that all its members share: the source of
the errors they have in common. Each member repeats that word with the chance `copying`, else draws its own by a matrix
of its own. It may abstain. Its samples repeat its word with the chance `steady`, or `steady_wrong` where the word is
wrong, else say any option; a sample may be invalid.

Matrices are drawn anew for each panel: the chance to be right, from `LEAST_RIGHT` to `MOST_RIGHT` for each member, each
source and each truth, the rest shared out at random among the wrong options. So nothing here is fitted to one panel.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from arbiter.calibrating.labelled import Labelled

LEAST_RIGHT: Final = 0.55
MOST_RIGHT: Final = 0.85

Matrix: TypeAlias = tuple[tuple[float, ...], ...]
"""Rows the truth, columns what is said, each row summing to 1."""

Answers: TypeAlias = tuple[tuple[int, ...] | None, ...]
"""For each member how many samples said each option; None where it abstained or no sample was valid."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a panel is like before its matrices are drawn.

    Attributes:
        name: in words.
        families: each member's.
        prior: how often each option is the truth.
        copying: the chance that a member repeats its family's word; one that is alone in its family errs alone.
        abstaining: the chance that a member abstains.
        samples: how many each member draws.
        steady: the chance that a sample says the member's word where that is right.
        steady_wrong: the same where it is wrong. Where both are equal, samples that differ tell nothing of the truth.
        invalid: the chance that a sample is not valid.
    """

    name: str
    families: tuple[str, ...]
    prior: tuple[float, ...]
    copying: float
    abstaining: float = 0.1
    samples: int = 5
    steady: float = 0.8
    steady_wrong: float = 0.8
    invalid: float = 0.03


@dataclass(frozen=True, slots=True)
class Panel:
    """A setting with its matrices: `own` one for each member, `sources` one for each family in order of first seat."""

    setting: Setting
    own: tuple[Matrix, ...]
    sources: tuple[tuple[str, Matrix], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """The truth, and what the panel said."""

    truth: int
    answers: Answers


def draw_panel(setting: Setting, chance: random.Random) -> Panel:
    """Return a panel of this setting."""
    options = len(setting.prior)
    return Panel(
        setting,
        tuple(_matrix(options, chance) for _ in setting.families),
        tuple((family, _matrix(options, chance)) for family in dict.fromkeys(setting.families)),
    )


def draw_cases(panel: Panel, number: int, chance: random.Random) -> list[Case]:
    """Return so many cases, independent of each other."""
    return [_case(panel, chance) for _ in range(number)]


def labelled(cases: Sequence[Case], options: int) -> Labelled:
    """Return the cases as fitting reads them."""
    return Labelled(
        tuple(tuple(shares(counts) for counts in case.answers) for case in cases),
        tuple(case.truth for case in cases),
        options,
    )


def shares(counts: tuple[int, ...] | None) -> tuple[float, ...] | None:
    """Return each option's share of a member's valid samples."""
    if counts is None:
        return None
    whole = sum(counts)
    return tuple(count / whole for count in counts)


def law(panel: Panel) -> Iterator[tuple[Answers, tuple[float, ...]]]:
    """Yield everything that a panel of one sure sample each can say, with the probability of it beside each truth.

    Raises:
        ValueError: when samples are more than one, or may differ from the member's word or be invalid.
    """
    setting = panel.setting
    if (setting.samples, setting.steady, setting.steady_wrong, setting.invalid) != (1, 1.0, 1.0, 0.0):
        raise ValueError("expected one sample a member that always says its word")
    options = range(len(setting.prior))
    joint = [
        _words_of_family(panel, [at for at, own in enumerate(setting.families) if own == family], source)
        for family, source in panel.sources
    ]
    places = [at for family, _ in panel.sources for at, own in enumerate(setting.families) if own == family]
    for parts in product(*(words.items() for words in joint)):
        said = [word for words, _ in parts for word in words]
        by_place = dict(zip(places, said, strict=True))
        chances = []
        for truth in options:
            probability = setting.prior[truth]
            for _, given in parts:
                probability *= given[truth]
            chances.append(probability)
        yield tuple(_one_hot(by_place[at], len(options)) for at in range(len(places))), tuple(chances)


def _words_of_family(
    panel: Panel, members: Sequence[int], source: Matrix
) -> dict[tuple[int | None, ...], tuple[float, ...]]:
    """Return the probability of all that a family can say, given each truth."""
    setting, options = panel.setting, range(len(panel.setting.prior))
    found = {}
    for words in product([*options, None], repeat=len(members)):
        given = []
        for truth in options:
            whole = 0.0
            for shared in options:
                part = source[truth][shared]
                for member, word in zip(members, words, strict=True):
                    part *= (
                        setting.abstaining
                        if word is None
                        else (1.0 - setting.abstaining)
                        * (
                            setting.copying * (word == shared)
                            + (1.0 - setting.copying) * panel.own[member][truth][word]
                        )
                    )
                whole += part
            given.append(whole)
        found[words] = tuple(given)
    return found


def _one_hot(word: int | None, options: int) -> tuple[int, ...] | None:
    return None if word is None else tuple(int(option == word) for option in range(options))


def _matrix(options: int, chance: random.Random) -> Matrix:
    rows = []
    for truth in range(options):
        right = chance.uniform(LEAST_RIGHT, MOST_RIGHT)
        parts = [0.0 if option == truth else chance.uniform(0.2, 1.0) for option in range(options)]
        wrong = (1.0 - right) / sum(parts)
        rows.append(tuple(right if option == truth else wrong * parts[option] for option in range(options)))
    return tuple(rows)


def _case(panel: Panel, chance: random.Random) -> Case:
    setting, options = panel.setting, range(len(panel.setting.prior))
    truth = chance.choices(options, setting.prior)[0]
    shared = {family: chance.choices(options, source[truth])[0] for family, source in panel.sources}
    answers = []
    for family, own in zip(setting.families, panel.own, strict=True):
        copies = chance.random() < setting.copying
        word = shared[family] if copies else chance.choices(options, own[truth])[0]
        abstains = chance.random() < setting.abstaining
        steady = setting.steady if word == truth else setting.steady_wrong
        answers.append(None if abstains else _samples(setting, word, steady, chance))
    return Case(truth, tuple(answers))


def _samples(setting: Setting, word: int, steady: float, chance: random.Random) -> tuple[int, ...] | None:
    options = len(setting.prior)
    said = Counter(
        word if chance.random() < steady else chance.randrange(options)
        for _ in range(setting.samples)
        if chance.random() >= setting.invalid
    )
    return tuple(said[option] for option in range(options)) if said else None
