"""Erasing, holding and opening by command: who does it proves it, and what does not fit changes nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from arbiter.audit.entry import Entry
from arbiter.cli.failing import Status
from arbiter.identity.accounts import create_account
from arbiter.identity.clients import authenticate_client
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.store.log.chains import load_entries
from arbiter.wiring import open_house, run_house
from tests.cli.conftest import run_process
from tests.houses import PASSWORD
from tests.system.service import Service
from tests.workflow.erasures import an_officer
from tests.workflow.post import a_case

pytestmark = pytest.mark.timeout(300)

Run = Callable[..., subprocess.CompletedProcess[str]]
SAID = f"{PASSWORD}\n"


@dataclass(frozen=True)
class Kept:
    """An installation with a released case and the people who keep its records."""

    service: Service
    case: CaseId

    def run(self, *arguments: str, said: str = SAID, **more: str) -> subprocess.CompletedProcess[str]:
        return run_process(self.service.data, more, *arguments, said=said)

    def types(self) -> list[str]:
        async def read() -> list[str]:
            async with self.service.house() as house, house.store.read() as transaction:
                entries = await load_entries(transaction, self.case)
            return [Entry.from_bytes(body).type for _, body, _ in entries]

        return asyncio.run(read())


@pytest.fixture(scope="module")
def kept(installation: Service) -> Kept:
    return Kept(installation, asyncio.run(furnish(installation)))


async def furnish(service: Service) -> CaseId:
    async with open_house(service.settings) as house, run_house(house):
        client = await authenticate_client(house.identities, house.clock, service.token)
        case = await a_case(house, client, "to-erase")
        await house.errands.finish(10)
        await house.sealer.request()
        await an_officer(house)
        await an_officer(house, "piet")
        await create_account(
            house.identities, house.clock, house.chance, "ines", "Ines", PASSWORD, [Role.AUDITOR], ["north"]
        )
        return case


def person(login: str) -> tuple[str, ...]:
    return ("--as", login, "--password-stdin")


def test_what_does_not_fit_changes_nothing(kept: Kept) -> None:
    case = kept.case
    for arguments, said, status in (
        (("erase",), "", Status.USAGE),
        (("erase", case, *person("olga")), "", Status.USAGE),
        (("erase", case, *person("olga")), "wrong password here\n", Status.FAILED),
        (("erase", case, *person("olga"), "--second", "piet"), SAID * 2, Status.USAGE),
        (("erase", case, *person("olga")), SAID, Status.FAILED),
        (("hold", case, *person("olga"), "--reason", "  "), SAID, Status.USAGE),
        (("hold", case, *person("olga"), "--lift", "--reason", "settled"), SAID, Status.FAILED),
        (("audit", "open", case, "0", "facts", *person("olga")), SAID, Status.FAILED),
    ):
        done = kept.run(*arguments, said=said)
        assert done.returncode == status, (arguments, done.stderr)
    assert "case.erased" not in kept.types()
    assert "must be kept until" in kept.run("erase", case, *person("olga")).stderr
    assert not (kept.service.data / "erasures").exists()


def test_a_case_is_opened_held_and_erased_and_says_so_everywhere(kept: Kept, tmp_path: Path) -> None:
    case, receipt = kept.case, tmp_path / "receipt.json"
    opened = kept.run(
        "audit", "open", case, "0", "facts", *person("ines"), "--receipt", str(receipt), "--json"
    )
    assert opened.returncode == 0, opened.stderr
    assert "heart_rate" in json.loads(opened.stdout)["content"]
    assert receipt.stat().st_mode & 0o077 == 0
    assert kept.run("hold", case, *person("olga"), "--reason", "claim 2026-114").returncode == 0
    early = ("--second", "piet", "--despite-retention", "court order 12/26")
    held = kept.run("erase", case, *person("olga"), *early, said=SAID * 2)
    assert held.returncode == Status.FAILED
    assert "legal hold" in held.stderr
    assert kept.run("hold", case, *person("piet"), "--lift", "--reason", "settled").returncode == 0
    one_person = kept.run("erase", case, *person("olga"), "--second", "olga", *early[2:], said=SAID * 2)
    assert "one person" in one_person.stderr
    erased = kept.run("erase", case, *person("olga"), *early, said=SAID * 2)
    assert erased.returncode == 0, erased.stderr
    assert "key destroyed" in erased.stdout
    assert kept.types()[-3:] == ["hold.placed", "hold.lifted", "case.erased"]
    for command in (("replay", case), ("audit", "open", case, "0", "facts", *person("ines"))):
        gone = kept.run(*command)
        assert gone.returncode == Status.FAILED
        assert "was erased" in gone.stderr
    # What left before stays verifiable: erasing reaches our copies, not other hands.
    key = kept.run("keys", "show").stdout.strip()
    assert kept.run("audit", "verify-receipt", str(receipt), "--key", key).returncode == 0
    assert json.loads(kept.run("erase", "--status", case, "--json").stdout)[0]["state"] == "key destroyed"
