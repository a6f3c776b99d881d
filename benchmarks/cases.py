"""How long a case takes from POST to released decision, how many a second, and where the time goes.

Run with `make bench`. A real `arbiter serve` on an embedded PostgreSQL of its own answers over loopback; everything is
on: authentication, validation, CEL, adjudication, encryption, tracing, the sealed log. Beside the figures stand what
this machine's disk and loopback cost by themselves, in the same run, because these differ more between machines than
anything here does: quote the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from arbiter.clock import SystemChance
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import RiskClass
from arbiter.protocols.intake import RawFact
from arbiter.settings import Mode, Settings
from arbiter.store.database import prepare_database
from arbiter.store.keys import init_keys
from arbiter.wiring import open_house, run_house
from arbiter.workflow import deliberation, intake, releasing, saving
from arbiter.workflow.house import House
from arbiter.workflow.log import sealing
from arbiter.workflow.reading import wait_until_settled
from arbiter.workflow.subjects import SubjectRef

SITE = "bench"
READY_SECONDS = 120
PROGRAM = "from arbiter.cli import main; main()"
CALM = {
    "age": (54, "a"),
    "pregnant": (False, None),
    "treatment_limitation": ("none", None),
    "respiratory_rate": (15, "/min"),
    "spo2": (97, "%"),
    "supplemental_oxygen": (False, None),
    "systolic_bp": (124, "mm[Hg]"),
    "diastolic_bp": (78, "mm[Hg]"),
    "heart_rate": (72, "/min"),
    "consciousness": ("alert", None),
    "temperature": (36.8, "Cel"),
    "white_cell_count": (7.2, "10*9/L"),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: median, 99th percentile, how many."""

    p50: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        """Return the spread of durations in seconds."""
        ordered = sorted(seconds)
        return cls(
            statistics.median(ordered) * 1000,
            ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
            len(ordered),
        )

    def __str__(self) -> str:
        return f"p50 {self.p50:8.2f} ms   p99 {self.p99:8.2f} ms   n {self.count}"


class Door:
    """One keep-alive HTTP/1.1 connection, as lean as a client can be: the service is measured, not its caller."""

    def __init__(self, port: int, token: str, protocol: str = "deterioration") -> None:
        self._port = port
        self._token = token
        self._protocol = protocol
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post_case(self, key: str) -> dict[str, Any]:
        """Submit a case, wait for its decision, return the answer."""
        status, answer = await self.offer_case(key)
        if status != 201 or answer["phase"] != "released":
            raise RuntimeError(f"expected a released decision, came {status} {answer}")
        return answer

    async def offer_case(self, key: str) -> tuple[int, dict[str, Any]]:
        """Submit a case, wait for its decision, return the status and the answer, whatever they are."""
        body = json.dumps(_case(self._protocol)).encode()
        head = (
            f"POST /v1/cases HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\nPrefer: wait=30\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return await self._exchange(head.encode() + body)

    async def get_health(self) -> None:
        """Ask for nothing."""
        await self._exchange(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, Any]]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        body = await self._reader.readexactly(length)
        try:
            answer = json.loads(body) if body else {}
        except ValueError as error:
            raise RuntimeError(f"expected JSON, came {lines[0]}: {body[:200]!r}") from error
        return int(lines[0].split(" ")[1]), answer

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def _case(protocol: str) -> dict[str, Any]:
    observed = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    return {
        "protocol": protocol,
        "site": SITE,
        "subject": {"system": "urn:example:bench", "value": "made-up"},
        "risk_class": "urgent",
        "facts": {
            name: {
                "value": value,
                "observed_at": observed,
                "source": "bench",
                **({"unit": unit} if unit else {}),
            }
            for name, (value, unit) in CALM.items()
        },
    }


async def _timed(work: Callable[[int], Awaitable[Any]], count: int) -> list[float]:
    taken = []
    for number in range(count):
        began = time.perf_counter()
        await work(number)
        taken.append(time.perf_counter() - began)
    return taken


def measure_fsync(folder: Path, count: int) -> Spread:
    """Append 4 KiB and force it to the disk, over and over."""
    taken = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return Spread.of(taken)


async def measure_commit(settings: Settings, count: int) -> Spread:
    """Insert one small row durably, over and over: the least that anything kept costs."""
    database = await prepare_database(settings)
    try:
        assert database.embedded is not None
        address = database.embedded.superuser_url.replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS bench_row (content text)")

            async def insert(_number: int) -> None:
                await connection.execute("INSERT INTO bench_row VALUES ('x')")

            await _timed(insert, 20)
            return Spread.of(await _timed(insert, count))
    finally:
        await asyncio.to_thread(database.close)


@asynccontextmanager
async def serving(
    settings: Settings, *, program: str = PROGRAM, **variables: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `arbiter serve` as a process of its own; nothing is exported unless `variables` say so.

    `program` is the Python that runs it, for those who want to look inside.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ARBITER_", "OTEL_"))},
        "ARBITER_CANARY_AT": "off",
        **variables,
        "ARBITER_DATA": str(settings.data),
        "ARBITER_PORT": str(settings.port),
        "ARBITER_MODE": "demonstration",
    }
    command = [sys.executable, "-c", program, "serve"]
    with (settings.data / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
        try:
            await _until_ready(settings.port, process)
            yield process
        except RuntimeError:
            print((settings.data / "serve.log").read_text("utf-8")[-4000:], file=sys.stderr)
            raise
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)


async def _until_ready(port: int, process: asyncio.subprocess.Process) -> None:
    for _ in range(20 * READY_SECONDS):
        if process.returncode is not None:
            raise RuntimeError(f"the server ended with {process.returncode}; see serve.log")
        door = Door(port, "")
        try:
            await door.get_health()
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
        finally:
            door.close()
    raise RuntimeError(f"the server did not answer within {READY_SECONDS} s")


async def measure_serial(port: int, token: str, count: int) -> tuple[Spread, Spread]:
    """Return loopback's own cost (GET /healthz) and POST to released decision, one at a time."""
    door = Door(port, token)
    await _timed(lambda n: door.post_case(f"warm-{n}"), 30)
    floor = Spread.of(await _timed(lambda _n: door.get_health(), 300))
    cases = Spread.of(await _timed(lambda n: door.post_case(f"serial-{n}"), count))
    door.close()
    return floor, cases


async def measure_load(port: int, token: str, count: int, at_once: int) -> tuple[float, Spread]:
    """Return released decisions a second with `at_once` in flight, and their latency."""
    left = iter(range(count))
    taken: list[float] = []

    async def caller() -> None:
        door = Door(port, token)
        for number in left:
            began = time.perf_counter()
            await door.post_case(f"load-{at_once}-{number}")
            taken.append(time.perf_counter() - began)
        door.close()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return count / (time.perf_counter() - began), Spread.of(taken)


# --- where the time goes -----------------------------------------------------------------------------------------

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("intake: validate, encrypt, chain", intake, "_open"),
    ("intake: one durable statement", intake, "insert_case"),
    ("panel, adjudication, both steps' saving", intake, "deliberate"),
    ("  of it: adjudication and certificate", deliberation, "adjudicate"),
    ("  of it: one durable statement", saving, "write_step"),
    ("seal: number, re-hash, sign, commit", sealing.Sealer, "_seal"),
    ("release: two statements, no disk", releasing, "release_sealed"),
)


@contextmanager
def stopwatches(spent: dict[str, float]) -> Iterator[None]:
    """Add up the seconds spent in each stage's function while the block runs."""
    originals = [(owner, name, getattr(owner, name)) for _, owner, name in STAGES]
    for title, owner, name in STAGES:
        setattr(owner, name, _watched(getattr(owner, name), title, spent))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _watched(function: Callable[..., Any], title: str, spent: dict[str, float]) -> Callable[..., Any]:
    if asyncio.iscoroutinefunction(function):

        async def waited(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                spent[title] = spent.get(title, 0.0) + time.perf_counter() - began

        return waited

    def called(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[title] = spent.get(title, 0.0) + time.perf_counter() - began

    return called


async def measure_stages(settings: Settings, count: int) -> tuple[float, dict[str, float]]:
    """Return the mean milliseconds of a case inside the process, without HTTP, and each stage's share of them."""
    spent: dict[str, float] = {}
    with stopwatches(spent):
        async with open_house(settings) as house, run_house(house):
            house.sealer.then(lambda: releasing.release_sealed(house))
            principal, _ = await register_client(
                house.identities, house.clock, house.chance, "stages", [Role.INTEGRATION_CLIENT], [SITE]
            )
            await _timed(lambda n: decide_inside(house, principal, f"stage-warm-{n}"), 20)
            spent.clear()
            taken = await _timed(lambda n: decide_inside(house, principal, f"stage-{n}"), count)
            stages = {title: spent.get(title, 0.0) / count * 1000 for title, _, _ in STAGES}
    return statistics.fmean(taken) * 1000, stages


async def decide_inside(house: House, principal: Principal, key: str) -> None:
    """Put a case in and wait for its decision, inside the process."""
    now = house.clock.now()
    facts = {
        name: RawFact(
            value if isinstance(value, str | bool) else Decimal(str(value)),
            unit,
            now - timedelta(minutes=5),
            "final",
            "bench",
        )
        for name, (value, unit) in CALM.items()
    }
    subject = SubjectRef("urn:example:bench", "made-up")
    submission = intake.Submission("deterioration", SITE, subject, None, RiskClass.URGENT, facts)
    submitted = await intake.submit(house, principal, submission, key, key.encode())
    view = await wait_until_settled(house, principal, submitted.case, 30)
    if view.phase is not Phase.RELEASED:
        raise RuntimeError(f"expected a released decision, came {view.phase}")


# --- the run -----------------------------------------------------------------------------------------------------


async def _register(settings: Settings) -> str:
    async with open_house(settings) as house:
        await add_site(house.identities, SITE, "Bench")
        _, token = await register_client(
            house.identities, house.clock, house.chance, "bench", [Role.INTEGRATION_CLIENT], [SITE]
        )
    return token


async def run(cases: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="arbiter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240 - nothing else runs yet
        init_keys(folder, "bench.invalid/log", SystemChance())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = Settings(data=folder, port=port, mode=Mode.DEMONSTRATION)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        fsync = measure_fsync(folder, 400)
        print(f"fsync of 4 KiB on this disk              {fsync}")
        token = await _register(settings)
        commit = await measure_commit(settings, 400)
        print(f"one durable INSERT                       {commit}")
        async with serving(settings):
            floor, serial = await measure_serial(port, token, cases)
            print(f"GET /healthz                             {floor}")
            print(f"POST to released decision, one at a time {serial}")
            rate, under_load = await measure_load(port, token, cases * 4, 32)
            print(f"the same, 32 in flight                   {under_load}")
        aim = 8 + 3 * fsync.p50
        least = floor.p50 + 3 * commit.p50
        print(f"\nPOST to released decision: p50 {serial.p50:.2f} ms, aim 8 ms + 3 fsync = {aim:.2f} ms")
        print(f"  {serial.p50 / least:.2f} times one request and three durable INSERTs ({least:.2f} ms)")
        print(f"32 in flight: {rate:.0f} released decisions a second, aim 250 on two cores")
        mean, stages = await measure_stages(settings, min(cases, 200))
        print(f"\nwhere the time goes, inside the process, one at a time, {mean:.2f} ms a case in the mean:")
        for title, spent in stages.items():
            print(f"  {title:42s} {spent:7.2f} ms  {100 * spent / mean:5.1f} %")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases", type=int, default=400, help="cases one at a time; four times as many at once"
    )
    uvloop.run(run(parser.parse_args().cases))


if __name__ == "__main__":
    main()
