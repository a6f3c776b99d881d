"""Draws labelled cases of panels whose members' skill and dependence are known."""

from __future__ import annotations

import random
from collections.abc import Sequence

from arbiter.adjudication.posterior import Shares
from arbiter.calibrating.labelled import Labelled


def said(option: int, options: int) -> tuple[float, ...]:
    """The shares of a member all of whose samples say one option."""
    return tuple(float(own == option) for own in range(options))


def labelled(rows: Sequence[Sequence[Shares | None]], truths: Sequence[int], options: int = 2) -> Labelled:
    return Labelled(tuple(map(tuple, rows)), tuple(truths), options)


def drawn(
    chance: random.Random,
    number: int,
    *,
    members: int = 3,
    options: int = 3,
    samples: int = 5,
    right: float = 0.7,
    absent: float = 0.0,
) -> Labelled:
    """Members that err apart: each sample is right with that probability, else any option."""
    truths = [chance.randrange(options) for _ in range(number)]

    def member(truth: int) -> tuple[float, ...] | None:
        if chance.random() < absent:
            return None
        answers = [truth if chance.random() < right else chance.randrange(options) for _ in range(samples)]
        return tuple(answers.count(option) / samples for option in range(options))

    return labelled([[member(truth) for _ in range(members)] for truth in truths], truths, options)


def copied(chance: random.Random, number: int, *, copies: float, options: int = 3) -> Labelled:
    """Three members: the second says what the first says in a share `copies` of cases, the third errs alone."""

    def vote(truth: int, right: float) -> int:
        others = [option for option in range(options) if option != truth]
        return truth if chance.random() < right else chance.choice(others)

    truths = [chance.randrange(options) for _ in range(number)]
    rows = []
    for truth in truths:
        first = vote(truth, 0.7)
        second = first if chance.random() < copies else vote(truth, 0.7)
        rows.append([said(answer, options) for answer in (first, second, vote(truth, 0.8))])
    return labelled(rows, truths, options)
