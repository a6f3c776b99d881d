"""What `arbiter doctor` says of the keys, one state at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from arbiter.cli.doctor import database_checks, key_checks, machine_checks
from arbiter.cli.doctor.findings import Finding
from arbiter.clock import SystemChance
from arbiter.model import ActorId
from arbiter.settings import Settings
from arbiter.store.database import Database
from arbiter.store.keys import KeyFolder, init_keys, log_file, new_pair_text
from arbiter.store.keys.lock import Cost
from arbiter.workflow.log.rotating_kek import rotate_kek
from arbiter.workflow.log.rotating_log_key import begin_rotation
from tests.houses import a_house
from tests.workflow.test_kek_rotation import fill, quiet

ORIGIN = "log.hospital.example/arbiter"
PASSPHRASE = "correct horse battery staple"
WHO = ActorId("operator:carla")


@pytest.fixture(autouse=True)
def _nobody_was_asked() -> Iterator[None]:
    key_checks._passphrase.cache_clear()
    yield
    key_checks._passphrase.cache_clear()


def keys(folder: Path, passphrase_file: Path | None = None) -> dict[str, Finding]:
    settings = Settings(data=folder, keys_passphrase_file=passphrase_file)
    return {finding.check: finding for finding in machine_checks.keys(settings)}


async def in_database(folder: Path, database: Database) -> dict[str, Finding]:
    settings = Settings(data=folder, database_url=database.app_url)
    return {finding.check: finding async for finding in database_checks.database(settings)}


def test_encrypted_keys_are_well(tmp_path: Path) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance(), PASSPHRASE, cost=Cost(19 * 1024, 1, 1))
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    found = keys(tmp_path, file)
    assert (found["key files"].state, found["log key"].state) == ("ok", "ok")


def test_a_passphrase_that_cannot_be_had_is_told_with_the_setting(tmp_path: Path) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance(), PASSPHRASE, cost=Cost(19 * 1024, 1, 1))
    found = keys(tmp_path)["keys"]
    assert found.state == "fail"
    assert "ARBITER_KEYS_PASSPHRASE_FILE" in found.found


def test_unencrypted_keys_are_told(tmp_path: Path) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance())
    found = keys(tmp_path)["key files"]
    assert (found.state, "not encrypted" in found.found) == ("warn", True)
    assert "arbiter keys passphrase" in found.advice


def test_a_rotation_that_was_not_entered_is_told(tmp_path: Path) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance())
    KeyFolder.open(tmp_path).add(log_file(2), new_pair_text(ORIGIN, SystemChance()), pending=True)
    found = keys(tmp_path)["log key"]
    assert (found.state, "did not enter it" in found.found) == ("warn", True)


def test_a_log_without_a_second_key_is_told(tmp_path: Path) -> None:
    init_keys(tmp_path, ORIGIN, SystemChance())
    path = tmp_path / "keys" / "log.key"
    path.write_text(path.read_text().splitlines()[1] + "\n")
    (tmp_path / "keys" / "log.pub").unlink()
    found = keys(tmp_path)["log key"]
    assert (found.state, "no ML-DSA-44 key" in found.found) == ("warn", True)


async def test_an_overlap_and_an_unfinished_wrapping_are_told(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 2)
        assert (await in_database(tmp_path, database))["key encryption"].state == "ok"
        await begin_rotation(house, WHO)
        await rotate_kek(house, WHO, quiet, key_only=True)
    overlap = keys(tmp_path)["log key"]
    assert (overlap.state, "--finish" in overlap.advice) == ("warn", True)
    found = await in_database(tmp_path, database)
    assert found["key rotation"].state == "ok"
    assert (found["key encryption"].state, found["key encryption"].found[:6]) == ("warn", "2 of 2")


async def test_a_host_that_lacks_a_rotation_or_a_key_is_told(tmp_path: Path, database: Database) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        await fill(house, 2)
        await rotate_kek(house, WHO, quiet)
        before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
        await begin_rotation(house, WHO)
    for path in (tmp_path / "keys").iterdir():
        if path.name not in before:
            path.unlink()
    (tmp_path / "keys" / "kek-2.key").unlink()
    found = await in_database(tmp_path, database)
    assert (found["key rotation"].state, "copy the folder" in found["key rotation"].advice) == ("warn", True)
    assert (found["key encryption"].state, "kek-2" in found["key encryption"].found) == ("fail", True)
