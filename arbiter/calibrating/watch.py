"""Keeps a live watch awake: after every so many audits new evidence begins beside the older, with a share of delta.

One evidence that begins when automatic decisions begin sleeps in: what it loses while all is well has to be won back
before it can alarm, and at alpha 5% a rise to 10% after 1,000 audits at 2% would take 1,331 audits to be noticed
instead of 166 (`betting.expected_delay`). Here the k-th evidence, from 0, has delta / ((k + 1) (k + 2)); all shares sum
to delta, and the watch alarms when one of them does, so a false alarm over all time is no likelier than delta (a union
bound). Shares shrink as slowly as 1 / k^2, and an alarm's delay grows as their logarithm only: begun every 250 audits,
the same rise is noticed within 340, and one at the very beginning within 202.

No more than `MOST_BESIDE` run at once: beyond, the one that is farthest from its alarm is given up, which can cost an
alarm and never makes one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from arbiter.calibrating.betting import Evidence, begin, expected_delay

MOST_BESIDE: Final = 16


@dataclass(frozen=True, slots=True)
class Watch:
    """What audits so far say against the claim that the error rate is at most `alpha`, by evidence of different ages.

    `begun` counts all evidence ever begun, `running` has those that still run, the oldest first.
    """

    alpha: float
    delta: float
    every: int
    audits: int
    begun: int
    running: tuple[Evidence, ...]
    alarmed: bool

    def after(self, error: float) -> Watch:
        """Return the watch after one more audit.

        Args:
            error: whether the decision was wrong; or how wrong, from 0 to 1.

        Raises:
            ValueError: when it is none of these.
        """
        return self._with(tuple(evidence.after(error) for evidence in self.running), 1)

    def after_all(self, errors: Sequence[bool]) -> Watch:
        """Return the watch after so many more audits, one after another: what `after` gives, to the bit, in far less time."""
        watch, at = self, 0
        while at < len(errors):
            some = errors[at : at + watch.every - watch.audits % watch.every]
            watch = watch._with(tuple(evidence.after_all(some) for evidence in watch.running), len(some))
            at += len(some)
        return watch

    def _with(self, running: tuple[Evidence, ...], audits: int) -> Watch:
        """Return the watch once all that runs has seen so many more audits, up to the next that new evidence begins after."""
        alarmed = self.alarmed or any(evidence.alarmed for evidence in running)
        watch = replace(self, audits=self.audits + audits, running=running, alarmed=alarmed)
        return watch if watch.audits % self.every else _with_another(watch)


def begin_watch(alpha: float, delta: float, every: int) -> Watch:
    """Return the watch before any audit.

    Args:
        alpha: the error rate that may not be exceeded.
        delta: the probability that an alarm may be false, over all time.
        every: after how many audits new evidence begins: about as many as an alarm may take at the rate to be noticed.

    Raises:
        ValueError: when `alpha` or `delta` does not lie between 0 and 1, or `every` is below 1.
    """
    if every < 1:
        raise ValueError(f"expected new evidence after at least one audit, got {every}")
    return Watch(alpha, delta, every, 0, 1, (begin(alpha, share(0, delta)),), alarmed=False)


def share(at: int, delta: float) -> float:
    """Return the share of `delta` that the evidence begun `at`-th has, from 0.

    Raises:
        ValueError: when `at` is below 0 or `delta` does not lie between 0 and 1.
    """
    if at < 0:
        raise ValueError(f"expected a position from 0, got {at}")
    if not 0.0 < delta < 1.0:
        raise ValueError(f"expected delta between 0 and 1, got {delta!r}")
    return delta / ((at + 1) * (at + 2))


def longest_delay(
    alpha: float, rate: float, delta: float, every: int, *, quiet: int = 0, before: float = 0.0
) -> float | None:
    """Return within how many audits, on average, the watch alarms once decisions err at `rate`: at most so many.

    It is the least of what single evidence takes by itself: the three begun last, and the next, which is waited for.

    Args:
        alpha: the error rate that may not be exceeded.
        rate: the true one, once it has risen.
        delta: the probability that an alarm may be false.
        every: after how many audits new evidence begins.
        quiet: how many audits came before, which are not counted; no alarm fell among them.
        before: the error rate among those.

    Returns:
        None where none of these is sure to alarm within the horizon of `expected_delay`.

    Raises:
        ValueError: as `expected_delay` does, and when `every` is below 1.
    """
    if every < 1:
        raise ValueError(f"expected new evidence after at least one audit, got {every}")
    if quiet < 0:
        raise ValueError(f"expected a number of quiet audits from 0, got {quiet}")
    newest = quiet // every
    delays = [
        expected_delay(alpha, rate, share(at, delta), quiet=quiet - at * every, before=before)
        for at in range(max(0, newest - 2), newest + 1)
    ]
    following = expected_delay(alpha, rate, share(newest + 1, delta))
    if following is not None:
        delays.append(following + (newest + 1) * every - quiet)
    return min((delay for delay in delays if delay is not None), default=None)


def _with_another(watch: Watch) -> Watch:
    running = watch.running
    if len(running) >= MOST_BESIDE:
        farthest = min(
            range(len(running)), key=lambda at: running[at].log_value + math.log(running[at].delta)
        )
        running = running[:farthest] + running[farthest + 1 :]
    another = begin(watch.alpha, share(watch.begun, watch.delta))
    return replace(watch, begun=watch.begun + 1, running=(*running, another))
