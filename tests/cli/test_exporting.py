"""`arbiter audit export` and `verify-export`, each a process of its own on one installation."""

from __future__ import annotations

import json
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.cli.failing import Status
from arbiter.identity.accounts import create_account
from arbiter.identity.roles import Role
from arbiter.model import ActorId
from arbiter.store.database import Database
from arbiter.store.house_chain import HOUSE_CHAIN
from arbiter.store.log.chains import load_entries
from arbiter.workflow.log.chronicle import note_in_house
from tests.cli.conftest import Arbiter, run_process
from tests.houses import SITE, a_house

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Installation:
    """A data folder with keys, on a database, with two auditors and a reviewer."""

    data: Path
    database: Database

    def run(self, *arguments: str, said: str = f"{PASSWORD}\n") -> subprocess.CompletedProcess[str]:
        environ = {"ARBITER_DATABASE_URL": self.database.app_url, "ARBITER_MODE": "demonstration"}
        return run_process(self.data, environ, *arguments, said=said)


@pytest_asyncio.fixture
async def installed(tmp_path: Path, database: Database) -> Installation:
    made = Installation(tmp_path / "data", database)
    async with a_house(made.data, database, running=False) as house:
        await note_in_house(house, house.store, "house.tried", ActorId("operator"), {})
        for login, roles in (
            ("ben", {Role.AUDITOR}),
            ("dora", {Role.AUDITOR, Role.DISCLOSURE}),
            ("rita", {Role.REVIEWER}),
        ):
            await create_account(
                house.identities, house.clock, house.chance, login, login.title(), PASSWORD, roles, [SITE]
            )
    return made


async def test_an_auditor_exports_and_anybody_verifies(installed: Installation, tmp_path: Path) -> None:
    file = tmp_path / "log.zip"
    done = installed.run("audit", "export", str(file), "--as", "ben", "--password-stdin", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["entries"] >= 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with a_house(installed.data, installed.database, running=False) as house:
        key = house.signer.verifier_key
        async with house.store.read() as transaction:
            entries = await load_entries(transaction, HOUSE_CHAIN)
    assert b'"type":"log.exported"' in entries[told["house_entry"]][1]
    assert entries[told["house_entry"]][2] is not None, "the entry is sealed before the command ends"
    verified = installed.run("audit", "verify-export", str(file), "--key", key)
    assert verified.returncode == 0, verified.stdout
    assert "keys: those that were given" in verified.stdout
    published = tmp_path / "hospital-log.keys"
    published.write_text(installed.run("keys", "export-public").stdout)
    followed = installed.run("audit", "verify-export", str(file), "--keys", str(published))
    assert followed.returncode == 0, followed.stdout
    assert followed.stdout.splitlines()[-1].startswith("VERIFIED: ")
    alone = installed.run("audit", "verify-export", str(file), "--json")
    assert (alone.returncode, json.loads(alone.stdout)["verified"]) == (Status.UNPROVEN, False)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    spoilt = installed.run("audit", "verify-export", str(file), "--key", key)
    assert (spoilt.returncode, spoilt.stdout.splitlines()[0]) == (1, "REFUSED:")


def test_who_may_not_gets_no_file(installed: Installation, tmp_path: Path) -> None:
    file = tmp_path / "log.zip"
    for arguments, said, word in (
        (("--as", "rita"), f"{PASSWORD}\n", "lacks the permission audit:read"),
        (("--as", "ben", "--payloads"), f"{PASSWORD}\n", "lacks the permission audit:payloads"),
        (("--as", "dora", "--payloads", "--case", "c_nobody"), f"{PASSWORD}\n", "no case c_nobody"),
        (("--as", "ben"), "wrong password\n", "login or password is wrong"),
        (("--as", "ben", "--site", "south"), f"{PASSWORD}\n", "no site south"),
    ):
        done = installed.run("audit", "export", str(file), *arguments, "--password-stdin", said=said)
        assert done.returncode == 1, done.stdout
        assert word in done.stderr
        assert list(tmp_path.glob("log.zip*")) == []


def test_what_another_export_is_writing_is_let_be(installed: Installation, tmp_path: Path) -> None:
    file, part = tmp_path / "log.zip", tmp_path / "log.zip.part"
    part.write_bytes(b"half of another's")
    done = installed.run("audit", "export", str(file), "--as", "ben", "--password-stdin")
    assert done.returncode == Status.USAGE, done.stderr
    assert str(part) in done.stderr
    assert part.read_bytes() == b"half of another's"
    part.unlink()
    assert installed.run("audit", "export", str(file), "--as", "ben", "--password-stdin").returncode == 0
    assert file.exists()
    assert not part.exists()


def test_a_file_that_is_there_is_not_written_over(arbiter: Arbiter, tmp_path: Path) -> None:
    file = tmp_path / "log.zip"
    file.write_text("mine")
    ended = arbiter("audit", "export", str(file), "--as", "ben")
    assert ended.status == Status.USAGE
    assert "is: name another" in ended.err
    assert file.read_text() == "mine"


def test_times_are_read_as_the_timeline_reads_them_before_a_password_is_asked_for(
    arbiter: Arbiter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARBITER_TIME_ZONE", "America/New_York")
    export = ("audit", "export", str(tmp_path / "log.zip"), "--as", "ben")
    ended = arbiter(*export, "--since", "last week")
    assert ended.status == Status.USAGE
    assert "--since: expected a time such as" in ended.err
    # The day begins at 05:00 UTC there.
    ended = arbiter(*export, "--since", "2026-03-01", "--until", "2026-03-01T05:00Z")
    assert ended.status != Status.DONE
    assert "expected an instant after `since`" in ended.err


def test_what_cannot_be_checked_is_told_apart_from_what_does_not_verify(
    arbiter: Arbiter, tmp_path: Path
) -> None:
    assert arbiter("audit", "verify-export", str(tmp_path / "missing.zip")).status == 2
    (tmp_path / "text.zip").write_text("no archive")
    ended = arbiter("audit", "verify-export", str(tmp_path / "text.zip"))
    assert (ended.status, ended.out.splitlines()[0]) == (1, "REFUSED:")
