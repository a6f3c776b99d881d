"""How often each specialist and their majority are right about the latent truth, and how sure the difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from arbiter.specialists.asking import Told
from arbiter.specialists.puts import Put
from arbiter.specialists.rules import SPECIALISTS, URGENT


@dataclass(frozen=True, slots=True)
class Vote:
    """How often each was right about the truth, and how sure it is that the majority beats the best single one."""

    cases: int
    singles: dict[str, int]
    majority: int
    z: float


def count_votes(puts: Sequence[Put], came: Mapping[str, Sequence[Told]]) -> Vote:
    """Count: an answer that cannot be read, is not grounded or abstains is no vote; a tie or no vote counts as wrong.

    z is McNemar's over the cases in which the majority and the best single differ.
    """
    truth = [put.patient.urgent for put in puts]
    right = {
        name: [_said(one) == wanted for one, wanted in zip(told_, truth, strict=True)]
        for name, told_ in came.items()
    }
    majority = []
    for at, wanted in enumerate(truth):
        votes = [said for rule in SPECIALISTS if (said := _said(came[rule.name][at])) is not None]
        lead = sum(1 if said else -1 for said in votes)
        majority.append(lead != 0 and (lead > 0) == wanted)
    best = max(SPECIALISTS, key=lambda rule: sum(right[rule.name])).name
    gained = sum(mine and not theirs for mine, theirs in zip(majority, right[best], strict=True))
    lost = sum(theirs and not mine for mine, theirs in zip(majority, right[best], strict=True))
    z = (gained - lost) / sqrt(gained + lost) if gained + lost else 0.0
    return Vote(len(puts), {name: sum(of) for name, of in right.items()}, sum(majority), z)


def _said(one: Told) -> bool | None:
    return one.option == URGENT if one.grounded and one.option is not None else None
