"""Whether the panel is as good for some patients as for others: by age, sex and site, where a case says them.

Figures of a group of very few cases would be figures of those persons: such groups are counted together and not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from arbiter.evaluation.ballots import NOBODY, Flags, Indices
from arbiter.evaluation.cases import Case
from arbiter.evaluation.figures.answers import Subgroup, UnshownGroups
from arbiter.evaluation.rates import difference, rate
from arbiter.model import FactValue

SMALL: Final = 50
"""A group of fewer cases is marked: its interval is wider than most gaps that matter."""

LEAST_SHOWN: Final = 5
"""A group of fewer cases is not shown."""

MOST_GROUPS: Final = 30
AGE_BANDS: Final = (
    (0, "under 18"),
    (18, "18 to 39"),
    (40, "40 to 64"),
    (65, "65 to 79"),
    (80, "80 and over"),
)
"""Fixed before any data is looked at: (from this age in years, name)."""


def subgroups(
    cases: Sequence[Case], truths: Indices, answers: Indices, decided: Indices
) -> tuple[tuple[Subgroup, ...], UnshownGroups]:
    """Return every group of every kind with enough cases to be shown, and how many have too few.

    A kind with one such group alone is left out, for there is nothing to compare it with.

    Args:
        cases: the held-out cases that were put to the panel.
        truths: of each what is right.
        answers: of each what the posterior leads with.
        decided: of each what the service would have decided.
    """
    found: list[Subgroup] = []
    unshown: list[int] = []
    for kind, group_of in (("age", _age_band), ("sex", _text), ("site", _text)):
        groups = np.array([_group(case, kind, group_of) for case in cases])
        names = [name for name in _order(kind, set(groups.tolist())) if name]
        if len(names) > MOST_GROUPS:
            continue
        sizes = {name: int((groups == name).sum()) for name in names}
        shown = [name for name in names if sizes[name] >= LEAST_SHOWN]
        unshown += [sizes[name] for name in names if sizes[name] < LEAST_SHOWN]
        if len(shown) > 1:
            found += [_subgroup(kind, name, groups == name, truths, answers, decided) for name in shown]
    return tuple(found), UnshownGroups(len(unshown), sum(unshown))


def _group(case: Case, kind: str, group_of: Callable[[FactValue], str]) -> str:
    fact = next((fact for fact in case.labelled.facts if fact.name == kind), None)
    # Months would be taken for years: what is in no unit of the bands is in no band.
    return "" if fact is None or fact.unit not in {None, "a"} else group_of(fact.value)


def _age_band(value: FactValue) -> str:
    if isinstance(value, bool | str):
        return ""
    return next((name for least, name in reversed(AGE_BANDS) if value >= Decimal(least)), "")


def _text(value: FactValue) -> str:
    return value if isinstance(value, str) else ""


def _order(kind: str, names: set[str]) -> list[str]:
    return [name for _, name in AGE_BANDS if name in names] if kind == "age" else sorted(names)


def _subgroup(
    kind: str, name: str, own: Flags, truths: Indices, answers: Indices, decided: Indices
) -> Subgroup:
    def accuracy(chosen: Flags) -> tuple[int, int]:
        answered = chosen & (answers != NOBODY)
        return int((answers[answered] == truths[answered]).sum()), int(answered.sum())

    cases = int(own.sum())
    within = rate(*accuracy(own))
    return Subgroup(
        kind=kind,
        group=name,
        cases=cases,
        accuracy=within,
        gap=difference(within, rate(*accuracy(~own))),
        decided=rate(int((decided[own] != NOBODY).sum()), cases),
        small=cases < SMALL,
    )
