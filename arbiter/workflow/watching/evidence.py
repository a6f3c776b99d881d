"""What counted audits say against what a calibration states: of each option it certifies, and of each member it records.

Pure: the same rows give the same evidence, in any process and any year. An alarm is a state that a person lifts; what was decided
until then has spoken, and evidence begins anew with half of the delta that the one before had (`betting.delta_after`). Doubts take
longer to settle than agreements: were those counted that a lift leaves open, new evidence would begin with errors alone.

All watches of a calibration's options together raise a false alarm with probability at most its delta, of which each has an equal
share; those of its members, which only warn, with at most as much again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log
from typing import Final

from arbiter.calibrating.betting import delta_after, expected_delay
from arbiter.calibrating.watch import Watch, begin_watch, longest_delay, share
from arbiter.calibration import Calibration
from arbiter.store.watching import AlarmKind, AlarmRow, AlarmStep, CountRow

LEAST_MEMBER_RATE: Final = 0.01
"""A member that never erred among its labelled cases is not held to never erring."""
GREATEST_MEMBER_RATE: Final = 0.9
_SLOWEST: Final = 2_000
"""After so many audits new evidence begins at the latest."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is watched: that decisions for an option, or a member's answers, are wrong at most at the rate `alpha`.

    `delta` is the probability that the alarm may be false, over all time, after so many `lifts`.
    """

    kind: AlarmKind
    target: str
    alpha: float
    delta: float
    lifts: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How a claim holds up.

    `audits` and `errors` are of what was decided since the last lift, `path` has after each audit how near the alarm is: the greatest over all
    running evidence of log(E delta'), 0 at the alarm. `standing` is the alarm that nobody has lifted yet.
    """

    claim: Claim
    audits: int
    errors: int
    watch: Watch
    path: tuple[float, ...]
    standing: AlarmRow | None

    @property
    def way_to_alarm(self) -> float:
        """How far evidence has come, 0 with none and 1 at the alarm, by the logarithm of the newest that is nearest."""
        if not self.path:
            return 0.0
        return min(1.0, max(0.0, 1.0 + self.path[-1] / -log(share(0, self.claim.delta))))

    @property
    def is_due(self) -> bool:
        """Whether an alarm is to be raised: the evidence has reached it, and none stands."""
        return self.watch.alarmed and self.standing is None


def tallies(
    calibration: Calibration, counts: Sequence[CountRow], steps: Iterable[AlarmRow]
) -> tuple[Tally, ...]:
    """Return how each claim of a calibration holds up: certified options in its order, then members in theirs.

    Args:
        calibration: what the decisions were made by.
        counts: every audit of them that counts, in order.
        steps: every step of every alarm, in order; those of other calibrations are left out.
    """
    return _tallies(calibration, counts, steps, paths=True)


def due_alarms(
    calibration: Calibration, counts: Sequence[CountRow], steps: Iterable[AlarmRow]
) -> tuple[Tally, ...]:
    """Return of `tallies` those whose alarm is to be raised, without their paths: in a sixth of the time."""
    return tuple(tally for tally in _tallies(calibration, counts, steps, paths=False) if tally.is_due)


def _tallies(
    calibration: Calibration, counts: Sequence[CountRow], steps: Iterable[AlarmRow], *, paths: bool
) -> tuple[Tally, ...]:
    own = [step for step in steps if step.calibration == calibration.content_hash]
    return tuple(
        _tally(claim, lifted, counts, own, paths=paths) for claim, lifted in _claims(calibration, own)
    )


@lru_cache(maxsize=1_024)
def delay_in_audits(claim: Claim, rate: float, audits: int = 0, before: float = 0.0) -> float | None:
    """Return how many audits it takes at most, on average, until the alarm once decisions are wrong at `rate`; None: not sure ever.

    `audits` came before at the rate `before`. It takes tens of milliseconds and changes with each audit alone: pages ask for it
    each time they are looked at, so it is remembered.
    """
    return longest_delay(
        claim.alpha, rate, claim.delta, _every(claim.alpha, claim.delta), quiet=audits, before=before
    )


def twice(alpha: float) -> float:
    """Return the error rate that the watch is to notice: twice that which may be, or half way from it to 1 where that is less."""
    return min(2.0 * alpha, (1.0 + alpha) / 2.0)


def _claims(calibration: Calibration, steps: Sequence[AlarmRow]) -> Iterable[tuple[Claim, AlarmRow | None]]:
    """Yield each claim with the step that lifted its last alarm; what was decided before that is used up."""
    delta = float(calibration.delta)
    certified = [stratum for stratum in calibration.strata if stratum.certified is not None]
    for stratum in certified:
        lifts, last = _lifted(steps, AlarmKind.OPTION, stratum.option)
        spent = delta_after(lifts, delta / len(certified))
        yield Claim(AlarmKind.OPTION, stratum.option, float(stratum.alpha), spent, lifts), last
    for at, record in enumerate(calibration.records):
        lifts, last = _lifted(steps, AlarmKind.MEMBER, record.member)
        spent = delta_after(lifts, delta / len(calibration.records))
        yield Claim(AlarmKind.MEMBER, record.member, _wrong(calibration, at), spent, lifts), last


def _wrong(calibration: Calibration, at: int) -> float:
    """Return how often a member that is as its record says may be wrong among what is decided, kept within what can be watched.

    Only what is decided is audited, and that may be the very option whose cases the member knows least: so the rate is that of
    the truth with which it is wrong most often, max_k (1 - T[k, k]), and it may have been wrong wherever the decision is.
    """
    matrix = calibration.records[at].reliability
    worst = max(1.0 - float(row[k]) for k, row in enumerate(matrix))
    decided = max(
        (float(stratum.alpha) for stratum in calibration.strata if stratum.certified is not None), default=0.0
    )
    return min(max(worst + decided, LEAST_MEMBER_RATE), GREATEST_MEMBER_RATE)


def _lifted(steps: Sequence[AlarmRow], kind: AlarmKind, target: str) -> tuple[int, AlarmRow | None]:
    lifted = [
        step for step in steps if (step.kind, step.target, step.step) == (kind, target, AlarmStep.LIFTED)
    ]
    return len(lifted), lifted[-1] if lifted else None


def _tally(
    claim: Claim,
    lifted: AlarmRow | None,
    counts: Sequence[CountRow],
    steps: Sequence[AlarmRow],
    *,
    paths: bool,
) -> Tally:
    watch = begin_watch(claim.alpha, claim.delta, _every(claim.alpha, claim.delta))
    found: list[bool] = [
        wrong for row in counts if _is_of_now(row, lifted) and (wrong := _said_wrong(claim, row)) is not None
    ]
    path = []
    if paths:
        for wrong in found:
            watch = watch.after(wrong)
            path.append(_nearness(watch))
    else:
        watch = watch.after_all(found)
    last = next(
        (step for step in reversed(steps) if (step.kind, step.target) == (claim.kind, claim.target)), None
    )
    standing = last if last is not None and last.step is AlarmStep.ALARMED else None
    return Tally(claim, len(found), sum(found), watch, tuple(path), standing)


def _is_of_now(row: CountRow, lifted: AlarmRow | None) -> bool:
    """Return whether an audit was counted after a claim's last lift, and is of what was decided after it.

    Counted after it and by the clock before it: the lift's clock went ahead, and tells nothing of when something was decided. By
    a clock of next year nothing would be evidence until then.
    """
    if lifted is None:
        return True
    decided_after = row.drawn_at is None or row.drawn_at > lifted.at or row.at < lifted.at
    return row.order > lifted.counted and decided_after


def _said_wrong(claim: Claim, row: CountRow) -> bool | None:
    """Return whether an audit found wrong what the claim is about; None where it says nothing of it."""
    if claim.kind is AlarmKind.OPTION:
        return row.wrong if row.option == claim.target else None
    return row.members.get(claim.target)


def _nearness(watch: Watch) -> float:
    return max(each.log_value + log(each.delta) for each in watch.running)


@lru_cache(maxsize=256)
def _every(alpha: float, delta: float) -> int:
    """Return after how many audits new evidence begins: about as many as the alarm takes once twice the rate is reached."""
    delay = expected_delay(alpha, twice(alpha), share(0, delta))
    return _SLOWEST if delay is None else min(ceil(delay), _SLOWEST)
