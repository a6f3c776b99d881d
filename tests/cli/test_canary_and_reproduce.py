"""`arbiter panel canary` and `arbiter panel reproduce` by command: what they print, who may, and how they end."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass

import pytest

from arbiter.cli.failing import Status
from arbiter.identity.accounts import create_account
from arbiter.identity.clients import authenticate_client
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.wiring import open_house, run_house
from tests.cli.conftest import run_process
from tests.houses import PASSWORD
from tests.system.service import Service
from tests.workflow.post import a_case

pytestmark = pytest.mark.timeout(600)

SAID = f"{PASSWORD}\n"
SEATS = 14


@dataclass(frozen=True)
class Kept:
    """An installation with a released case, an auditor and somebody who approves policy."""

    service: Service
    case: CaseId

    def run(self, *arguments: str, said: str = SAID) -> subprocess.CompletedProcess[str]:
        return run_process(self.service.data, {}, "panel", *arguments, said=said)


@pytest.fixture(scope="module")
def kept(installation: Service) -> Kept:
    return Kept(installation, asyncio.run(furnish(installation)))


async def furnish(service: Service) -> CaseId:
    async with open_house(service.settings) as house, run_house(house):
        client = await authenticate_client(house.identities, house.clock, service.token)
        case = await a_case(house, client, "to-reproduce")
        await house.errands.finish(10)
        await house.sealer.request()
        for login, role in (("ada", Role.AUDITOR), ("paula", Role.POLICY_APPROVER)):
            await create_account(
                house.identities, house.clock, house.chance, login, login, PASSWORD, [role], ["north"]
            )
        return case


def person(login: str) -> tuple[str, ...]:
    return ("--as", login, "--password-stdin")


def test_the_canary_takes_baselines_then_compares_then_begins_anew(kept: Kept) -> None:
    before = kept.run("canary", "--latest", "--json", said="")
    assert {seat["standing"] for seat in json.loads(before.stdout)} == {"never"}
    assert before.returncode == Status.UNAVAILABLE
    first = kept.run("canary", "--json", said="")
    assert first.returncode == Status.DONE, first.stderr
    told = json.loads(first.stdout)
    assert len(told) == SEATS
    assert {(seat["standing"], seat["cases"]) for seat in told} == {("baseline", 20)}
    second = kept.run("canary", "--protocol", "deterioration", "--json", said="")
    seats = json.loads(second.stdout)
    assert {(seat["standing"], seat["p"]) for seat in seats} == {("steady", "1")}
    assert {seat["protocol"] for seat in seats} == {"deterioration"}
    anew = kept.run(
        "canary", "--protocol", "deterioration", "--baseline", *person("paula"), "--reason", "tried", "--json"
    )
    assert anew.returncode == Status.DONE, anew.stderr
    assert {seat["standing"] for seat in json.loads(anew.stdout)} == {"baseline"}
    log = run_process(kept.service.data, {}, "audit", "log", "--case", "house", "--json")
    types = [json.loads(line)["type"] for line in log.stdout.splitlines()]
    assert types.count("canary.run") == 5


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (("canary", "--baseline"), "", Status.USAGE),
        (("canary", "--baseline", "--latest"), "", Status.USAGE),
        (("canary", "--baseline", *person("paula")), SAID, Status.USAGE),
        (("canary", "--reason", "why"), "", Status.USAGE),
        (("canary", "--baseline", *person("paula"), "--reason", "  "), SAID, Status.USAGE),
        (("canary", "--baseline", *person("paula"), "--reason", "why"), "wrong password here\n", Status.FAILED),
        (("canary", "--baseline", *person("ada"), "--reason", "why"), SAID, Status.FAILED),
        (("canary", "--protocol", "nonexistent"), "", Status.FAILED),
        (("reproduce", "c_none", *person("ada")), SAID, Status.FAILED),
        (("reproduce", "c_none", *person("paula")), SAID, Status.FAILED),
        (("reproduce", "c_none", *person("ada")), "wrong password here\n", Status.FAILED),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    kept: Kept, arguments: tuple[str, ...], said: str, status: Status
) -> None:
    done = kept.run(*arguments, said=said)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""


def test_a_case_of_scores_is_reproduced_equal(kept: Kept) -> None:
    done = kept.run("reproduce", kept.case, *person("ada"), "--json")
    assert done.returncode == Status.DONE, done.stderr
    told = json.loads(done.stdout)
    assert told["case"] == kept.case
    assert {each["member"] for each in told["members"]} == {"news2", "mews", "cart", "qsofa", "sirs"}
    assert {each["outcome"] for each in told["members"]} == {"equal"}
    assert all(each["then"] == each["now"] for each in told["members"])
    lines = kept.run("reproduce", kept.case, *person("ada")).stdout.splitlines()
    assert len(lines) == 5
    assert all(line.split("\t")[3] == "equal" for line in lines)


def test_nobody_but_an_auditor_reproduces_a_case(kept: Kept) -> None:
    done = kept.run("reproduce", kept.case, *person("paula"))
    assert done.returncode == Status.FAILED
    assert "audit:read" in done.stderr
