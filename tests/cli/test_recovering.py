"""`arbiter audit recover` and `arbiter audit evidence` as processes of their own, on an installation that lost entries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from arbiter.audit.checkpoint import Checkpoint, sign_checkpoint
from arbiter.audit.contradiction import Evidence
from arbiter.audit.public_keys import read_public_keys
from arbiter.cli.failing import Status
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.log.evidence_folder import EvidenceFolder
from tests.cli.conftest import run_process
from tests.databases import CUTTING_OFF, Copies
from tests.houses import PASSWORD, a_house, a_reviewer
from tests.workflow.guarded import grow
from tests.workflow.losses import ORIGIN, REASON, an_administrator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *CUTTING_OFF]

BOTH = f"{PASSWORD}\n{PASSWORD}\n"


@dataclass
class Behind:
    """A data folder whose database lost its newest entries."""

    data: Path
    database: Database

    def run(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return run_process(self.data, {"ARBITER_DATABASE_URL": self.database.app_url}, *arguments, said=said)

    def recover(
        self, *people: str, said: str = BOTH, reason: str = REASON
    ) -> subprocess.CompletedProcess[str]:
        return self.run("audit", "recover", *people, "--reason", reason, "--passwords-stdin", said=said)


@pytest.fixture(scope="module")
def copies(server: EmbeddedPostgres, module_database: Database) -> Iterator[Copies]:
    made = Copies(server, module_database)
    yield made
    made.drop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind(
    module_database: Database, copies: Copies, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Behind]:
    data = tmp_path_factory.mktemp("behind") / "data"
    async with a_house(data, module_database, running=False) as house:
        await an_administrator(house, "anna")
        await an_administrator(house, "ben")
        await a_reviewer(house, "rita")
        await grow(house, 3)
    before = copies.take()
    async with a_house(data, module_database, running=False) as house:
        await grow(house, 4)
    copies.put_in_place(before)
    yield Behind(data, module_database)


# In this order: what is refused leaves the installation as it was, until two administrators recover it.


async def test_a_start_says_in_plain_words_what_to_do(behind: Behind) -> None:
    done = behind.run("clients", "list")
    assert done.returncode == Status.FAILED
    for line in (
        "  1. restore a newer copy",
        "  2. find the other database",
        "  3. only when the entries are lost for good",
        "until then nothing is decided here",
    ):
        assert line in done.stderr


async def test_accounts_can_be_looked_after_while_the_log_is_refused(behind: Behind) -> None:
    done = behind.run("users", "list", "--json")
    assert done.returncode == Status.DONE, done.stderr
    assert [row["login"] for row in json.loads(done.stdout)] == ["anna", "ben", "rita"]


async def test_verification_names_what_is_missing(behind: Behind) -> None:
    done = behind.run("audit", "verify")
    assert done.returncode == Status.FAILED
    assert "the log ends at size 3, the kept checkpoint has size 7: entries 3 to 6 missing" in done.stderr


@pytest.mark.parametrize(
    ("people", "said", "told"),
    [
        (("anna", "anna"), BOTH, "two different persons"),
        (("anna", "rita"), BOTH, "lacks the permission log:recover"),
        (("anna", "ben"), f"{PASSWORD}\nwrong\n", "ben: login or password is wrong"),
        (("anna", "ben"), f"{PASSWORD}\n", "expected 2 lines of standard input, a password each"),
        (("anna", "ben"), "", "expected 2 lines of standard input, a password each"),
        (("anna", "ben"), BOTH * 2, "expected 2 lines of standard input, a password each"),
        (("anna",), BOTH, "Missing argument"),
    ],
)
async def test_fewer_than_two_proven_administrators_change_nothing(
    behind: Behind, people: tuple[str, ...], said: str, told: str
) -> None:
    keys = sorted(path.name for path in (behind.data / "keys").iterdir())
    done = behind.recover(*people, said=said)
    assert done.returncode in {Status.FAILED, Status.USAGE}
    assert told in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert sorted(path.name for path in (behind.data / "keys").iterdir()) == keys


async def test_without_a_reason_nothing_is_done(behind: Behind) -> None:
    assert "expected a reason" in behind.recover("anna", "ben", reason="fire").stderr
    assert behind.run("audit", "recover", "anna", "ben").returncode == Status.USAGE


async def test_a_key_cannot_be_asked_for_in_two_places(behind: Behind) -> None:
    where = ("--pkcs11", "pkcs11:token=a?module-path=/m&pin-source=/p")
    done = behind.run("audit", "recover", "anna", "ben", "--reason", REASON, *where, "--in-file", said=BOTH)
    assert (done.returncode, "exclude each other" in done.stderr) == (Status.USAGE, True)


async def test_a_token_that_is_not_there_changes_nothing(behind: Behind) -> None:
    where = "pkcs11:token=a?module-path=/nowhere/module.so&pin-source=/nowhere/pin"
    keys = sorted(path.name for path in (behind.data / "keys").iterdir())
    done = behind.run(
        "audit",
        "recover",
        "anna",
        "ben",
        "--reason",
        REASON,
        "--passwords-stdin",
        "--pkcs11",
        where,
        said=BOTH,
    )
    assert done.returncode == Status.FAILED
    assert "/nowhere/" in done.stderr
    assert sorted(path.name for path in (behind.data / "keys").iterdir()) == keys


async def test_two_administrators_recover_it_and_are_told_what_to_do_next(behind: Behind) -> None:
    done = behind.recover("anna", "ben")
    assert done.returncode == Status.DONE, done.stderr
    assert f"entries 3 to 6 of {ORIGIN} were lost; {ORIGIN}.2 begins at entry 3" in done.stdout
    assert f"the new verifier key: {ORIGIN}.2+" in done.stdout
    assert "its private part lies in a file of the folder keys" in done.stdout
    assert "2. Ask every requesting system" in done.stdout
    assert f"set ARBITER_ORIGIN to {ORIGIN}.2" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    verified = behind.run("audit", "verify")
    assert verified.returncode == Status.DONE, verified.stderr
    assert f"recovered: entries 3 to 6 of {ORIGIN} were lost" in verified.stdout
    told = json.loads(behind.run("audit", "verify", "--json").stdout)
    assert (len(told["recoveries"]), told["newest_size"]) == (1, 4)
    assert behind.run("clients", "list").returncode == Status.DONE


async def test_a_second_time_there_is_nothing_to_recover(behind: Behind) -> None:
    done = behind.recover("anna", "ben")
    assert done.returncode == Status.FAILED
    assert "the log is fit" in done.stderr


async def test_the_public_keys_of_each_origin_are_exported_by_its_name(behind: Behind) -> None:
    texts = [
        behind.run("keys", "export-public", *option).stdout
        for option in ((), ("--origin", f"{ORIGIN}.2"), ("--origin", ORIGIN))
    ]
    assert texts[0] == texts[1]
    assert {key.name for key in read_public_keys(texts[0].encode())} == {f"{ORIGIN}.2"}
    assert {key.name for key in read_public_keys(texts[2].encode())} == {ORIGIN}
    done = behind.run("keys", "export-public", "--origin", f"{ORIGIN}.3")
    assert (done.returncode, done.stdout) == (Status.USAGE, "")
    assert f"was never {ORIGIN}.3, as far as this host knows; it was {ORIGIN}, {ORIGIN}.2" in done.stderr


# --- evidence ----------------------------------------------------------------------------------------------------------


async def test_evidence_is_listed_and_checked_again(behind: Behind) -> None:
    done = behind.run("audit", "evidence")
    assert (done.returncode, done.stdout.strip()) == (Status.DONE, "no contradictory checkpoints are kept")
    assert json.loads(behind.run("audit", "evidence", "--json").stdout) == []
    async with a_house(behind.data, behind.database, running=False) as house:
        notes = [
            sign_checkpoint(Checkpoint(house.signer.name, 9, root * 32), [house.signer])
            for root in (b"a", b"b")
        ]
        folder = EvidenceFolder(behind.data)
        path = folder.keep(Evidence((notes[0], notes[1]), "a test", house.clock.now()))
    (row,) = json.loads(behind.run("audit", "evidence", "--json").stdout)
    assert (row["file"], row["compared"]) == (path.name, "a test")
    assert row["proves"] == f"{ORIGIN}.2 signed two roots for 9 entries"
    # One byte of a root, and it proves nothing any more.
    path.write_bytes(path.read_bytes().replace(b"9\\nYWFh", b"9\\nYWFi"))
    done = behind.run("audit", "evidence")
    assert done.returncode == Status.FAILED
    assert "PROVES NOTHING: bad signature" in done.stdout
