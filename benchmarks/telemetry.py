"""What exporting telemetry costs a case, as a ratio: two services side by side, one of which exports all three signals.

Run with `python -m benchmarks.telemetry`. Both are real `arbiter serve` processes on embedded PostgreSQLs of their own;
a third process takes in what is exported. Cases go to one and the other in turns of a few, so that whatever else the
machine does meanwhile falls on both alike. What counts is the ratio of this run; the milliseconds are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import uvloop

from arbiter.clock import SystemChance
from arbiter.settings import Mode, Settings
from arbiter.store.keys import init_keys
from benchmarks.cases import Door, Spread, _register, _timed, serving

TURN = 20
WARM = 40


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take in whatever comes."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def sink(port: int) -> None:
    """Take in telemetry until killed."""
    ThreadingHTTPServer(("127.0.0.1", port), _Sink).serve_forever()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@asynccontextmanager
async def _sinking() -> AsyncIterator[str]:
    port = _free_port()
    command = [sys.executable, "-c", f"from benchmarks.telemetry import sink; sink({port})"]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _service(**variables: str) -> AsyncIterator[Door]:
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        init_keys(folder, "bench.invalid/log", SystemChance())
        settings = Settings(data=folder, port=_free_port(), mode=Mode.DEMONSTRATION)
        token = await _register(settings)
        async with serving(settings, **variables):
            door = Door(settings.port, token)
            try:
                yield door
            finally:
                door.close()


async def _some(door: Door, name: str, count: int) -> list[float]:
    # Its turn may come after the server has hung up on a silent connection.
    door.close()
    await door.get_health()
    return await _timed(lambda number: door.post_case(f"{name}-{number}"), count)


async def run(cases: int) -> None:
    """Measure and print."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    async with (
        _sinking() as url,
        _service() as off,
        _service(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_METRIC_EXPORT_INTERVAL="5000") as on,
    ):
        taken: dict[Door, list[float]] = {off: [], on: []}
        for door in taken:
            await _some(door, "warm", WARM)
        for turn in range(max(1, cases // TURN)):
            for door in (off, on) if turn % 2 else (on, off):
                taken[door] += await _some(door, f"{turn}", TURN)
    without, exporting = Spread.of(taken[off]), Spread.of(taken[on])
    print(f"POST to released decision, nothing exported    {without}")
    print(f"the same, traces, metrics and logs exported    {exporting}")
    print(f"exporting costs {exporting.p50 / without.p50:.2f} times the median of a case without")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=400, help="cases for each of the two")
    uvloop.run(run(parser.parse_args().cases))


if __name__ == "__main__":
    main()
