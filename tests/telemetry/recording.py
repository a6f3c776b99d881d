"""Telemetry kept in memory, behind the same scrubbing that stands before every exporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Metric as Measured
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from arbiter.telemetry.export import described, meter_provider, tracer_provider
from arbiter.telemetry.meters import Meters, measure_with
from arbiter.telemetry.scrubbing import Provider, ScrubbedMetrics
from arbiter.telemetry.spans import trace_with


class _Kept(MetricExporter):
    def __init__(self) -> None:
        super().__init__()
        self.data: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, *_: object, **__: object) -> MetricExportResult:
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Recording:
    """What would have been exported."""

    provider: Provider
    meters: MeterProvider
    exporter: InMemorySpanExporter
    reader: PeriodicExportingMetricReader
    kept: _Kept

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def metrics(self) -> dict[str, Measured]:
        """What the newest collection holds, by name."""
        self.reader.collect()
        return {
            metric.name: metric
            for one in self.kept.data[-1].resource_metrics
            for scope in one.scope_metrics
            for metric in scope.metrics
        }

    def text(self) -> str:
        """All of it, as an operator would see it."""
        self.reader.collect()
        return "".join(span.to_json() for span in self.spans()) + "".join(
            data.to_json() for data in self.kept.data
        )


@contextmanager
def recording() -> Iterator[Recording]:
    """Record spans and metrics while the block runs."""
    exporter, kept = InMemorySpanExporter(), _Kept()
    resource = described()
    provider = tracer_provider(resource, SimpleSpanProcessor(exporter))
    reader = PeriodicExportingMetricReader(ScrubbedMetrics(kept), export_interval_millis=float("inf"))
    meters = meter_provider(resource, reader)
    trace_with(provider.get_tracer("arbiter"))
    measure_with(Meters(meters.get_meter("arbiter")))
    try:
        yield Recording(provider, meters, exporter, reader, kept)
    finally:
        trace_with(None, ids=False)
        measure_with(None)
        provider.shutdown()
        meters.shutdown()
