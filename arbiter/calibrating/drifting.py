"""Watches everything that is watched of one protocol version, case by case: its streams, and how its members agree.

All streams together alarm falsely with probability at most `delta`, over all time and over every time that one begins anew
(a union bound): of each stream's equal share the k-th run, from 0, has 1 / 2^(k+1). A run that begins anew takes a sample of
its own, for by then somebody has looked and what comes now is what is to be expected.

Beside them runs Krippendorff's alpha of whatever at least two seats answer, over windows of so many cases, one after
another. It has no stated error rate: it is there to be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from arbiter.calibrating.agreement import Agreement
from arbiter.calibrating.bins import Stream
from arbiter.calibrating.exchangeability import Drift, begin

MOST_SHOWN = 1e12


@dataclass(frozen=True, slots=True)
class Run:
    """A stream since it began, or began anew for the `number`-th time."""

    stream: str
    number: int
    drift: Drift

    @property
    def one_in(self) -> float | None:
        """In one of how many streams that never change this much is ever found; None while the sample is being taken.

        By Ville's inequality: an upper bound of how rare it is, and no more than `MOST_SHOWN` is told.
        """
        if self.drift.seen <= self.drift.reference:
            return None
        return min(MOST_SHOWN, math.exp(min(self.drift.highest, math.log(MOST_SHOWN))))


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of cases over which agreement is measured: of the question or a facet (`asks`), from 0."""

    asks: str
    number: int
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Watched:
    """All that is watched of a protocol version. `delta` and `reference` are as they were when its first case came."""

    delta: float
    reference: int
    cases: int
    runs: tuple[Run, ...]
    windows: tuple[Window, ...]

    def run(self, stream: str) -> Run | None:
        """Return the run of the stream of that name, or None."""
        return next((run for run in self.runs if run.stream == stream), None)


@dataclass(frozen=True, slots=True)
class Observed:
    """What one case brought: `alarmed` are the runs that had not alarmed before, `ended` the windows that are full."""

    watched: Watched
    alarmed: tuple[Run, ...]
    ended: tuple[Window, ...]


def begin_watching(streams: Sequence[Stream], asked: Sequence[str], delta: float, reference: int) -> Watched:
    """Return the watch over a protocol version before its first case.

    Args:
        streams: what is watched, at least one.
        asked: `QUESTION` and the ids of facets: whatever at least two seats answer.
        delta: the probability that any alarm may be false, over all time.
        reference: how many cases are each stream's sample.

    Raises:
        ValueError: as `exchangeability.begin` does.
    """
    runs = tuple(_run(stream, 0, len(streams), delta, reference) for stream in streams)
    return Watched(delta, reference, 0, runs, tuple(Window(asks, 0, Agreement()) for asks in asked))


def fitted(watched: Watched, streams: Sequence[Stream], asked: Sequence[str]) -> Watched:
    """Return the watch over what is watched now: itself, unless another release sorted cases otherwise.

    All of it then begins anew, behind every run there was, so that all together still alarm falsely with probability at most
    `delta`.
    """
    kept = [(run.stream, len(run.drift.counts)) for run in watched.runs]
    if kept == [(stream.name, stream.bins) for stream in streams] and [
        window.asks for window in watched.windows
    ] == list(asked):
        return watched
    number = 1 + max((run.number for run in watched.runs), default=-1)
    runs = tuple(_run(stream, number, len(streams), watched.delta, watched.reference) for stream in streams)
    following = 1 + max((window.number for window in watched.windows), default=-1)
    return replace(watched, runs=runs, windows=tuple(Window(asks, following, Agreement()) for asks in asked))


def share(delta: float, streams: int, number: int) -> float:
    """Return the share of `delta` that the `number`-th run, from 0, of one of so many streams has.

    Raises:
        ValueError: when there are no streams, or `number` is below 0.
    """
    if streams < 1 or number < 0:
        raise ValueError(f"expected at least one stream and a number from 0, got {streams} and {number}")
    return math.ldexp(delta / streams, -(number + 1))


def observe(
    watched: Watched,
    bins: Mapping[str, int],
    thetas: Sequence[float],
    said: Mapping[str, Sequence[str | None]],
    window: int,
) -> Observed:
    """Return the watch after one more case.

    Args:
        watched: before it.
        bins: where the case fell, for every stream.
        thetas: one for every stream, each drawn uniformly from [0, 1) for this case.
        said: for whatever agreement is measured of, the option each seat gave, None where it gave none.
        window: over how many cases.

    Raises:
        ValueError: as `Drift.after` does, or when there are not as many `thetas` as streams; KeyError: for a stream without a bin.
    """
    runs = tuple(
        replace(run, drift=run.drift.after(bins[run.stream], theta))
        for run, theta in zip(watched.runs, thetas, strict=True)
    )
    alarmed = tuple(
        after
        for before, after in zip(watched.runs, runs, strict=True)
        if after.drift.alarmed and not before.drift.alarmed
    )
    heard = [
        replace(each, agreement=each.agreement.after(said.get(each.asks, ()))) for each in watched.windows
    ]
    ended = tuple(each for each in heard if each.agreement.units >= window)
    going_on = tuple(
        Window(each.asks, each.number + 1, Agreement()) if each in ended else each for each in heard
    )
    after = replace(watched, cases=watched.cases + 1, runs=runs, windows=going_on)
    return Observed(after, alarmed, ended)


def begin_anew(watched: Watched, stream: str) -> Watched:
    """Return the watch with one stream's next run begun, with half of the share that its present one has.

    Raises:
        ValueError: when it has no stream of that name.
    """
    present = watched.run(stream)
    if present is None:
        raise ValueError(f"expected one of {', '.join(run.stream for run in watched.runs)}, got {stream}")
    again = Stream(stream, len(present.drift.counts))
    following = _run(again, present.number + 1, len(watched.runs), watched.delta, watched.reference)
    return replace(watched, runs=tuple(following if run.stream == stream else run for run in watched.runs))


def _run(stream: Stream, number: int, streams: int, delta: float, reference: int) -> Run:
    """Return a stream's run before its first case, with its share of the `delta` that so many streams have together."""
    return Run(stream.name, number, begin(stream.bins, reference, share(delta, streams, number)))
