"""Who may see the fleet, what processes tell of it, and what becomes of what they told: on a real database, by real processes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from arbiter.errors import ForbiddenError, RefusedError
from arbiter.fleet.finding import Level
from arbiter.fleet.overview import SILENT_AFTER
from arbiter.fleet.seats import CanaryResult, Standing
from arbiter.fleet.state import Position
from arbiter.identity.principals import Principal
from arbiter.identity.roles import ROLES, Permission, Role, check_roles
from arbiter.model import ActorId
from arbiter.panels.vllm.pool import Pool
from arbiter.settings import Mode, Settings
from arbiter.store.canaries import RunKind, RunRow, add_run
from arbiter.store.database import Database, conninfo
from arbiter.store.fleet_states import KEPT, READ_AT_MOST, load_states, tell_state
from arbiter.telemetry.catalogue import (
    FLEET_BREAKERS,
    FLEET_IN_FLIGHT,
    FLEET_SILENT_SEATS,
    FLEET_WAITING,
)
from arbiter.workflow.fleet_watch import Watch, look_at_fleet, tell_fleet, watch_fleet
from arbiter.workflow.gauges import gauges
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.fleet.files import fleet_file
from tests.fleet.states import a_busy_fleet, a_replica, a_server, breaker
from tests.houses import ShiftableClock, a_client, a_house, submission
from tests.panels.misbehaving_server import VERSION
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.model_servers import misbehaving, refusing_url
from tests.patience import PATIENCE_SECONDS
from tests.system.service import COMMAND, ROOT, Service, a_service, case_body, environment, until

MODELS = ("respiratory", "circulation", "infection")
WAIT_SECONDS = 40.0


def someone(*roles: Role) -> Principal:
    permissions = frozenset().union(*(ROLES[role] for role in roles))
    return Principal(
        ActorId("a-1"), "account", "Someone", frozenset(roles), frozenset(), permissions, frozenset()
    )


def settings_in(folder: Path, urls: Sequence[str], *names: str) -> Settings:
    """Settings of an installation with these models on one server of these replicas."""
    write_bundle(
        folder / "own" / "mine",
        protocol_text(
            "deterioration",
            *(seat(name, name, "specialists") for name in names or MODELS),
            panel_seconds=25,
        ),
    )
    return Settings(
        data=folder / "data",
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "own",
        fleet=fleet_file(folder, {"specialists": list(urls)}),
    )


@asynccontextmanager
async def fleet_house(
    folder: Path, database: Database, *urls: str, running: bool = False, names: Sequence[str] = MODELS
) -> AsyncIterator[House]:
    settings = settings_in(folder, urls or ("http://127.0.0.1:9",), *names)
    async with a_house(
        folder / "data", database, ShiftableClock(), running=running, settings=settings
    ) as house:
        yield house


def sql(database: Database, statement: str, *values: Any) -> None:
    with psycopg.connect(conninfo(database.app_url), autocommit=True) as connection:
        connection.execute(statement.encode(), values)


async def tell(house: House, **changes: Any) -> None:
    state = replace(a_busy_fleet(), **changes)
    await tell_state(house.store, state.process, state.began, state.to_json())


async def seen_when(house: House, condition: Callable[[Watch], bool]) -> Watch:
    """Look until the condition holds, and return what was seen then."""

    async def look() -> Watch | None:
        watch = await look_at_fleet(house)
        return watch if condition(watch) else None

    watch: Watch = await until(look, WAIT_SECONDS)
    return watch


# --- who may look ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", sorted(Role))
async def test_whoever_may_not_watch_is_refused_before_anything_is_read(role: Role) -> None:
    watches = role in {Role.FLEET_OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR}
    assert (Permission.FLEET_WATCH in ROLES[role]) == watches
    if not watches:
        nothing: Any = None
        with pytest.raises(ForbiddenError, match="fleet:watch"):
            await watch_fleet(nothing, someone(role))


@pytest.mark.parametrize("watcher", [Role.FLEET_OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR])
@pytest.mark.parametrize("reviewer", [Role.REVIEWER, Role.SENIOR_ARBITER])
def test_no_blind_reviewer_can_be_given_a_look_at_the_fleet(watcher: Role, reviewer: Role) -> None:
    with pytest.raises(RefusedError, match="nobody holds both"):
        check_roles(frozenset({watcher, reviewer}), frozenset(Role))


def test_the_fleets_operator_sees_nothing_else() -> None:
    assert ROLES[Role.FLEET_OPERATOR] == {Permission.FLEET_WATCH}


async def test_a_scope_without_it_takes_the_right_away(database: Database, tmp_path: Path) -> None:
    narrowed = replace(someone(Role.AUDITOR), permissions=frozenset({Permission.AUDIT_READ}))
    async with fleet_house(tmp_path, database) as house:
        with pytest.raises(ForbiddenError):
            await watch_fleet(house, narrowed)
        assert await watch_fleet(house, someone(Role.FLEET_OPERATOR)) is not None


# --- what is told ------------------------------------------------------------------------------------------------


async def test_a_process_that_ends_takes_back_what_it_told(database: Database, tmp_path: Path) -> None:
    async with fleet_house(tmp_path, database) as house:
        telling = asyncio.create_task(tell_fleet(house))
        await seen_when(house, lambda watch: bool(watch.overview.servers))
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        watch = await look_at_fleet(house)
    assert watch.overview.processes == ()
    assert [finding.level for finding in watch.findings] == [Level.ALARM, Level.NOTE]


async def test_a_house_without_model_servers_tells_nothing(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path / "data", database) as house:
        await asyncio.sleep(0.3)
        assert await load_states(house.store) == ()
        watch = await look_at_fleet(house)
    assert (watch.findings, watch.overview.seats, watch.overview.servers) == ((), (), ())


@pytest.mark.parametrize("seconds", [0, SILENT_AFTER.total_seconds() + 1], ids=["told now", "fallen silent"])
async def test_who_has_neither_fleet_file_nor_protocols_is_alarmed_by_what_processes_told(
    database: Database, tmp_path: Path, seconds: float
) -> None:
    """A script beside the installation that forgot both settings must not take that for a fleet that is well."""
    gone = a_server("specialists", *(a_replica(f"r-{at}", breaker("alpha", Position.OPEN)) for at in (1, 2)))
    async with a_house(tmp_path / "data", database) as house:
        await tell(house, servers=(gone,))
        sql(database, "UPDATE fleet_state SET at = at - make_interval(secs => %s)", seconds)
        watch = await look_at_fleet(house)
    assert watch.overview.seats == ()
    (alarm,) = [each.what for each in watch.findings if each.level is Level.ALARM]
    assert alarm.startswith(
        "No running process tells" if seconds else "No replica of specialists gives answers"
    )


async def test_an_old_word_counts_for_nothing_but_its_silence(database: Database, tmp_path: Path) -> None:
    async with fleet_house(tmp_path, database) as house:
        await tell(house)
        seconds = SILENT_AFTER.total_seconds() + 1
        sql(database, "UPDATE fleet_state SET at = at - make_interval(secs => %s)", seconds)
        watch = await look_at_fleet(house)
    assert watch.overview.servers == ()
    assert {seat.standing for seat in watch.overview.seats} == {Standing.UNKNOWN}
    assert "The process ward-host/4711 has fallen silent" in {finding.what for finding in watch.findings}


async def test_what_ended_processes_left_goes_with_the_next_word(database: Database, tmp_path: Path) -> None:
    async with fleet_house(tmp_path, database) as house:
        await tell(house, process="long-gone/1")
        sql(database, "UPDATE fleet_state SET at = at - %s", KEPT + timedelta(seconds=1))
        assert await load_states(house.store) == ()
        await tell(house, process="here/2")
        with psycopg.connect(conninfo(database.app_url)) as connection:
            kept = connection.execute("SELECT process FROM fleet_state").fetchall()
    assert kept == [("here/2",)]


async def test_whose_clock_is_wrong_does_not_matter(database: Database, tmp_path: Path) -> None:
    async with fleet_house(tmp_path, database) as house:
        state = a_busy_fleet()
        await tell(house, at=state.at + timedelta(days=400))
        assert isinstance(house.clock, ShiftableClock)
        house.clock.advance(timedelta(days=-3))
        (heard,) = (await look_at_fleet(house)).overview.processes
    assert not heard.silent
    assert heard.age < timedelta(seconds=10)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"null",
        b"\xff\xfe\x00",
        b'{"process":',
        b"[" * 5000,
        a_busy_fleet().to_json().replace(b'"half-open"', b'"ajar"'),
        a_busy_fleet().to_json().replace(b'"calls":2230', b'"calls":-1'),
        a_busy_fleet().to_json().replace(b'"calls":2230', b'"calls":1e999'),
        replace(a_busy_fleet(), process="somebody-else/1").to_json(),
        replace(a_busy_fleet(), began=a_busy_fleet().at).to_json(),
    ],
    ids=[
        "empty", "an empty object", "null", "no text", "half a document", "depth", "an unknown position",
        "a count below zero", "infinity", "another's name", "another's beginning",
    ],
)  # fmt: skip
async def test_a_row_that_is_no_state_is_told_as_such_and_hides_no_other(
    database: Database, tmp_path: Path, document: bytes
) -> None:
    async with fleet_house(tmp_path, database) as house:
        good, bad = replace(a_busy_fleet(), process="good/1"), a_busy_fleet()
        await tell_state(house.store, good.process, good.began, good.to_json())
        await tell_state(house.store, bad.process, bad.began, document)
        watch = await look_at_fleet(house)
    assert {each.process: each.state is None for each in watch.overview.processes} == {
        "good/1": False,
        "ward-host/4711": True,
    }
    assert "What the process ward-host/4711 tells cannot be read" in {each.what for each in watch.findings}
    assert [server.calls for server in watch.overview.servers] == [640, 2230]


async def test_a_name_that_nobody_checked_cannot_move_a_cursor(database: Database, tmp_path: Path) -> None:
    async with fleet_house(tmp_path, database) as house:
        await tell_state(house.store, "evil\x1b[2J\n\u202ename", a_busy_fleet().began, b"")
        watch = await look_at_fleet(house)
    assert [each.process for each in watch.overview.processes] == ["evil?[2J??name"]
    assert all(finding.what.isprintable() for finding in watch.findings)


@pytest.mark.parametrize(
    ("process", "document"), [("p" * 257, b"{}"), ("", b"{}"), ("p", b"x" * (1024 * 1024 + 1))]
)
async def test_the_database_takes_no_more_than_a_state_may_be(
    database: Database, tmp_path: Path, process: str, document: bytes
) -> None:
    async with fleet_house(tmp_path, database) as house:
        with pytest.raises(psycopg.errors.CheckViolation):
            await tell_state(house.store, process, a_busy_fleet().began, document)


async def test_of_very_many_processes_the_newest_are_read(database: Database, tmp_path: Path) -> None:
    async with fleet_house(tmp_path, database) as house:
        sql(
            database,
            "INSERT INTO fleet_state SELECT 'p/' || n, now(), now() - make_interval(secs => n), '{}' "
            "FROM generate_series(0, %s) AS n",
            READ_AT_MOST + 50,
        )
        told = await load_states(house.store)
    assert [each.process for each in told] == [f"p/{number}" for number in range(READ_AT_MOST)]


async def test_two_processes_of_one_name_do_not_overwrite_each_other(
    database: Database, tmp_path: Path
) -> None:
    async with fleet_house(tmp_path, database) as house:
        await tell(house)
        await tell(house, began=a_busy_fleet().began + timedelta(microseconds=1))
        watch = await look_at_fleet(house)
    assert [server.calls for server in watch.overview.servers] == [1280, 4460]


# --- canaries ----------------------------------------------------------------------------------------------------


async def test_the_canary_of_a_seat_stands_beside_it_and_one_that_moved_alarms(
    database: Database, tmp_path: Path
) -> None:
    async with fleet_house(tmp_path, database) as house:
        now = house.clock.now()

        def ran(
            member: str, kind: RunKind, hours: int, p: str | None = None, *, alarmed: bool = False
        ) -> RunRow:
            asked = None if kind is RunKind.NOT_ASKED else "a" * 64
            return RunRow(
                "deterioration", member, kind, None, now - timedelta(hours=hours), asked, asked, {},
                p, None if p is None else "0.001", alarmed, "",
            )  # fmt: skip

        for row in (
            ran("respiratory", RunKind.BASELINE, 80),
            ran("respiratory", RunKind.COMPARISON, 30, "0.000004", alarmed=True),
            ran("respiratory", RunKind.COMPARISON, 6, "0.8"),
            ran("circulation", RunKind.BASELINE, 6),
            ran("infection", RunKind.NOT_ASKED, 6),
        ):
            await add_run(house.store, row)
        watch = await look_at_fleet(house)
    shown = {seat.member: seat.canary for seat in watch.overview.seats}
    moved = shown["respiratory"]
    assert moved is not None
    assert (moved.result, moved.at, moved.p_value) == (CanaryResult.MOVED, now - timedelta(hours=30), None)
    assert [each.result for each in shown.values() if each is not None] == [
        CanaryResult.MOVED,
        CanaryResult.BASELINE,
        CanaryResult.NOT_ASKED,
    ]
    alarms = [each.what for each in watch.findings if each.level is Level.ALARM]
    assert "Model respiratory (deterioration) answers the canary cases otherwise than it did" in alarms


# --- real replicas -----------------------------------------------------------------------------------------------


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
