"""How big a change of a seat the canary finds in a night, for the set that a shipped protocol brings along.

    python -m benchmarks.canary

Simulated, with a seed: a seat answers each case with its usual option at some steadiness and otherwise with one of the other
answers; from one night on it answers otherwise. Printed is the share of runs that alarm in the first changed night, and, in the
first row, in a night on which nothing has changed. Draws, cases and level are those of an installation as it comes.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from arbiter.adjudication.canary import CaseCounts, compare, level
from arbiter.settings import Settings
from arbiter.workflow.canary.cases import CASES
from arbiter.workflow.canary.running import BASELINE_DRAWS, NIGHT_DRAWS

SEED = 20261126
SEATS = 8
ANSWERS = ("usual", "other", "(abstained)", "(invalid)")


@dataclass(frozen=True)
class Change:
    """What changes: in so many of the cases, the chance of the usual answer falls by so much; in words."""

    says: str
    cases: int
    by: float


CHANGES = (
    Change("nothing changes", 0, 0.0),
    Change("1 of 20 cases: always another answer", 1, 1.0),
    Change("2 of 20 cases: another answer half the time", 2, 0.5),
    Change("5 of 20 cases: another answer a quarter of the time", 5, 0.25),
    Change("5 of 20 cases: another answer half the time", 5, 0.5),
    Change("every case: another answer a twentieth of the time", CASES, 0.05),
    Change("every case: another answer a tenth of the time", CASES, 0.1),
    Change("every case: another answer a quarter of the time", CASES, 0.25),
)
STEADINESSES = (1.0, 0.95, 0.8)


def found(chance: random.Random, steadiness: float, change: Change, alpha: Fraction, runs: int) -> float:
    """Return the share of runs in which the night after the change alarms."""
    alarms = 0
    for _ in range(runs):
        counted = [
            CaseCounts(
                str(case),
                _draw(chance, steadiness, BASELINE_DRAWS),
                _draw(chance, _changed(steadiness, change, case), NIGHT_DRAWS),
            )
            for case in range(CASES)
        ]
        alarms += compare(counted).p_value <= alpha
    return alarms / runs


def _changed(steadiness: float, change: Change, case: int) -> float:
    return max(0.0, steadiness - change.by) if case < change.cases else steadiness


def _draw(chance: random.Random, steadiness: float, number: int) -> Counter[str]:
    others = (1 - steadiness) / 3
    return Counter(chance.choices(ANSWERS, (steadiness, others, others, others), k=number))


def table(runs: int, steadinesses: Sequence[float] = STEADINESSES) -> list[tuple[str, ...]]:
    """Return the rows of the table: a change, and the share found at each steadiness."""
    chance = random.Random(SEED)
    alpha = level(Fraction(Settings.model_fields["canary_false_alarms_a_year"].default), SEATS)
    return [
        (change.says, *(f"{found(chance, steady, change, alpha, runs):.2f}" for steady in steadinesses))
        for change in CHANGES
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="the canary's power, simulated")
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    print(
        f"{CASES} cases, {BASELINE_DRAWS} draws in the baseline, {NIGHT_DRAWS} a night, {SEATS} seats, seed {SEED}"
    )
    print("| what changes | " + " | ".join(f"usual answer {steady:.0%}" for steady in STEADINESSES) + " |")
    print("|---|" + "---|" * len(STEADINESSES))
    for row in table(runs):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
