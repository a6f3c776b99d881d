"""Certifies from which score on answers may be given without a person: Learn-then-Test by fixed-sequence testing.

Thresholds are laid on the fitting set alone and tested on the guarantee set from the strictest to the loosest, each at
the full level `delta`, until the first whose exact upper bound of the error rate exceeds `alpha`. What was certified
last is right with confidence 1 - delta: an untrue hypothesis is passed only if the first untrue one of the sequence is,
and that happens with probability at most `delta` (Angelopoulos et al., Learn then Test, arXiv 2110.01052). No share of
`delta` is spent on the number of thresholds, and the error rate need not fall as thresholds rise.

A sequence that started too strictly would have too few cases to pass its first test and block all that follow. It
starts at the strictest threshold where the guarantee set is expected to accept twice as many cases as pass without an
error. That is enough where the highest scores hardly err; where they do, labels of the fitting set move the start to
where the first test is likely to pass, at the price of what is stricter.

Each option is a stratum with a level of its own, so call this once for each: over all options together a rare condition
lets "always no" pass. The cases of a stratum are those whose leading option it is, in the fitting set and in the
guarantee set.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Final

from arbiter.adjudication.aggregation import NEAR
from arbiter.calibrating.binomial import fewest, tail, upper_bound

DECIMALS: Final = 6
"""Of a threshold, as a protocol writes it."""

_APART: Final = 2e-6
"""How far a threshold keeps from every score seen: what lies within `NEAR` of one is never decided."""

_LOOSEST: Final = 0.0
_LIKELY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Scored:
    """A labelled case: the score of its leading option, 0 to 1, and whether that option was right."""

    score: float
    right: bool

    def __post_init__(self) -> None:
        """Refuse a score that is none."""
        _score(self.score)


@dataclass(frozen=True, slots=True)
class Tested:
    """One test of the sequence: what the threshold accepts, how often that is wrong, and the bound of its errors."""

    threshold: float
    accepted: int
    errors: int
    bound: float


@dataclass(frozen=True, slots=True)
class Certified:
    """What the sequence ended with.

    `threshold` is the loosest that passed, None when the first did not; `accepted`, `errors` and `bound` are its own,
    0, 0 and 1 without one. `path` has every threshold that was tested, in order; the last of them failed unless all
    passed. `cases` is the size of the guarantee set.
    """

    alpha: float
    delta: float
    cases: int
    threshold: float | None
    accepted: int
    errors: int
    bound: float
    path: tuple[Tested, ...]


def is_accepted(score: float, threshold: float) -> bool:
    """Return whether a score is decided at a threshold: it is above, and not too near to be told from it."""
    return score - threshold > NEAR


def grid(
    fitting: Sequence[float],
    guarantee_size: int,
    alpha: float,
    delta: float,
    most: int = 100,
    *,
    right: Sequence[bool] = (),
) -> tuple[float, ...]:
    """Return the thresholds to test, strictest first, from the fitting set's scores of one stratum.

    Each but the last lies midway between two neighbouring scores, to six decimals and at least two millionths from
    either; neighbours that are too close for that share one side. The last is 0 and accepts all: a leading option's
    score is at least one over the number of options. Where no threshold is expected to accept twice the minimum, 0
    alone is tested. Of more than `most`, those are kept that share the accepted cases most evenly, the first and the
    last always.

    Args:
        fitting: scores of the fitting set; the guarantee set plays no part, but for its size.
        guarantee_size: how many cases of the stratum the guarantee set has.
        alpha: the error rate to stay within, 0 to 1, both excluded.
        delta: the probability with which a certificate may be wrong, 0 to 1, both excluded.
        most: how many thresholds at most, from 2.
        right: whether each of `fitting` was right. If given, the start is where the longest run of thresholds begins
            whose tests pass with probability 0.9 at the rate of errors among these; unmoved where there is none.

    Raises:
        ValueError: when there is no score, a score is none, labels are not as many, or an argument is out of its range.
    """
    if not fitting:
        raise ValueError("expected at least one score to lay thresholds on, got none")
    if guarantee_size < 1:
        raise ValueError(f"expected a guarantee set of at least one case, got {guarantee_size}")
    if most < 2:
        raise ValueError(f"expected room for at least two thresholds, got {most}")
    if right and len(right) != len(fitting):
        raise ValueError(f"expected a label for each of {len(fitting)} scores, got {len(right)}")
    for score in fitting:
        _score(score)
    least = 2 * fewest(0, alpha, delta)
    ordered = sorted(fitting)
    wide_enough = [
        (threshold, accepted)
        for threshold, accepted in _between(ordered)
        if accepted * guarantee_size >= least * len(ordered)
    ]
    thresholds = _spread(wide_enough, len(ordered), most - 1)
    if right:
        labelled = list(zip(fitting, right, strict=True))
        likely = [_is_likely(labelled, threshold, guarantee_size, alpha, delta) for threshold in thresholds]
        thresholds = thresholds[_longest_run(likely) :]
    return (*thresholds, _LOOSEST)


def certify(
    guarantee: Sequence[Scored], thresholds: Sequence[float], alpha: float, delta: float
) -> Certified:
    """Return the loosest threshold that passes with every stricter one, and all that was tested on the way.

    Args:
        guarantee: labelled cases of one stratum that nothing before has seen, exchangeable with those to be decided.
        thresholds: what `grid` returned, strictest first.
        alpha: the error rate to stay within, 0 to 1, both excluded.
        delta: the probability with which the certificate may be wrong, 0 to 1, both excluded.

    Raises:
        ValueError: when there is no case or no threshold, or thresholds do not fall strictly within 0 to 1.
    """
    _open("alpha", alpha)
    _open("delta", delta)
    _falling(thresholds)
    if not guarantee:
        raise ValueError("expected at least one labelled case to certify on, got none")
    best: Tested | None = None
    path: list[Tested] = []
    for threshold in thresholds:
        own = [case.right for case in guarantee if is_accepted(case.score, threshold)]
        errors = own.count(False)
        tested = Tested(threshold, len(own), errors, upper_bound(errors, len(own), delta))
        path.append(tested)
        if tested.bound > alpha:
            break
        best = tested
    if best is None:
        return Certified(alpha, delta, len(guarantee), None, 0, 0, 1.0, tuple(path))
    return Certified(
        alpha, delta, len(guarantee), best.threshold, best.accepted, best.errors, best.bound, tuple(path)
    )


def _between(ordered: Sequence[float]) -> list[tuple[float, int]]:
    """Return the thresholds between rising scores, strictest first, each with how many scores it accepts."""
    middles = (
        (round((lower + upper) / 2.0, DECIMALS), lower, upper)
        for lower, upper in pairwise(sorted(set(ordered)))
    )
    return [
        (middle, len(ordered) - bisect_right(ordered, middle))
        for middle, lower, upper in middles
        if middle - lower >= _APART and upper - middle >= _APART
    ][::-1]


def _is_likely(
    labelled: Sequence[tuple[float, bool]], threshold: float, guarantee_size: int, alpha: float, delta: float
) -> bool:
    """Return whether a threshold that errs as it does on labelled cases passes in a guarantee set nine times in ten."""
    own = [right for score, right in labelled if is_accepted(score, threshold)]
    rate = (own.count(False) + 0.5) / (len(own) + 1)
    cases = len(own) * guarantee_size // len(labelled)
    # Errors pass up to some number, and from one more on they do not.
    passing = bisect_left(range(cases), True, key=lambda errors: tail(errors, cases, alpha) > delta)
    return passing > 0 and tail(passing - 1, cases, rate) >= _LIKELY


def _longest_run(likely: Sequence[bool]) -> int:
    """Return where the longest run of likely ones begins, 0 if there is none: a short one may be the labels' luck."""
    runs = [(value, len(list(same))) for value, same in groupby(likely)]
    begins = list(accumulate((length for _, length in runs), initial=0))
    lengths = [length if value else 0 for value, length in runs]
    return begins[lengths.index(max(lengths))] if any(lengths) else 0


def _spread(candidates: Sequence[tuple[float, int]], whole: int, most: int) -> tuple[float, ...]:
    """Return at most so many thresholds, the first of them always, that accept about evenly many more each."""
    if len(candidates) <= most:
        return tuple(threshold for threshold, _ in candidates)
    first = candidates[0][1]
    kept: list[float] = []
    for threshold, accepted in candidates:
        # The k-th is the strictest that accepts k of `most` equal shares of what the first leaves out.
        if (accepted - first) * most >= len(kept) * (whole - first):
            kept.append(threshold)
    return tuple(kept)


def _falling(thresholds: Sequence[float]) -> None:
    if not thresholds:
        raise ValueError("expected at least one threshold, got none")
    for threshold in thresholds:
        _score(threshold)
    for stricter, looser in pairwise(thresholds):
        if not stricter > looser:
            raise ValueError(f"expected thresholds from strict to loose, got {looser!r} after {stricter!r}")


def _score(score: float) -> None:
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"expected a score from 0 to 1, got {score!r}")


def _open(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"expected {name} between 0 and 1, got {value!r}")
