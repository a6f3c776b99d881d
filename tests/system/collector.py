"""An OTLP/HTTP collector on the loopback address: keeps the bodies it is sent and decodes them with the published schema."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_MESSAGES: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class Collector:
    """Accepts everything, or answers as it is told to: `status` 503 is a collector that is down, `delay` a slow one."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.delay_seconds = 0.0
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                time.sleep(collector.delay_seconds)
                collector.received.append((self.path, body))
                collector.headers.append(dict(self.headers))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests read what was sent, not that something was."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def messages(self, path: str) -> list[Any]:
        """What came to a path, decoded."""
        return [_MESSAGES[path].FromString(body) for at, body in self.received if at == path]

    def spans(self) -> list[Any]:
        return [
            span
            for message in self.messages("/v1/traces")
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> list[Any]:
        return [
            metric
            for message in self.messages("/v1/metrics")
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def log_records(self) -> list[Any]:
        return [
            record
            for message in self.messages("/v1/logs")
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def text(self) -> str:
        """All that came, decoded: names, attributes, bodies, everything an operator could ever see."""
        return "\n".join(str(_MESSAGES[path].FromString(body)) for path, body in self.received)

    def raw(self) -> bytes:
        return b"\n".join(body for _, body in self.received)


def attributes_of(thing: Any) -> dict[str, Any]:
    """A span's, point's or record's attributes as a plain dictionary."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in thing.attributes}


def points_of(metric: Any) -> Iterator[Any]:
    """The data points of a metric, however it is aggregated."""
    yield from getattr(metric, str(metric.WhichOneof("data"))).data_points


def wait_for(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait on this thread until something holds."""
    ends_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends_at, "it never came to be"
        time.sleep(0.05)
