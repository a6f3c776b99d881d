"""Certifies a panel that always says no, at a prevalence of 3%: over all options together, and option by option.

Each ward draws cases and certifies as a calibration does. The first panel sees nothing: it says yes twice in a thousand
times whoever is before it, with a score like any other. The second finds most of what is there, and is surer where it
is right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbiter.calibrating.guarantee import Certified, Scored, certify, grid

PREVALENCE: Final = 0.03
CASES: Final = 5_000
DELTA: Final = 0.05
LEVELS: Final = ((("yes", "no"), 0.05), (("no",), 0.05), (("no",), 0.01), (("yes",), 0.05))
"""The options that a certificate is over, and its alpha. Of "no" alone, an alpha above the prevalence asks nothing."""

SEES_NOTHING: Final = "always no"
SEES: Final = "sees 95 of 100"
_SENSITIVITY: Final = 0.95
_FALSE_YES: Final = 0.002
_IDLE_YES: Final = 0.002


@dataclass(frozen=True, slots=True)
class Answer:
    """What a panel said, how sure it was, and whether it was right."""

    said: str
    scored: Scored


@dataclass(frozen=True, slots=True)
class Protocol:
    """A certificate over these options at this alpha: in how many wards it was given.

    `shown` is the first that was, or the first ward's where none was.
    """

    panel: str
    options: tuple[str, ...]
    alpha: float
    wards: int
    passed: int
    shown: Certified | None


def ward(panel: str, seed: str) -> tuple[Certified | None, ...]:
    """Return what each of `LEVELS` certifies in one ward; None where no case led with its options."""
    chance = random.Random(seed)
    fitting, guarantee = ([_answer(panel, chance) for _ in range(CASES)] for _ in range(2))
    found: list[Certified | None] = []
    for options, alpha in LEVELS:
        seen, held = ([each.scored for each in own if each.said in options] for own in (fitting, guarantee))
        if not seen or not held:
            found.append(None)
            continue
        levels = grid(
            [case.score for case in seen], len(held), alpha, DELTA, right=[case.right for case in seen]
        )
        found.append(certify(held, levels, alpha, DELTA))
    return tuple(found)


def count(panel: str, wards: Sequence[tuple[Certified | None, ...]]) -> list[Protocol]:
    """Return what the wards came to, one line for each of `LEVELS`."""
    return [
        Protocol(
            panel,
            options,
            alpha,
            len(wards),
            sum(map(_held, column)),
            next((own for own in column if _held(own)), column[0]),
        )
        for (options, alpha), column in zip(LEVELS, zip(*wards, strict=True), strict=True)
    ]


def _held(certified: Certified | None) -> bool:
    return certified is not None and certified.threshold is not None


def _answer(panel: str, chance: random.Random) -> Answer:
    has = chance.random() < PREVALENCE
    if panel == SEES_NOTHING:
        said, score = chance.random() < _IDLE_YES, chance.uniform(0.6, 1.0)
    else:
        said = chance.random() < (_SENSITIVITY if has else _FALSE_YES)
        score = chance.uniform(0.8, 1.0) if said == has else chance.uniform(0.6, 0.9)
    return Answer("yes" if said else "no", Scored(score, said == has))
