"""Metrics as the use cases see them: `count` and `record` name a metric of the catalogue, or do not compile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

from arbiter.telemetry.metrics import METRICS, Instrument, Metric
from arbiter.telemetry.spans import Said

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figure:
    """One value of a gauge at the time of asking."""

    metric: Metric
    value: float
    said: Said


Source = Callable[[], Iterable[Figure]]
"""Reads gauges when they are collected, on the exporter's thread; takes seconds at most."""


class Meters:
    """Every instrument of the catalogue, made once."""

    def __init__(self, meter: Meter) -> None:
        self._counters: dict[Metric, Counter] = {}
        self._histograms: dict[Metric, Histogram] = {}
        self._read: dict[str, list[Figure]] = {}
        self.source: Source | None = None
        gauges = []
        for metric in METRICS:
            match metric.instrument:
                case Instrument.COUNTER:
                    self._counters[metric] = meter.create_counter(metric.name, metric.unit, metric.says)
                case Instrument.HISTOGRAM:
                    self._histograms[metric] = meter.create_histogram(
                        metric.name,
                        metric.unit,
                        metric.says,
                        explicit_bucket_boundaries_advisory=metric.buckets,
                    )
                case Instrument.GAUGE:
                    gauges.append(metric)
        for first, metric in enumerate(gauges):
            meter.create_observable_gauge(
                metric.name, [self._observer(metric, first=first == 0)], metric.unit, metric.says
            )

    def count(self, metric: Metric, said: Said, amount: int) -> None:
        """Add to a counter."""
        self._counters[metric].add(amount, _named(said))

    def record(self, metric: Metric, said: Said, value: float) -> None:
        """Record a value in a histogram."""
        self._histograms[metric].record(value, _named(said))

    def _observer(self, metric: Metric, *, first: bool) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return what a gauge is asked by. The first of a collection reads for all: they are asked in order."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            if first:
                self._read = _by_metric(self.source)
            return [
                Observation(figure.value, _named(figure.said)) for figure in self._read.get(metric.name, ())
            ]

        return observe


def _by_metric(source: Source | None) -> dict[str, list[Figure]]:
    found: dict[str, list[Figure]] = {}
    if source is not None:
        try:
            for figure in source():
                found.setdefault(figure.metric.name, []).append(figure)
        except Exception as error:  # noqa: BLE001 - a gauge that cannot be read is absent, whatever the cause
            log.warning("the gauges could not be read: %s", error)
    return found


def _named(said: Said) -> Mapping[str, Any]:
    return {attribute.name: value for attribute, value in said.items()}


class _Measuring:
    """The meters in use; none until `arbiter.telemetry.export` has somewhere to export to."""

    meters: Meters | None = None


_NOTHING: Final[Said] = {}


def measure_with(meters: Meters | None) -> None:
    """Use these meters from now on; None ends measuring."""
    _Measuring.meters = meters


def read_gauges_from(source: Source | None) -> None:
    """Let gauges be read from there, until another source or None is given."""
    if _Measuring.meters is not None:
        _Measuring.meters.source = source


def count(metric: Metric, said: Said = _NOTHING, amount: int = 1) -> None:
    """Add to a counter of the catalogue."""
    if _Measuring.meters is not None:
        _Measuring.meters.count(metric, said, amount)


def record(metric: Metric, value: float, said: Said = _NOTHING) -> None:
    """Record a value in a histogram of the catalogue."""
    if _Measuring.meters is not None:
        _Measuring.meters.record(metric, said, value)
