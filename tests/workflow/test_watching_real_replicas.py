"""What is seen of replicas that are asked for real, by the process that asks them and by another that watches."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from arbiter.fleet.finding import Level
from arbiter.fleet.seats import Standing
from arbiter.fleet.state import Position
from arbiter.panels.vllm.pool import Pool
from arbiter.store.database import Database
from arbiter.telemetry.metrics import FLEET_BREAKERS, FLEET_IN_FLIGHT, FLEET_SILENT_SEATS, FLEET_WAITING
from arbiter.workflow.fleet_watch import Watch
from arbiter.workflow.gauges import gauges
from arbiter.workflow.intake import submit
from tests.houses import a_client, submission
from tests.panels.misbehaving_server import VERSION
from tests.panels.model_servers import misbehaving, refusing_url
from tests.patience import PATIENCE_SECONDS
from tests.system.service import COMMAND, ROOT, Service, a_service, case_body, environment, until
from tests.workflow.watched_replicas import WAIT_SECONDS, fleet_house, seen_when, settings_in


async def test_a_breaker_that_opened_is_told_since_it_opened_whatever_its_probes_do(
    database: Database, tmp_path: Path
) -> None:
    async with fleet_house(tmp_path, database, refusing_url(), running=True, names=("respiratory",)) as house:
        client, _ = await a_client(house)
        for number in range(4):
            await submit(house, client, submission(house.clock.now()), f"k-{number}", b"%d" % number)
            await house.errands.finish(20)
        pool = house.fleet["specialists"]
        watch = await seen_when(house, _opened)
        (first,) = watch.overview.servers[0].replicas[0].breakers
        await until(lambda: _probed(pool), WAIT_SECONDS)
        (later,) = pool.state().replicas[0].breakers
        read = {(each.metric, *each.said.values()): each.value for each in await gauges(house)}
    assert later.since == first.since
    (seat_line,) = watch.overview.seats
    assert seat_line.standing is Standing.SILENT
    assert watch.findings[0].level is Level.ALARM
    assert read[FLEET_SILENT_SEATS, "deterioration"] == 1
    assert read[FLEET_BREAKERS, "specialists", "specialists-1"] == 1
    assert read[FLEET_IN_FLIGHT, "specialists", "specialists-1"] in {0, 1}
    assert read[FLEET_WAITING, "specialists"] == 0


def _opened(watch: Watch) -> bool:
    replicas = [replica for server in watch.overview.servers for replica in server.replicas]
    return any(each.position is Position.OPEN for replica in replicas for each in replica.breakers)


async def _probed(pool: Pool) -> bool:
    return pool.replicas[0].record("respiratory").breaker.probes >= 2


@pytest.mark.timeout(300)
def test_a_serving_process_tells_and_another_sees_it_answer_be_killed_and_be_stopped(tmp_path: Path) -> None:
    """`arbiter serve` with a fleet of its own, asked for real, and `arbiter panel watch` beside it."""
    with a_service() as service, misbehaving() as url:
        settings = settings_in(tmp_path, (url,), "good")
        service.variables = {
            "ARBITER_PROTOCOLS": str(settings.protocols),
            "ARBITER_FLEET": str(settings.fleet),
        }
        service.start()
        with watching(service, tmp_path / "seen") as watcher:
            asyncio.run(hand_in(service))
            shown = watcher.until(lambda it: engines(it) == [f"vllm {VERSION}"])
            (seen,), (server,) = shown["seats"], shown["servers"]
            assert (seen["standing"], seen["model"], seen["answering"]) == ("answers", "good", 1)
            assert (server["calls"], server["replicas"][0]["outcomes"]) == (1, [["complete", 1]])
            service.kill()
            killed = watcher.until(lambda it: it["processes"][0]["silent"])
            assert killed["findings"][0]["level"] == "alarm"
            assert killed["servers"] == []
            service.start()
            again = watcher.until(lambda it: bool(it["servers"]))
            assert again["seats"][0]["standing"] == "not asked yet"
            assert service.stop(signal.SIGTERM) == 0
            watcher.until(lambda it: all(each["silent"] for each in it["processes"]))
        done = subprocess.run(
            [*COMMAND, "panel", "watch", "--once"],
            cwd=ROOT,
            env=environment(service.data, **service.variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("alarm\tNo running process tells of the model servers")


def engines(seen: dict[str, Any]) -> list[str]:
    return [engine for server in seen["servers"] for each in server["replicas"] for engine in each["engines"]]


async def hand_in(service: Service) -> None:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as client:
        headers = {
            "Authorization": f"Bearer {service.token}",
            "Idempotency-Key": "watched",
            "Prefer": "wait=30",
        }
        answer = await client.post("/v1/cases", json=case_body(subject="watched"), headers=headers)
        assert answer.is_success, answer.text


@dataclass
class Watcher:
    """`arbiter panel watch --json` as a process whose lines are read as they come."""

    process: subprocess.Popen[bytes]
    out: Path

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first look for which the condition holds, of those that come from now on."""
        seen: dict[str, Any] = {}
        past = self.out.read_bytes().count(b"\n")
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            for line in self.out.read_bytes().split(b"\n")[past:-1]:
                seen = json.loads(line)
                past += 1
                if condition(seen):
                    return seen
            assert self.process.poll() is None, seen
            assert time.monotonic() < ends_at, json.dumps(seen["servers"])
            time.sleep(0.1)


@contextmanager
def watching(service: Service, out: Path) -> Iterator[Watcher]:
    with out.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "panel", "watch", "--json", "--every", "0.5"],
            cwd=ROOT,
            env=environment(service.data, **service.variables, PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=file,
        )
    try:
        yield Watcher(process, out)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait(10)
