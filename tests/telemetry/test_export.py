"""Exporting: where the environment says and never elsewhere, and at no case's cost."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from arbiter.errors import ConfigurationError
from arbiter.telemetry.catalogue import DELIBERATION
from arbiter.telemetry.export import Wanted, described, read_wanted, telemetry
from arbiter.telemetry.logs import OverOtlp
from arbiter.telemetry.meters import Figure, count, read_gauges_from
from arbiter.telemetry.metrics import TAKEN_IN
from arbiter.telemetry.spans import spanned
from tests.system.collector import Collector, attributes_of, points_of
from tests.system.service import free_port

NOTHING = Wanted(traces=False, metrics=False, logs=False)
ALL = Wanted(traces=True, metrics=True, logs=True)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 - to know what there is to take away

    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


def test_without_an_endpoint_nothing_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_wanted() == NOTHING
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    assert read_wanted() == NOTHING
    with telemetry():
        assert not [handler for handler in logging.getLogger().handlers if isinstance(handler, OverOtlp)]


def test_an_endpoint_is_for_all_signals_or_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1/v1/metrics")
    assert read_wanted() == Wanted(traces=False, metrics=True, logs=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    assert read_wanted() == ALL
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    assert read_wanted() == Wanted(traces=True, metrics=True, logs=False)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert read_wanted() == NOTHING


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp,console"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_what_is_not_here_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"expected (otlp or none|http/protobuf)"):
        read_wanted()


def test_a_service_is_named_by_us_or_by_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert described().attributes["service.name"] == "arbiter"
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.name=ward,deployment.environment.name=north,secret=x"
    )
    attributes = described().attributes
    assert (attributes["service.name"], attributes["deployment.environment.name"]) == ("ward", "north")
    assert "secret" not in attributes


def test_all_three_signals_arrive_with_the_headers_that_were_set(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=s3cret")
    with telemetry():
        with spanned(DELIBERATION):
            logging.getLogger("arbiter.test").warning("told of %s", "Jones")
        count(TAKEN_IN)
    assert [span.name for span in collector.spans()] == ["deliberate"]
    assert [metric.name for metric in collector.metrics()] == [TAKEN_IN.name]
    (record,) = [r for r in collector.log_records() if "told" in r.body.string_value]
    assert record.body.string_value == "told of ?"
    assert record.trace_id == collector.spans()[0].trace_id
    assert {headers["x-token"] for headers in collector.headers} == {"s3cret"}


def test_gauges_are_read_when_they_are_collected_and_a_failing_reader_is_absent(collector: Collector) -> None:
    from arbiter.telemetry.catalogue import PHASE  # noqa: PLC0415 - beside their only use
    from arbiter.telemetry.metrics import ERRANDS, OPEN_CASES  # noqa: PLC0415 - beside their only use

    def read() -> list[Figure]:
        return [
            Figure(ERRANDS, 3, {}),
            Figure(OPEN_CASES, 2, {PHASE: "escalated"}),
            Figure(OPEN_CASES, 1, {PHASE: "?"}),
        ]

    def fail() -> list[Figure]:
        raise ValueError("Jones")

    with telemetry():
        read_gauges_from(read)
    values = {
        (metric.name, *attributes_of(point).values()): point.as_int
        for metric in collector.metrics()
        for point in points_of(metric)
    }
    assert values[ERRANDS.name,] == 3
    assert values[OPEN_CASES.name, "escalated"] == 2
    collector.received.clear()
    with telemetry():
        read_gauges_from(fail)
    assert collector.metrics() == []
    assert "Jones" not in collector.text()


@pytest.mark.parametrize("state", ["down", "refusing", "slow"])
def test_a_collector_in_trouble_costs_no_case_and_little_at_the_end(
    monkeypatch: pytest.MonkeyPatch, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector() as collector:
        collector.status = 503 if state == "refusing" else 200
        collector.delay_seconds = 30.0 if state == "slow" else 0.0
        url = f"http://127.0.0.1:{free_port()}" if state == "down" else collector.url
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        began = time.perf_counter()
        with telemetry():
            for _ in range(5000):
                with spanned(DELIBERATION):
                    count(TAKEN_IN)
            inside = time.perf_counter() - began
        # The collector answers after 30 seconds or never: waiting for it even once would show.
        assert inside < 25, "5000 spans waited for the collector"
        assert time.perf_counter() - began - inside < 25, "the end waited for the collector"
