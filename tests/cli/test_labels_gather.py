"""`arbiter labels gather` in processes of their own: the same files each time, as of whichever checkpoint, and who may."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arbiter.cli.failing import Status
from arbiter.documents.canonical import decode
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.evaluation.gathered import CASES_FILE, MANIFEST_FILE, OPINIONS_FILE
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.wiring import open_house
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.outcomes import record
from tests.cli.conftest import run_process
from tests.houses import PASSWORD, SITE, ShiftableClock, a_client
from tests.system.service import Service
from tests.workflow.calibrations.certified import person
from tests.workflow.labels.hospital import CALM, SPLIT, URGENT, Hospital, a_hospital

pytestmark = pytest.mark.timeout(600)

NAMES = (CASES_FILE, OPINIONS_FILE, MANIFEST_FILE)


@dataclass(frozen=True)
class Kept:
    """An installation with labelled cases, and a folder to write to."""

    service: Service
    folder: Path
    later: CaseId
    corrected: CaseId

    def run(
        self, *arguments: str, login: str = "otto", said: str = PASSWORD
    ) -> subprocess.CompletedProcess[str]:
        given = ("--as", login, "--password-stdin", *arguments)
        environ = {"COLUMNS": "300"}
        return run_process(
            self.service.data, environ, "labels", "gather", "deterioration", *given, said=f"{said}\n"
        )

    def files(self, name: str, *arguments: str) -> dict[str, bytes]:
        done = self.run("--out", str(self.folder / name), *arguments)
        assert done.returncode == Status.DONE, done.stderr
        return {file: (self.folder / name / file).read_bytes() for file in NAMES}

    def in_house(self, work: Any) -> Any:
        async def inside() -> Any:
            async with open_house(self.service.settings) as house:
                return await work(house)

        return asyncio.run(inside())


@pytest.fixture(scope="module")
def kept(installation: Service, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(installation, tmp_path_factory.mktemp("gathered"), *asyncio.run(furnish(installation)))


async def furnish(service: Service) -> tuple[CaseId, CaseId]:
    async with open_house(service.settings) as house:
        if SITE not in {site for site, _ in await house.identities.sites()}:
            await add_site(house.identities, SITE, "North Hospital")
        at: Hospital = await a_hospital(house, ShiftableClock())
        await person(house, "paula", Role.POLICY_APPROVER)
        for number in range(6):
            case = await at.case(drawn="0.500000")
            await at.read(at.ben, case, CALM if number % 3 else URGENT)
            case = await at.case(SPLIT)
            await at.judge(at.anna, case, URGENT)
            corrected = await at.case(missed="0.500000")
            await at.told(corrected, CALM)
        later = await at.case(missed="0.500000")
        await at.seal()
        return later, corrected


def size_of(files: dict[str, bytes]) -> int:
    size: int = decode(files[MANIFEST_FILE])["checkpoint"]["size"]
    return size


def test_the_same_checkpoint_gives_the_same_bytes_in_another_process_whatever_came_since(kept: Kept) -> None:
    first = kept.files("first")
    assert json.loads(first[MANIFEST_FILE])["cases"] > 0
    assert all((kept.folder / "first" / name).stat().st_mode & 0o077 == 0 for name in NAMES)
    size = size_of(first)
    assert kept.files("again", "--until", str(size)) == first

    async def an_outcome_comes(house: Any) -> None:
        client, _ = await a_client(house, "registry")
        told = KnownOutcome(URGENT, OutcomeKind.OUTCOME, house.clock.now(), "registry")
        await record(house, client, kept.later, told)
        await record(house, client, kept.corrected, told)

    kept.in_house(an_outcome_comes)
    assert kept.files("as-of-then", "--until", str(size)) == first
    newer = kept.files("newer")
    assert size_of(newer) > size
    before, after = (json.loads(files[MANIFEST_FILE]) for files in (first, newer))
    assert before["left_out"]["unlabelled"] == after["left_out"]["unlabelled"] + 1


def test_the_run_is_an_entry_with_its_manifest_and_the_log_checks_out(kept: Kept) -> None:
    files = kept.files("entered")

    async def documents(house: Any) -> list[bytes]:
        await verify_log(house, (kept.service.data / "checkpoint").read_bytes())
        found = await load_house_documents_named(house.store, HOUSE_CHAIN, "manifest")
        return [document.content for document in found]

    assert files[MANIFEST_FILE] == kept.in_house(documents)[-1]


def test_what_is_there_is_replaced_only_when_that_is_asked_for_and_json_is_the_manifest(kept: Kept) -> None:
    folder = kept.folder / "twice"
    words = kept.run("--out", str(folder)).stdout
    assert "left out: " in words
    assert "so that the sample is one of all cases" in words
    before = (folder / MANIFEST_FILE).read_bytes()
    done = kept.run("--out", str(folder))
    assert done.returncode == Status.USAGE
    assert "--force" in done.stderr
    assert (folder / MANIFEST_FILE).read_bytes() == before
    done = kept.run("--out", str(folder), "--force", "--json")
    assert json.loads(done.stdout) == json.loads((folder / MANIFEST_FILE).read_bytes())
    assert (folder / MANIFEST_FILE).read_bytes() != before, "its own reading has been sealed since"


def test_who_writes_no_policy_gathers_nothing(kept: Kept) -> None:
    done = kept.run("--out", str(kept.folder / "paula"), login="paula")
    assert done.returncode == Status.FAILED
    assert "lacks the permission policy:author" in done.stderr
    assert not (kept.folder / "paula" / CASES_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "said", "status", "words"),
    [
        ((), "not the password", Status.FAILED, "login or password"),
        (("--until", "3000000"), PASSWORD, Status.FAILED, "expected the size of a checkpoint"),
        (("--until", "0"), PASSWORD, Status.USAGE, "--until"),
    ],
    ids=["wrong password", "no such checkpoint", "no size"],
)
def test_what_does_not_fit_writes_nothing(
    kept: Kept, arguments: tuple[str, ...], said: str, status: Status, words: str
) -> None:
    done = kept.run("--out", str(kept.folder / "unfit"), *arguments, said=said)
    assert done.returncode == status
    assert words in done.stderr
    assert not any((kept.folder / "unfit" / name).exists() for name in NAMES)


def test_nobody_is_asked_when_a_panel_is_calibrated_on_them(kept: Kept) -> None:
    """Whether they are enough to fit on is chance's to say; that all of them are heard is not."""
    kept.files("few")
    folder = kept.folder / "few"
    done = run_process(
        kept.service.data, {}, "calibrate", "deterioration", str(folder / CASES_FILE), "--out", str(folder)
    )
    number = json.loads((folder / MANIFEST_FILE).read_bytes())["cases"]
    assert f"{number} of {number} cases: heard before, used again" in done.stderr
    assert "asked again" not in done.stderr
