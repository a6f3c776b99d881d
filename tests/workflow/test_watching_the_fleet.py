"""Who may see the fleet, what processes tell of it, and what becomes of what they told: on a real database."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from arbiter.store.canaries import RunKind, RunRow, add_run
from arbiter.store.database import Database, conninfo
from arbiter.store.fleet_states import KEPT, READ_AT_MOST, load_states, tell_state
from arbiter.workflow.fleet_watch import look_at_fleet, tell_fleet, watch_fleet
from arbiter.workflow.house import House
from tests.fleet.states import a_busy_fleet, a_replica, a_server, breaker
from tests.houses import ShiftableClock, a_house
from tests.workflow.watched_replicas import fleet_house, seen_when


def someone(*roles: Role) -> Principal:
    permissions = frozenset().union(*(ROLES[role] for role in roles))
    return Principal(
        ActorId("a-1"), "account", "Someone", frozenset(roles), frozenset(), permissions, frozenset()
    )


def sql(database: Database, statement: str, *values: Any) -> None:
    with psycopg.connect(conninfo(database.app_url), autocommit=True) as connection:
        connection.execute(statement.encode(), values)


async def tell(house: House, **changes: Any) -> None:
    state = replace(a_busy_fleet(), **changes)
    await tell_state(house.store, state.process, state.began, state.to_json())


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
