"""`arbiter doctor`: beside a running service, with it stopped, and on installations that are not fit in one way each."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic_settings import BaseSettings

from arbiter.cli.doctor import database_checks, machine_checks
from arbiter.cli.doctor.checks import examine
from arbiter.cli.doctor.findings import Finding
from arbiter.cli.failing import Status
from arbiter.clock import SystemChance
from arbiter.settings import Settings
from arbiter.store.database import Database, conninfo
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.keys import init_keys
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.cli.conftest import run_process
from tests.houses import a_client, a_house, settle, submission
from tests.system.service import Service, case_body, run_arbiter

HEALTHY = {
    "settings", "protocol deterioration", "keys", "kept checkpoint", "file modes", "disk space", "fsync", "clock", "database",
    "durability", "database clock", "schema", "log rights", "log", "pending entries",
}  # fmt: skip


def by_check(text: str) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in json.loads(text)}


def states(found: dict[str, dict[str, str]]) -> dict[str, str]:
    # Whether the test machine's clock is synchronised and its disk is roomy is not the test's to say.
    return {name: f["state"] for name, f in found.items() if name not in {"clock", "disk space", "fsync"}}


# --- the command --------------------------------------------------------------------------------------------------


async def test_beside_a_running_service_all_is_well_and_the_service_goes_on(service: Service) -> None:
    async with service.door() as door:
        await door.post(
            "/v1/cases", json=case_body(), headers={"Idempotency-Key": "doctor", "Prefer": "wait=20"}
        )
    pid = service.database.postmaster_pid()
    done = run_process(service.data, {}, "doctor", "--json")
    found = by_check(done.stdout)
    assert done.returncode == Status.DONE, done.stdout
    assert set(found) >= HEALTHY
    assert found.pop("key files")["state"] == "warn", "made without a passphrase"
    assert found.pop("canary")["state"] == "warn", "nobody asks its seats at night"
    assert set(states(found).values()) == {"ok"}
    assert service.alive
    assert service.database.postmaster_pid() == pid
    assert int(found["log"]["found"].split()[0]) > 0


def test_with_the_service_stopped_it_looks_and_leaves_the_database_as_it_was() -> None:
    folder = Path(tempfile.mkdtemp(prefix="arb-"))
    database = EmbeddedPostgres(folder)
    try:
        init_keys(folder, "log.hospital.example/arbiter", SystemChance())
        assert run_arbiter(folder, "sites", "add", "north", "North").returncode == 0
        assert run_arbiter(folder, "clients", "list").returncode == 0
        assert database.postmaster_pid() is None
        done = run_process(folder, {}, "doctor", "--json")
        assert done.returncode == Status.DONE, done.stdout
        stood = states(by_check(done.stdout))
        assert stood.pop("key files") == "warn", "made without a passphrase"
        assert stood.pop("canary") == "warn", "its first night has not come"
        assert set(stood.values()) == {"ok"}
        assert database.postmaster_pid() is None
        kept = (folder / "checkpoint").read_bytes()
        (folder / "checkpoint").unlink()
        found = by_check(run_process(folder, {}, "doctor", "--json").stdout)
        assert found["kept checkpoint"]["state"] == "warn"
        assert not (folder / "checkpoint").exists(), "looking made a checkpoint"
        (folder / "checkpoint").write_bytes(kept + b"x")
        done = run_process(folder, {}, "doctor", "--json")
        assert done.returncode == Status.FAILED
        assert by_check(done.stdout)["log"]["state"] == "fail"
    finally:
        database.stop()
        shutil.rmtree(folder)


def test_what_others_may_open_is_named_with_its_mode_and_the_right_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    init_keys(data, "log.hospital.example/arbiter", SystemChance())
    (data / "arbiter.log").write_text("careless")
    (data / "arbiter.log").chmod(0o644)
    settings = Settings(data=data)
    (found,) = machine_checks.modes(settings)
    assert (found.state, found.found) == ("warn", f"{data / 'arbiter.log'} has mode 0644, expected 0600")
    assert found.advice == f"`chmod 0600 {data / 'arbiter.log'}`, and so on"
    data.chmod(0o705)
    (found,) = machine_checks.modes(settings)
    assert found.state == "fail"
    assert f"{data} has mode 0705, expected 0700" in found.found
    assert "they may have read" in found.advice
    data.chmod(0o700)
    (data / "arbiter.log").chmod(0o600)
    (found,) = machine_checks.modes(settings)
    assert found.state == "ok"
    (found,) = machine_checks.modes(Settings(data=tmp_path / "nowhere"))
    assert found.state == "fail"


def test_a_person_gets_a_table_with_what_to_do(tmp_path: Path) -> None:
    done = run_process(tmp_path, {"COLUMNS": "250"}, "doctor")
    assert done.returncode == Status.FAILED
    assert "arbiter keys init ORIGIN" in done.stdout
    assert "fail" in done.stdout.splitlines()[-1]
    assert not (tmp_path / "postgres").exists(), "looking made a database"


def test_a_misspelt_setting_is_the_only_thing_told(tmp_path: Path) -> None:
    done = run_process(tmp_path, {"ARBITER_PORTS": "9"}, "doctor", "--json")
    assert done.returncode == Status.FAILED
    found = by_check(done.stdout)
    assert list(found) == ["settings"]
    assert "did you mean ARBITER_PORT?" in found["settings"]["found"]


# --- what can be wrong, one at a time -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    init_keys(data, "log.hospital.example/arbiter", SystemChance())
    return data


@pytest.fixture
async def sealed(folder: Path, database: Database) -> House:
    """A house on a server, closed again, whose log holds a case."""
    async with a_house(folder, database) as house:
        principal, _ = await a_client(house)
        await submit(house, principal, submission(house.clock.now()), "key", b"{}")
        await settle(house)
    return house


async def looked(folder: Path, url: str) -> dict[str, Finding]:
    settings = Settings(data=folder, database_url=url)
    return {finding.check: finding async for finding in database_checks.database(settings)}


@contextlib.contextmanager
def insider(database: Database) -> Iterator[psycopg.Connection]:
    assert database.owner_url is not None
    with psycopg.connect(conninfo(database.owner_url), autocommit=True) as connection:
        for table in ("entry", "sealed_run", "tree_node", "checkpoint"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        yield connection


async def test_a_fit_server_passes(folder: Path, database: Database, sealed: House) -> None:
    found = await looked(folder, database.app_url)
    assert found["canary"].state == "warn", "its first night has not come"
    assert found["calibration"].state == "warn", "what a generator invented counts in a demonstration alone"
    looked_into = {"durability", "canary", "calibration"}
    fit = {name: finding.state for name, finding in found.items() if name not in looked_into}
    assert set(fit.values()) == {"ok"}, found
    # The test session's server runs without fsync, which must not pass.
    assert found["durability"].state == "fail"
    assert "fsync" in found["durability"].found
    assert {"log", "pending entries", "log rights"} <= set(found)


async def test_a_role_that_may_change_the_log_is_told(
    folder: Path, database: Database, sealed: House
) -> None:
    found = await looked(folder, str(database.owner_url))
    assert found["log rights"].state == "fail"
    assert "entry" in found["log rights"].found


async def test_a_database_without_our_schema_is_told(folder: Path, empty_database: Database) -> None:
    found = await looked(folder, empty_database.app_url)
    assert found["schema"].state == "fail"
    assert "arbiter migrate" in found["schema"].advice
    assert "log" not in found


async def test_a_server_that_does_not_answer_is_told_without_its_password(folder: Path) -> None:
    found = await looked(folder, "postgresql://app:s3cret@127.0.0.1:9/arbiter")
    assert list(found) == ["database"]
    assert found["database"].state == "fail"
    assert "s3cret" not in str(found)


async def log_of(folder: Path, database: Database) -> Finding:
    found = [finding async for finding in database_checks._log(Settings(data=folder), database.app_url)]
    return found[0]


TAMPERING = {
    "entry changed": "UPDATE entry SET body = body || '\\x20'::bytea WHERE id = (SELECT max(upper(ids)) - 1 FROM sealed_run)",
    "entry gone": "DELETE FROM sealed_run WHERE start = (SELECT max(start) FROM sealed_run)",
    "leaf rehashed": "UPDATE sealed_run SET hashes = overlay(hashes PLACING sha256('x'::bytea) FROM 1) WHERE start = 0",
    "root changed": "UPDATE checkpoint SET root = sha256('x'::bytea) WHERE size = (SELECT max(size) FROM checkpoint)",
    "rolled back": "DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)",
    "emptied": "DELETE FROM checkpoint",
}


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING)
async def test_a_log_that_was_changed_is_told(
    folder: Path, database: Database, sealed: House, statement: str
) -> None:
    assert (await log_of(folder, database)).state == "ok"
    with insider(database) as connection:
        assert connection.execute(statement.encode()).rowcount > 0
    found = await log_of(folder, database)
    assert found.state == "fail", found
    assert "arbiter audit verify" in found.advice


async def test_a_sealed_log_without_its_kept_checkpoint_is_told(
    folder: Path, database: Database, sealed: House
) -> None:
    (folder / "checkpoint").unlink()
    found = await log_of(folder, database)
    assert (found.state, "restore" in found.advice) == ("fail", True)


async def test_entries_that_nobody_seals_are_told(folder: Path, database: Database, sealed: House) -> None:
    with insider(database) as connection:
        connection.execute(
            "INSERT INTO pending (entry_id, queued_at) SELECT max(id), now() - interval '1 minute' FROM entry"
        )
    found = await looked(folder, database.app_url)
    assert found["pending entries"].state == "warn"
    assert "arbiter worker" in found["pending entries"].advice


def checked(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(
    ("name", "mode"), [("keys", 0o755), ("keys/log.key", 0o644), ("keys/kek-1.key", 0o640)], ids=str
)
def test_keys_that_others_may_read_are_told(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    found = checked(machine_checks.keys(Settings(data=folder)))
    assert found["keys"].state == "fail"
    assert f"{mode:04o}" in found["keys"].found


def test_the_keys_of_another_log_are_told(folder: Path) -> None:
    found = checked(machine_checks.keys(Settings(data=folder, origin="log.other.example/arbiter")))
    assert found["keys"].state == "fail"


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10 * 1024**2, "fail"), (1024**3, "warn"), (50 * 1024**3, "ok")):
        usage = shutil._ntuple_diskusage(100 * 1024**3, 0, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert checked(machine_checks.disk(Settings(data=folder)))["disk space"].state == state


def test_a_data_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = checked(machine_checks.disk(Settings(data=tmp_path / "nothing")))
    assert found["disk"].state == "fail"


# --- the embedded database is left alone where starting it would do harm -------------------------------------------


@pytest.fixture
def embedded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that looks as if it held a database; starting it fails the test."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("18\n")

    def started(_: EmbeddedPostgres) -> None:
        pytest.fail("the database was started")

    monkeypatch.setattr(EmbeddedPostgres, "start", started)
    return folder


async def embedded_found(folder: Path) -> Finding:
    found = [finding async for finding in database_checks.database(Settings(data=folder))]
    assert len(found) == 1
    return found[0]


async def test_a_database_that_another_process_is_starting_is_left_alone(embedded: Path) -> None:
    with (embedded / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = await embedded_found(embedded)
    assert found.state == "warn"
    assert "another process" in found.found


async def test_a_database_that_runs_and_does_not_answer_is_left_alone(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedPostgres, "postmaster_pid", lambda _: os.getpid())
    found = await embedded_found(embedded)
    assert found.state == "fail"
    assert "does not answer" in found.found


async def test_somebody_elses_data_folder_is_left_alone(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: embedded.stat().st_uid + 1)
    found = await embedded_found(embedded)
    assert found.state == "fail"
    assert "as the user that runs" in found.advice


# --- what the settings name elsewhere -----------------------------------------------------------------------------


class Elsewhere(BaseSettings):
    """Settings as a release with model servers and mail has them."""

    database_url: str = "postgresql://db.hospital.example/arbiter"
    name: str = "not an address"
    model_urls: tuple[str, ...] = ()
    mail_url: str | None = None


@pytest.fixture
async def listening() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_what_the_settings_name_elsewhere_is_tried(listening: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = probe.getsockname()[1]
    settings = Elsewhere(
        model_urls=(f"http://127.0.0.1:{listening}/v1", f"http://127.0.0.1:{closed}/v1"),
        mail_url="smtp://user:s3cret@:25",
    )
    found = [finding async for finding in machine_checks.endpoints(settings)]
    assert [(finding.check, finding.state) for finding in found] == [
        ("ARBITER_MODEL_URLS", "ok"),
        ("ARBITER_MODEL_URLS", "fail"),
        ("ARBITER_MAIL_URL", "fail"),
    ]
    assert "s3cret" not in str(found)


async def test_a_whole_look_at_an_empty_folder_ends_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("ARBITER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ARBITER_DATA", str(tmp_path))
    found = {finding.check: finding.state for finding in await examine()}
    assert found["keys"] == "fail"
    assert found["database"] == "warn"
    assert list(tmp_path.iterdir()) == []
