"""What the generators of synthetic cases share: one seed for all chance, one shape a case, one command.

A generator invents one patient after another; nothing here or there is fitted to patients.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

CASES_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Invented:
    """One patient as drawn: how urgent, what is sent about them, and the option that the latent truth makes right."""

    risk_class: str
    facts: Mapping[str, Mapping[str, Any]]
    label: str


def sample(
    invent: Callable[[Random], Invented], latent: str, seed: int, cases: int
) -> Iterator[dict[str, Any]]:
    """Yield `cases` labelled cases as plain JSON values, the same for the same seed; `latent` names what is drawn first.

    Raises:
        ValueError: when `cases` is not between 1 and 100,000.
    """
    if not 1 <= cases <= CASES_LIMIT:
        raise ValueError(f"expected 1 to {CASES_LIMIT} cases, {cases} came")
    random = Random(seed)  # noqa: S311 -- reproducible invention, no secret
    for number in range(1, cases + 1):
        invented = invent(random)
        yield {
            "id": f"synthetic-{seed}-{number}",
            "title": f"Synthetic patient {number} of seed {seed}",
            "risk_class": invented.risk_class,
            "facts": invented.facts,
            "label": invented.label,
            "provenance": f"synthetic; drawn from the latent {latent} of seed {seed}",
        }


def chance_above(value: float, limit: float, steepness: float) -> float:
    """Return the logistic chance that a latent value counts as above a limit; a half at the limit itself."""
    return 1 / (1 + math.exp(-(value - limit) / steepness))


def write_cases(
    protocol: str,
    generate: Callable[[int, int], Iterator[dict[str, Any]]],
    arguments: list[str] | None,
) -> int:
    """Write a generator's cases to standard output, one JSON object a line; return the exit status."""
    parser = argparse.ArgumentParser(description=f"synthetic cases of the {protocol} protocol")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=600)
    options = parser.parse_args(arguments)
    for case in generate(options.seed, options.cases):
        sys.stdout.write(json.dumps(case, separators=(", ", ": ")) + "\n")
    return 0
