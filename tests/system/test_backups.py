"""Backups taken from a real installation by its own commands, and restored where the database was lost: whole, or not at all."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.cli.failing import Status
from arbiter.clock import SystemChance
from arbiter.errors import ErasedError, VerificationError
from arbiter.identity.accounts import create_account
from arbiter.identity.clients import authenticate_client
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.settings import Mode, Settings
from arbiter.store.age import X25519Identity
from arbiter.store.age.stream import CHUNK_BYTES
from arbiter.wiring import open_house, run_house
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.backups.backing_up import take_backup, verify_backup
from arbiter.workflow.backups.restoring import marked
from arbiter.workflow.erasure.clearing import clear_keys
from arbiter.workflow.erasure.erasing import Order, erase
from arbiter.workflow.reading import read_content
from tests.houses import PASSWORD
from tests.system.service import Service, a_service, run_arbiter
from tests.workflow.erasures import an_officer
from tests.workflow.post import a_case

pytestmark = pytest.mark.timeout(400)

SEALED_CHUNK = CHUNK_BYTES + 16
ADMINISTRATORS = ("ada", "bob")
NOBODYS_KEY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"


@dataclass(frozen=True)
class Lost:
    """An installation whose database is gone. Left are its data folder without it, and two backups.

    `old` was taken before `erased` was, with `checkpoint_then` kept; `new` after it.
    """

    data: Path
    token: str
    erased: CaseId
    other: CaseId
    old: Path
    new: Path
    key: Path
    checkpoint_then: bytes


def run(data: Path, *arguments: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    done = run_arbiter(data, *arguments, said=said, **more)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def succeed(data: Path, *arguments: str, said: str = "", **more: str) -> str:
    done = run(data, *arguments, said=said, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def lose(service: Service) -> Lost:
    """Live through a case, a backup, an erasure and another backup."""
    settings = service.settings.model_copy(update={"retention_days": 0})
    folder = service.data.parent
    old, new, key = folder / "old.age", folder / "new.age", folder / "key.txt"
    secret = X25519Identity(SystemChance().token(32))
    key.write_text(f"{secret}\n")
    key.chmod(0o600)
    async with open_house(settings) as house, run_house(house):
        client = await authenticate_client(house.identities, house.clock, service.token)
        erased = await a_case(house, client, "key-0")
        other = await a_case(house, client, "key-1", heart_rate=(Decimal(70), "/min"))
        await house.errands.finish(10)
        await house.sealer.request()
        for login in ADMINISTRATORS:
            await create_account(
                house.identities, house.clock, house.chance, login, login.title(), PASSWORD, [Role.ADMINISTRATOR],
                ["north"],
            )  # fmt: skip
        checkpoint_then = service.kept.read_bytes()
        await take_backup(house, old, secret.recipient, unheard)
        await erase(house, Order(await an_officer(house)), erased)
        assert await clear_keys(house) is None
        await house.sealer.request()
        await take_backup(house, new, secret.recipient, unheard)
    return Lost(service.data, service.token, erased, other, old, new, key, checkpoint_then)


def unheard(_what: str, _done: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def lost() -> Iterator[Lost]:
    with a_service() as service:
        yield asyncio.run(lose(service))


@pytest.fixture
def host(lost: Lost) -> Iterator[Path]:
    """The data folder on a host that has lost its database."""
    folder = Path(tempfile.mkdtemp(prefix="arb-"))
    data = folder / "data"
    shutil.copytree(
        lost.data, data, ignore=lambda _folder, names: [n for n in names if n.startswith("postgres")]
    )
    yield data
    shutil.rmtree(folder)


def restore(lost: Lost, data: Path, backup: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return run(data, "restore", str(backup), "--key-file", str(lost.key), *more)


def refused(done: subprocess.CompletedProcess[str], why: str) -> None:
    assert done.returncode == Status.FAILED, done.stdout + done.stderr
    assert why in done.stderr


async def readable(data: Path, token: str, case: CaseId) -> bool:
    """Whether the case's content can be read; the log verifies either way."""
    async with open_house(Settings(data=data, mode=Mode.DEMONSTRATION, secure_cookies=False)) as house:
        await house.sealer.round()
        await verify_log(house, (data / "checkpoint").read_bytes())
        client = await authenticate_client(house.identities, house.clock, token)
        try:
            await read_content(house, client, case)
        except ErasedError:
            return False
        return True


async def test_the_newest_backup_brings_everything_back_but_what_was_erased(lost: Lost, host: Path) -> None:
    done = restore(lost, host, lost.new)
    assert done.returncode == 0, done.stderr
    assert "restored and verified" in done.stdout
    assert await readable(host, lost.token, lost.other)
    assert not await readable(host, lost.token, lost.erased)
    refused(restore(lost, host, lost.new, "--behind"), "not empty")


async def test_a_case_erased_after_the_backup_is_erased_again_before_anybody_reads(
    lost: Lost, host: Path
) -> None:
    (host / "checkpoint").write_bytes(lost.checkpoint_then)
    done = restore(lost, host, lost.old)
    assert done.returncode == 0, done.stderr
    assert not await readable(host, lost.token, lost.erased)
    assert await readable(host, lost.token, lost.other)
    told = json.loads(succeed(host, "erase", "--status", "--json"))
    assert [(row["case"], row["state"]) for row in told] == [(lost.erased, "key destroyed")]
    assert told[0]["cleared"] is not None


async def test_a_backup_brought_back_without_its_list_is_what_it_was(lost: Lost, host: Path) -> None:
    """Why the list lies beside the checkpoint, and copies of both elsewhere: the backup alone knows no better."""
    (host / "checkpoint").write_bytes(lost.checkpoint_then)
    (host / "erasures").unlink()
    assert restore(lost, host, lost.old).returncode == 0
    assert await readable(host, lost.token, lost.erased)


async def test_a_host_that_lost_all_but_its_keys_takes_checkpoint_and_list_from_the_backup(
    lost: Lost, host: Path
) -> None:
    for name in ("checkpoint", "erasures", "backups"):
        (host / name).unlink()
    done = restore(lost, host, lost.new)
    assert done.returncode == 0, done.stderr
    assert (host / "checkpoint").exists()
    assert not await readable(host, lost.token, lost.erased)


def test_a_backup_behind_the_kept_checkpoint_is_refused_before_anything_is_touched(
    lost: Lost, host: Path
) -> None:
    refused(restore(lost, host, lost.old), "arbiter audit recover")
    assert not (host / "postgres").exists()


def test_knowing_that_it_is_behind_it_is_restored_and_nothing_starts(lost: Lost, host: Path) -> None:
    done = restore(lost, host, lost.old, "--behind")
    assert done.returncode == 0, done.stderr
    assert "arbiter audit recover" in done.stderr
    refused(run(host, "erase", "--status"), "rolled back or is another one")
    refused(run(host, "audit", "verify"), "the kept checkpoint")


async def test_after_a_loss_and_a_recovery_what_was_erased_is_still_unreadable(
    lost: Lost, host: Path
) -> None:
    """The whole way of the day: the database is gone, the newest backup is from before the erasure, two persons recover."""
    assert restore(lost, host, lost.old, "--behind").returncode == 0
    reason = ("--reason", "the disk is gone and the newest backup is older")
    done = run(
        host,
        "audit",
        "recover",
        *ADMINISTRATORS,
        *reason,
        "--passwords-stdin",
        said=f"{PASSWORD}\n{PASSWORD}\n",
    )
    assert done.returncode == 0, done.stderr
    assert not await readable(host, lost.token, lost.erased)
    assert await readable(host, lost.token, lost.other)


def test_an_edited_list_of_erasures_lets_no_backup_in(lost: Lost, host: Path) -> None:
    lines = (host / "erasures").read_bytes().splitlines(keepends=True)
    (host / "erasures").write_bytes(b"".join([lines[0], *lines[2:]]))
    refused(restore(lost, host, lost.new), "list of erasures")
    assert not (host / "restoring").exists()
    # Emptied again: with the list as it was, the same command does it.
    (host / "erasures").write_bytes(b"".join(lines))
    assert restore(lost, host, lost.new).returncode == 0


def test_a_crash_in_the_midst_lets_nobody_in(lost: Lost, host: Path) -> None:
    assert restore(lost, host, lost.new).returncode == 0
    (host / "restoring").touch()
    refused(run(host, "audit", "verify"), "a restore has not ended")
    # Nor does a restore that is refused for what the first one left there.
    refused(restore(lost, host, lost.new, "--behind"), "not empty")
    refused(run(host, "audit", "verify"), "a restore has not ended")


def test_of_two_restores_at_once_one_is_refused(lost: Lost, host: Path) -> None:
    """It would fail on what the other has put in, and take that out again."""
    with marked(host):
        refused(restore(lost, host, lost.new), "another restore is under way")
    assert not (host / "postgres").exists()
    refused(run(host, "audit", "verify"), "a restore has not ended")
    assert restore(lost, host, lost.new).returncode == 0
    succeed(host, "audit", "verify")


def test_another_key_opens_nothing(lost: Lost, host: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(NOBODYS_KEY)
    wrong.chmod(0o600)
    refused(
        run(host, "restore", str(lost.new), "--key-file", str(wrong)),
        "does not open with this passphrase or key",
    )
    assert not (host / "postgres").exists()


def test_a_key_file_that_others_may_read_is_refused(lost: Lost, host: Path, tmp_path: Path) -> None:
    shown = tmp_path / "key.txt"
    shutil.copy(lost.key, shown)
    shown.chmod(0o644)
    assert run(host, "restore", str(lost.new), "--key-file", str(shown)).returncode == Status.USAGE


def test_making_a_key_takes_no_file_for_a_backup(host: Path, tmp_path: Path) -> None:
    done = run(host, "backup", str(tmp_path / "to.age"), "--new-key", str(tmp_path / "key.txt"))
    assert done.returncode == Status.USAGE
    assert "--new-key alone" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_is_no_text_is_refused_in_words(lost: Lost, host: Path, tmp_path: Path) -> None:
    other = tmp_path / "key.txt"
    other.write_bytes(b"\xff\xfe\x00")
    other.chmod(0o600)
    done = run(host, "restore", str(lost.new), "--key-file", str(other))
    assert done.returncode == Status.USAGE
    assert "is no text" in done.stderr
    assert "Traceback" not in done.stderr


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def chunks_of(content: bytes) -> tuple[bytes, list[bytes]]:
    """A backup's header with its nonce, and its sealed chunks."""
    head = content.index(b"\n--- ") + len(b"\n--- ") + 43 + 1 + 16
    body = content[head:]
    return content[:head], [body[at : at + SEALED_CHUNK] for at in range(0, len(body), SEALED_CHUNK)]


def swapped(content: bytes) -> bytes:
    head, chunks = chunks_of(content)
    assert len(chunks) > 2, "too small a backup to swap its chunks"
    return head + b"".join([chunks[1], chunks[0], *chunks[2:]])


def repeated(content: bytes) -> bytes:
    head, chunks = chunks_of(content)
    return head + b"".join([chunks[0], *chunks])


def without_one(content: bytes) -> bytes:
    head, chunks = chunks_of(content)
    return head + b"".join(chunks[1:])


def cut_at_a_chunk(content: bytes) -> bytes:
    head, chunks = chunks_of(content)
    return head + b"".join(chunks[:-1])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut by a byte": lambda content: content[:-1],
    "cut in half": lambda content: content[: len(content) // 2],
    "cut between chunks": cut_at_a_chunk,
    "empty": lambda _content: b"",
    "a bit of the end flipped": lambda content: flipped(content, len(content) - 1),
    "a bit of the middle flipped": lambda content: flipped(content, len(content) // 2),
    "a bit of the header flipped": lambda content: flipped(content, 60),
    "chunks swapped": swapped,
    "a chunk twice": repeated,
    "a chunk left out": without_one,
    "something behind it": lambda content: content + b"\0",
    "no backup at all": lambda _content: b"not a backup\n" * 100,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused(lost: Lost, tmp_path: Path, damage: str) -> None:
    spoilt = tmp_path / "spoilt.age"
    spoilt.write_bytes(DAMAGES[damage](lost.new.read_bytes()))
    with pytest.raises(VerificationError):
        verify_backup(spoilt, X25519Identity.parse(lost.key.read_text()), unheard)


def test_a_damaged_backup_is_refused_before_anything_is_touched(
    lost: Lost, host: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.age"
    spoilt.write_bytes(cut_at_a_chunk(lost.new.read_bytes()))
    refused(restore(lost, host, spoilt), "the file is cut")
    assert not (host / "postgres").exists()
    assert not (host / "restoring").exists()


def test_a_passphrase_opens_what_it_closed_and_no_other_does(lost: Lost, host: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("seven words that nobody would ever guess\n")
    words.chmod(0o600)
    backup = tmp_path / "by-words.age"
    succeed(lost.data, "backup", str(backup), "--passphrase-file", str(words))
    assert run(lost.data, "backup", str(backup), "--passphrase-file", str(words)).returncode == Status.FAILED
    words.write_text("seven words that somebody else would guess\n")
    refused(
        run(host, "restore", str(backup), "--passphrase-file", str(words)),
        "does not open with this passphrase",
    )
    words.write_text("short\n")
    refused(run(host, "restore", str(backup), "--passphrase-file", str(words)), "20 characters or more")
    words.write_text("seven words that nobody would ever guess\n")
    done = run(host, "restore", str(backup), "--passphrase-file", str(words))
    assert done.returncode == 0, done.stderr


def test_the_catalogue_knows_every_backup_and_no_key_is_in_one(lost: Lost) -> None:
    told = json.loads(succeed(lost.data, "backup", "--list", "--json"))
    assert [row["file"] for row in told[:2]] == [str(lost.old), str(lost.new)]
    assert all(row["whole"] and row["size"] == Path(row["file"]).stat().st_size for row in told[:2])
    assert told[0]["sealed entries"] < told[1]["sealed entries"]
