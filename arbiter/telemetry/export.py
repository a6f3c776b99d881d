"""Starts telemetry from the standard `OTEL_*` variables, and ends it within seconds.

Nothing is exported unless an OTLP endpoint is set. With one, everything is queued with bounds and sent by threads of its
own: a collector that is slow, away or refusing costs telemetry, never a case. There is no console exporter and no other
protocol than OTLP over HTTP: a variable that asks for one stops the start, so that nobody waits for what never comes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler

from arbiter import __version__
from arbiter.errors import ConfigurationError
from arbiter.telemetry.logs import OverOtlp, export_lines_to
from arbiter.telemetry.meters import Meters, measure_with
from arbiter.telemetry.metrics import METRICS
from arbiter.telemetry.scrubbing import Provider, ScrubbedMetrics, describing
from arbiter.telemetry.spans import Silence, trace_with

NAME: Final = "arbiter"
STOP_SECONDS: Final = 5.0
"""How long a stopping process goes on sending what is queued."""

SIGNALS: Final = ("TRACES", "METRICS", "LOGS")
_PROTOCOL: Final = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which signals the environment asks to be exported."""

    traces: bool
    metrics: bool
    logs: bool


def read_wanted() -> Wanted:
    """Read the environment.

    Raises:
        ConfigurationError: when it asks for an exporter or a protocol that is not here.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted(traces=False, metrics=False, logs=False)
    return Wanted(*(_is_wanted(signal) for signal in SIGNALS))


def _is_wanted(signal: str) -> bool:
    exporter = _first(f"OTEL_{signal}_EXPORTER") or "otlp"
    if exporter not in {"otlp", "none"}:
        raise ConfigurationError(f"OTEL_{signal}_EXPORTER: expected otlp or none")
    if exporter == "none" or not _first(
        f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    ):
        return False
    protocol = _first(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in {"", _PROTOCOL}:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_PROTOCOL: expected {_PROTOCOL}")
    return True


def _first(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


@dataclass(frozen=True, slots=True)
class _Ending:
    """How to end one signal: send what is queued, and give up sending."""

    send: Callable[[], object]
    give_up: Callable[[], object]


class _Running:
    """What `stop_telemetry` has to end."""

    endings: tuple[_Ending, ...] = ()


def start_telemetry() -> None:
    """Give every request and job a trace id from here on, and export what the environment asks for.

    Raises:
        ConfigurationError: when it asks for what is not here.
    """
    wanted = read_wanted()
    # No library of ours may carry on what a caller sent: neither trace state nor baggage.
    propagate.set_global_textmap(Silence())
    resource = described()
    endings: list[_Ending] = []
    trace_with(None)
    if wanted.metrics:
        metrics_exporter = OTLPMetricExporter()
        meters = meter_provider(resource, PeriodicExportingMetricReader(ScrubbedMetrics(metrics_exporter)))
        measure_with(Meters(meters.get_meter(NAME, __version__)))
        endings.append(_Ending(meters.shutdown, metrics_exporter.shutdown))
    if wanted.traces:
        exporter = OTLPSpanExporter()
        traces = tracer_provider(resource, BatchSpanProcessor(exporter, meter_provider=NoOpMeterProvider()))
        trace_with(traces.get_tracer(NAME, __version__))
        endings.append(_Ending(traces.shutdown, exporter.shutdown))
    if wanted.logs:
        logs_exporter = OTLPLogExporter()
        logs = LoggerProvider(resource=resource, shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
        logs.add_log_record_processor(BatchLogRecordProcessor(logs_exporter))
        export_lines_to(OverOtlp(logs))
        endings.append(_Ending(logs.shutdown, logs_exporter.shutdown))
    _Running.endings = tuple(endings)


def stop_telemetry() -> None:
    """Send what is queued, for some seconds at most, and export nothing from here on."""
    export_lines_to(None)
    trace_with(None, ids=False)
    measure_with(None)
    endings, _Running.endings = _Running.endings, ()
    threads = [threading.Thread(target=ending.send, daemon=True) for ending in endings]
    for thread in threads:
        thread.start()
    until = time.monotonic() + STOP_SECONDS
    for thread, ending in zip(threads, endings, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            # Retries end here; a request under way ends by its own timeout, on a thread that holds nobody up.
            ending.give_up()


@contextmanager
def telemetry() -> Iterator[None]:
    """Start telemetry for as long as the block runs."""
    start_telemetry()
    try:
        yield
    finally:
        stop_telemetry()


def described() -> Resource:
    """Return what describes this process: our name and version, and what OTEL_RESOURCE_ATTRIBUTES adds."""
    stated = Resource.create()
    ours = {"service.version": __version__}
    if str(stated.attributes["service.name"]).startswith("unknown_service"):
        ours["service.name"] = NAME
    return describing(stated.merge(Resource(ours)))


def tracer_provider(resource: Resource, processor: SpanProcessor, sampler: Sampler | None = None) -> Provider:
    """Return a provider behind the scrubbing; the sampler is that of OTEL_TRACES_SAMPLER unless one is given."""
    provider = Provider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


def meter_provider(resource: Resource, reader: MetricReader) -> MeterProvider:
    """Return a provider whose views keep listed attributes alone; a reader's exporter is wrapped as well."""
    views = [
        View(instrument_name=metric.name, attribute_keys={attribute.name for attribute in metric.attributes})
        for metric in METRICS
    ]
    return MeterProvider(
        metric_readers=[reader],
        resource=resource,
        views=views,
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
