"""A log that an insider changed is refused by the command line, at a start, and before anything is sealed on it."""

from __future__ import annotations

import subprocess

import pytest

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.note import Ed25519NoteSigner
from arbiter.errors import ConfigurationError, LogUnfitError
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from tests.houses import a_client, a_house, submission
from tests.system.service import run_arbiter
from tests.workflow.tampered import (
    ENTRY_OF_LEAF,
    FLIP,
    Sealed,
    cut_to_an_earlier_checkpoint,
    rewrite_last_entry_with_the_key,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_command_line_refuses_a_changed_log_with_status_1_and_the_place(sealed: Sealed) -> None:
    sealed.change(f"UPDATE entry SET body = {FLIP.format('body')} WHERE id = {ENTRY_OF_LEAF}", 41)
    done = audit_verify(sealed)
    assert done.returncode == 1
    assert "entry 41: its bytes do not hash to the stored leaf hash" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_command_line_refuses_a_database_behind_the_kept_checkpoint(sealed: Sealed) -> None:
    size = cut_to_an_earlier_checkpoint(sealed)
    done = audit_verify(sealed)
    assert done.returncode == 1
    assert f"the log ends at size {size}, the kept checkpoint has size {sealed.size}" in done.stderr


async def test_the_command_line_does_not_verify_without_the_kept_checkpoint(sealed: Sealed) -> None:
    (sealed.folder / "checkpoint").unlink()
    done = audit_verify(sealed)
    assert done.returncode == 1
    assert "verify among themselves, and" in done.stderr


async def test_a_house_does_not_open_on_a_database_behind_the_kept_checkpoint(sealed: Sealed) -> None:
    cut_to_an_earlier_checkpoint(sealed)
    with pytest.raises(ConfigurationError, match="rolled back or is another one; restore a newer copy"):
        await open_again(sealed)


async def test_a_house_does_not_open_on_an_empty_database_with_a_kept_checkpoint(sealed: Sealed) -> None:
    for table in ("checkpoint", "sealed_run", "entry"):
        sealed.change(f"DELETE FROM {table}")
    with pytest.raises(ConfigurationError, match="has 0 sealed entries"):
        await open_again(sealed)


async def test_a_house_does_not_open_without_the_kept_checkpoint_of_its_log(sealed: Sealed) -> None:
    (sealed.folder / "checkpoint").unlink()
    with pytest.raises(ConfigurationError, match="is missing; restore that file"):
        await open_again(sealed)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"arbiter\n3\n", b"x" * 300])
async def test_a_house_does_not_open_with_a_garbled_kept_checkpoint(sealed: Sealed, garbage: bytes) -> None:
    (sealed.folder / "checkpoint").write_bytes(garbage)
    with pytest.raises(ConfigurationError, match="is not one that this log signed"):
        await open_again(sealed)


async def test_a_house_does_not_open_with_a_kept_checkpoint_of_another_key(sealed: Sealed) -> None:
    stranger = Ed25519NoteSigner("log.hospital.example/arbiter", bytes(32))
    note = sign_checkpoint(Checkpoint(stranger.name, 1, bytes(32)), [stranger])
    (sealed.folder / "checkpoint").write_bytes(note)
    with pytest.raises(ConfigurationError, match="is not one that this log signed"):
        await open_again(sealed)


async def test_a_house_does_not_open_on_a_log_of_the_kept_size_and_another_root(sealed: Sealed) -> None:
    rewrite_last_entry_with_the_key(sealed)
    with pytest.raises(ConfigurationError, match="different roots"):
        await open_again(sealed)


async def test_a_sealer_does_not_sign_on_top_of_a_changed_tree(sealed: Sealed) -> None:
    async with a_house(sealed.folder, sealed.database, running=False) as house:
        client, _ = await a_client(house, "late system")
        await submit(house, client, submission(house.clock.now()), "late", b"body")
        await settle_unsealed(house)
        sealed.change(f"UPDATE sealed_run SET hashes = {FLIP.format('hashes')} WHERE start = 3")
        with pytest.raises(LogUnfitError, match="does not have the root of its checkpoint"):
            await house.sealer.round()
    with pytest.raises(ConfigurationError, match="does not have the root of its checkpoint"):
        await open_again(sealed)


async def open_again(sealed: Sealed) -> None:
    async with a_house(sealed.folder, sealed.database, running=False):
        raise AssertionError("the house opened")


async def settle_unsealed(house: House) -> None:
    await house.errands.finish(10)


def audit_verify(sealed: Sealed) -> subprocess.CompletedProcess[str]:
    return run_arbiter(sealed.folder, "audit", "verify", ARBITER_DATABASE_URL=sealed.database.app_url)
