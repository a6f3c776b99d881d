"""A thousand recorded cases come out byte for byte in other processes, on another day, in another zone, under other hash seeds."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from arbiter.documents.calibrations import calibration_bytes
from arbiter.documents.canonical import decode, encode
from arbiter.identity.principals import Principal
from arbiter.model import CaseId
from arbiter.protocols.anticoagulation import generator as anticoagulation
from arbiter.protocols.bundle import LabelledCase
from arbiter.protocols.deterioration import generator as deterioration
from arbiter.protocols.examples import read_examples
from arbiter.protocols.loader import read_shipped
from arbiter.protocols.surgery_readiness import generator as surgery_readiness
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submission, submit
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.replaying import MOST_FINDINGS
from arbiter.workflow.review import claim, commit_opinion, reveal, sign
from arbiter.workflow.subjects import SubjectRef
from tests.conftest import an_insider
from tests.houses import SITE, a_client, a_house, a_reviewer
from tests.patience import PATIENCE_SECONDS
from tests.system.service import ROOT, environment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CASES = 1000
GENERATORS = {
    "deterioration": deterioration.generate,
    "anticoagulation": anticoagulation.generate,
    "surgery-readiness": surgery_readiness.generate,
}
AT_ONCE = 16
SIGNED = 12
"""So many escalated cases are signed too: their second certificates are made from a signature."""

# Nothing of replaying reads a clock. A process that lives on another day shows it.
ANOTHER_DAY = """
import datetime, sys, time
from arbiter.clock import SystemClock

days = float(sys.argv.pop(1))
there, seconds = SystemClock.now, time.time
SystemClock.now = lambda self: there(self) + datetime.timedelta(days=days)
time.time = lambda: seconds() + days * 86400

from arbiter.cli import main
main()
"""
SURROUNDINGS = (
    ("1000", {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONUTF8": "0"}),
    ("-400", {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8"}),
)


def invented(protocol: str, number: int) -> tuple[LabelledCase, ...]:
    """Return cases of a shipped generator."""
    lines = "\n".join(json.dumps(line) for line in GENERATORS[protocol](7, number))
    problems: list[Any] = []
    cases = read_examples(lines.encode(), read_shipped(protocol).protocol.question, problems)
    assert problems == []
    return cases


@dataclass(frozen=True)
class Recorded:
    """A house with its cases, and somebody with the database's superuser and the vault's keys."""

    house: House
    database: Database
    connection: psycopg.Connection
    cases: tuple[CaseId, ...]
    signed: list[CaseId] = field(default_factory=list)

    async def replayed(self, days: str, variables: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Run `arbiter replay --all --json` in a process of its own, so many days from now."""
        more = {"ARBITER_DATABASE_URL": self.database.app_url, **variables}
        run = partial(
            subprocess.run,
            [sys.executable, "-c", ANOTHER_DAY, days, "replay", "--all", "--json"],
            cwd=ROOT,
            env=environment(self.house.settings.data, **more),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        ran = await asyncio.to_thread(run)
        assert ran.stdout, ran.stderr[-2000:]
        return ran.returncode, json.loads(ran.stdout)

    def ended(self) -> dict[CaseId, tuple[str, str]]:
        """Return each case's protocol and phase."""
        rows = self.connection.execute("SELECT id, protocol_id, phase FROM case_file").fetchall()
        return {CaseId(case): (protocol, phase) for case, protocol, phase in rows}


async def take(house: House, client: Principal, protocol: str, number: int, case: LabelledCase) -> CaseId:
    """Hand a case in as a patient of its own, so that none counts as another's repetition."""
    given = Submission(
        protocol=protocol,
        site=SITE,
        subject=SubjectRef("urn:example:patients", f"made-up-{protocol}-{number}"),
        encounter=None,
        risk_class=case.risk_class,
        facts=case.raw_facts(house.clock.now()),
    )
    return (await submit(house, client, given, f"{protocol}-{number}", b"body")).case


async def record(house: House) -> tuple[CaseId, ...]:
    """Put the generators' cases through the house."""
    client, _ = await a_client(house)
    each = CASES // len(GENERATORS)
    sizes = dict.fromkeys(GENERATORS, each) | {"deterioration": CASES - 2 * each}
    waiting = chain.from_iterable(
        ((name, number, case) for number, case in enumerate(invented(name, size)))
        for name, size in sizes.items()
    )
    taken: list[CaseId] = []

    async def work() -> None:
        for name, number, case in waiting:
            taken.append(await take(house, client, name, number, case))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    await house.errands.finish(60)
    return tuple(taken)


async def sign_some(recorded: Recorded) -> None:
    """Have some of those that escalated signed."""
    house, anna = recorded.house, await a_reviewer(recorded.house)
    escalated = [
        (case, protocol) for case, (protocol, phase) in recorded.ended().items() if phase == "escalated"
    ]
    for case, protocol in escalated[:SIGNED]:
        option = house.shelf.in_force(protocol).protocol.question.option_ids()[0]
        await claim(house, anna, case)
        await commit_opinion(house, anna, case, OwnOpinion(option, 70, (), "as I see it"))
        await reveal(house, anna, case)
        await sign(house, anna, case, option, "")
        recorded.signed.append(case)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(
    module_database: Database, server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Recorded]:
    folder = tmp_path_factory.mktemp("thousand") / "data"
    async with a_house(folder, module_database, running=False) as house:
        with an_insider(server, module_database) as connection:
            made = Recorded(house, module_database, connection, await record(house))
            await sign_some(made)
            yield made


async def test_the_cases_are_decided_escalated_signed_and_wait_for_facts(recorded: Recorded) -> None:
    ends = Counter(recorded.ended().values())
    assert sum(ends.values()) == len(set(recorded.cases)) == CASES
    for protocol in ("deterioration", "anticoagulation"):
        for phase in ("decided", "escalated", "awaiting-facts"):
            assert ends[protocol, phase] >= 10, (protocol, phase)
    assert ends["surgery-readiness", "escalated"] >= 300


async def test_every_certificate_comes_out_byte_for_byte_in_other_processes_on_other_days(
    recorded: Recorded,
) -> None:
    """Under two hash seeds that are not this process's, in two time zones, three years ahead and one back."""
    seeds = {variables["PYTHONHASHSEED"] for _, variables in SURROUNDINGS}
    assert len(seeds - {os.environ.get("PYTHONHASHSEED")}) == len(SURROUNDINGS)
    ran = await asyncio.gather(*(recorded.replayed(*each) for each in SURROUNDINGS))
    for status, said in ran:
        assert said == {
            "same": True,
            "cases": CASES,
            "certificates": CASES + SIGNED,
            "erased": 0,
            "unlike": 0,
            "found": [],
        }
        assert status == 0


# --- whoever has the database and the keys ----------------------------------------------------------------------------------


def vote_otherwise(opinion: dict[str, Any]) -> None:
    said = "urgent-review" if "urgent-review" in opinion["votes"] else "continue-monitoring"
    opinion["votes"] = {({"urgent-review", "continue-monitoring"} - {said}).pop(): 1}


async def reseal(
    recorded: Recorded, case: CaseId, name: str, change: Callable[[dict[str, Any]], None], member: str = ""
) -> int:
    """Change the case's first document of that name, or that member's, as if it had always been so; return its entry."""
    house = recorded.house
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, case)
    document = next(
        document
        for document in dossier.documents
        if document.name == name and member in {"", decode(document.content).get("member")}
    )
    content = decode(document.content)
    change(content)
    assert encode(content) != document.content
    sealed = house.vault.seal(dossier.key, document.seq, name, document.salt, encode(content))
    recorded.connection.execute("ALTER TABLE sealed_document DISABLE TRIGGER ALL")
    changed = recorded.connection.execute(
        "UPDATE sealed_document SET ciphertext = %s WHERE case_id = %s AND seq = %s AND name = %s",
        (sealed, case, document.seq, name),
    )
    assert changed.rowcount == 1
    return document.seq


async def test_one_opinion_and_one_certificate_that_were_changed_are_found_among_them(
    recorded: Recorded,
) -> None:
    # A case that was signed has two certificates, and one whose panel was never asked has no opinions.
    ends = {case: end for case, end in recorded.ended().items() if case not in recorded.signed}
    decided = next(case for case, end in ends.items() if end == ("deterioration", "decided"))
    escalated = next(case for case, end in ends.items() if end == ("surgery-readiness", "escalated"))
    voted = await reseal(recorded, decided, "opinion", vote_otherwise, "news2")
    stated = await reseal(
        recorded, escalated, "certificate", lambda content: content.update(plain="All is well.")
    )
    status, said = await recorded.replayed(*SURROUNDINGS[0])
    assert status == 1
    assert (said["same"], said["cases"], said["unlike"]) == (False, CASES, 2)
    assert said["certificates"] == CASES + SIGNED - 2
    told = {(each["case"], each["entry"]): each["said"] for each in said["found"]}
    assert told[decided, voted] == "opinion: NOT WHAT this entry commits to"
    assert {case for case, _ in told} == {decided, escalated}
    assert len(said["found"]) == 4
    assert sum("OTHER BYTES" in each["said"] for each in said["found"]) == 2
    assert any(each["entry"] == stated and "certificate" in each["said"] for each in said["found"])


async def test_a_changed_calibration_is_told_of_every_case_that_was_judged_by_it(recorded: Recorded) -> None:
    """One error fewer, of those that certified the level: the kept bytes have another hash then."""
    ends = recorded.ended()
    shipped = recorded.house.shelf.in_force("anticoagulation").bundle.calibration
    assert shipped is not None
    stratum = shipped.strata[0]
    assert stratum.certified is not None
    better = replace(stratum.certified, errors=stratum.certified.errors - 1)
    forged = replace(
        shipped, strata=(replace(stratum, certified=better, tested=(better,)), *shipped.strata[1:])
    )
    recorded.connection.execute("ALTER TABLE calibration DISABLE TRIGGER ALL")
    changed = recorded.connection.execute(
        "UPDATE calibration SET document = %s WHERE content_hash = %s",
        (calibration_bytes(forged), shipped.content_hash),
    )
    assert changed.rowcount == 1
    status, said = await recorded.replayed(*SURROUNDINGS[1])
    assert status == 1
    of_the_protocol = {case for case, (protocol, _) in ends.items() if protocol == "anticoagulation"}
    decided = {case for case in of_the_protocol if ends[case][1] == "decided"}
    assert len(decided) <= said["unlike"] <= len(of_the_protocol) + 2
    assert len(said["found"]) == MOST_FINDINGS < said["unlike"]
    of_the_calibration = [each for each in said["found"] if "calibration" in each["said"]]
    assert len(of_the_calibration) >= MOST_FINDINGS - 4
    assert {each["case"] for each in of_the_calibration} <= of_the_protocol
    assert {each["said"] for each in of_the_calibration} == {
        f"the kept calibration {shipped.content_hash} has another hash now"
    }
