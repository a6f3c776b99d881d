"""Five anaesthetists' ratings of 45 patients: Dawid and Skene 1979, Appl. Statist. 28:20, Table 1, and what EM made of them.

The ratings are as two transcriptions have them, Dallas Card's (github.com/dallascard/dawid_skene) and X. Lin's
(github.com/x-lin/consensusalgorithms, DawidSkeneAlgorithmTest.java). The estimates, in the paper's two decimals, are those that
Lin's test expects of its own program; the paper itself was not at hand.
"""

from __future__ import annotations

from typing import Final

RATINGS: Final = """
111 1 1 1 1   333 4 3 3 4   112 2 1 2 2   222 3 1 2 1   222 3 2 2 2   222 3 3 2 2   122 2 1 1 1   333 3 4 3 3   222 2 2 2 3
232 2 2 2 3   444 4 4 4 4   222 3 3 4 3   111 1 1 1 1   222 3 2 1 2   121 1 1 1 1   111 2 1 1 1   111 1 1 1 1   111 1 1 1 1
222 2 2 2 1   222 1 3 2 2   222 2 2 2 2   222 2 2 2 1   222 3 2 2 2   221 2 2 2 2   111 1 1 1 1   111 1 1 1 1   232 2 2 2 2
111 1 1 1 1   111 1 1 1 1   112 1 1 2 1   111 1 1 1 1   333 3 2 3 3   111 1 1 1 1   222 2 2 2 2   222 3 2 3 2   433 4 3 4 3
221 2 2 3 2   232 3 2 3 3   333 3 4 3 2   111 1 1 1 1   111 1 1 1 1   121 2 1 1 1   232 2 2 2 2   121 1 1 1 1   222 2 2 2 2
"""
"""A patient after another: what each observer said, the first of them three times."""

MARGINALS: Final = (0.40, 0.42, 0.11, 0.07)

ERROR_RATES: Final = (
    ((0.89, 0.11, 0.00, 0.00), (0.07, 0.88, 0.05, 0.00), (0.00, 0.34, 0.66, 0.00), (0.00, 0.00, 0.56, 0.44)),
    ((0.83, 0.17, 0.00, 0.00), (0.05, 0.63, 0.31, 0.00), (0.00, 0.00, 1.00, 0.00), (0.00, 0.00, 0.00, 1.00)),
    ((1.00, 0.00, 0.00, 0.00), (0.11, 0.79, 0.11, 0.00), (0.00, 0.40, 0.20, 0.40), (0.00, 0.00, 0.67, 0.33)),
    ((0.94, 0.06, 0.00, 0.00), (0.05, 0.84, 0.10, 0.00), (0.00, 0.00, 0.80, 0.20), (0.00, 0.00, 0.33, 0.67)),
    ((1.00, 0.00, 0.00, 0.00), (0.16, 0.73, 0.11, 0.00), (0.00, 0.21, 0.79, 0.00), (0.00, 0.00, 0.33, 0.67)),
)
"""For each observer: rows the true class, columns what it said."""

CERTAIN: Final = "142222.322431211112222221121111312.42.3111212"
"""Each patient's class where its probability is 1.00 in two decimals; a point where it is not."""

DOUBTFUL: Final = {7: (0.98, 0.02, 0.00, 0.00), 35: (0.00, 0.95, 0.05, 0.00), 38: (0.00, 0.02, 0.98, 0.00)}
"""By patient, counted from 1, the others' class probabilities."""


def counts() -> list[list[list[int]]]:
    """How often each observer said each class of each patient."""
    words = RATINGS.split()
    patients = [words[at : at + 5] for at in range(0, len(words), 5)]
    return [[[said.count(option) for option in "1234"] for said in patient] for patient in patients]


def class_probabilities() -> list[tuple[float, ...]]:
    """Each patient's, in two decimals."""
    return [
        DOUBTFUL.get(patient) or tuple(float(own == option) for option in "1234")
        for patient, own in enumerate(CERTAIN, start=1)
    ]
