"""`arbiter calibration` by command: what is shown to whoever approves, who may, and how each ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from arbiter.calibration import Calibration
from arbiter.cli.calibration_words import told
from arbiter.cli.failing import Status
from arbiter.documents.calibrations import calibration_bytes
from arbiter.identity.roles import Role
from arbiter.wiring import open_house
from tests.adjudication.calibrations import LABELS
from tests.cli.conftest import run_process
from tests.houses import PASSWORD
from tests.system.service import Service
from tests.workflow.calibrations.certified import PROTOCOL, bundle_in, fitting, person

pytestmark = pytest.mark.timeout(600)

SAID = f"{PASSWORD}\n"
NOBODYS = "f" * 64


@dataclass(frozen=True)
class Kept:
    """An installation whose panel decides by its posterior, three persons, and files to propose."""

    service: Service
    protocols: Path
    folder: Path
    hashes: tuple[str, str]

    def run(
        self, *arguments: str, said: str = SAID, group: str = "calibration"
    ) -> subprocess.CompletedProcess[str]:
        environ = {"ARBITER_PROTOCOLS": str(self.protocols), "COLUMNS": "300"}
        return run_process(self.service.data, environ, group, *arguments, said=said)

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def steps(self) -> int:
        """How many steps were ever taken."""
        with self.service.superuser() as connection:
            row = connection.execute("SELECT count(*) FROM calibration_step").fetchone()
        assert row is not None
        return int(row[0])

    def standings(self) -> dict[str, str]:
        shown = json.loads(self.run("list", "--json").stdout)
        return {row["calibration"]: row["standing"] for row in shown if row["protocol"] == PROTOCOL}


@pytest.fixture(scope="module")
def kept(installation: Service, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("calibrations")
    protocols = bundle_in(folder)
    first, second = asyncio.run(furnish(installation, protocols))
    (folder / "first.json").write_bytes(calibration_bytes(first))
    (folder / "second.json").write_bytes(calibration_bytes(second))
    (folder / "bent.json").write_bytes(calibration_bytes(first) + b"\n")
    return Kept(installation, protocols, folder, (first.content_hash, second.content_hash))


async def furnish(service: Service, protocols: Path) -> tuple[Calibration, Calibration]:
    async with open_house(service.settings.model_copy(update={"protocols": protocols})) as house:
        for login, role in (
            ("otto", Role.POLICY_AUTHOR),
            ("paula", Role.POLICY_APPROVER),
            ("ada", Role.AUDITOR),
        ):
            await person(house, login, role)
        return fitting(house), fitting(house, labels=LABELS)


def by(login: str) -> tuple[str, ...]:
    return ("--as", login, "--password-stdin")


def test_proposed_shown_approved_told_and_withdrawn(kept: Kept) -> None:
    first, second = kept.hashes
    done = kept.run("propose", kept.file("first.json"), *by("otto"))
    assert done.returncode == Status.DONE, done.stderr
    assert done.stdout.splitlines()[-1] == f"proposed {first}"
    assert kept.standings() == {first: "proposed"}

    shown = kept.run("show", first).stdout
    for words in (
        f"of protocol {PROTOCOL} 1.0.0, ",
        "urgent-review: decided alone above probability 0.8: 5% may be wrong; of 200 labelled cases above 0.8, ",
        "above 0.8, 2 wrong, so at most 3.1143% at confidence 95%",
        "labels: blind-reader 900; 360 to fit, 90 to temper, 450 to certify",
        "members: news2, mews, cart",
        " by otto",
        "standing: proposed",
    ):
        assert words in shown
    assert "SYNTHETIC" not in shown

    done = kept.run("approve", first, *by("paula"))
    assert done.returncode == Status.DONE, done.stderr
    assert done.stdout.splitlines() == [f"approved {first}", f"{PROTOCOL} 1.0.0: in force is {first}"]
    doctor = json.loads(kept.run("--json", group="doctor").stdout)
    calibrations = [each for each in doctor if each["check"] == "calibration"]
    (found,) = [each for each in calibrations if each["found"].startswith(f"{PROTOCOL}: ")]
    assert (found["state"], found["found"].partition(" in force since ")[0]) == ("ok", f"{PROTOCOL}: {first}")

    assert kept.run("propose", kept.file("second.json"), *by("otto")).returncode == Status.DONE
    assert kept.run("approve", second, *by("paula")).returncode == Status.DONE
    assert kept.standings() == {first: "replaced", second: "in-force"}
    document = json.loads(kept.run("show", second, "--json").stdout)
    assert document["labels"]["synthetic"] is True
    assert document["options"]["urgent-review"] == {
        "alpha": "0.05",
        "threshold": "0.8",
        "cases": 200,
        "errors": 2,
        "bound": "0.031143",
        "tested": 1,
    }
    assert (document["proposed_by"], document["approved_by"]) == ("otto", "paula")
    assert document["withdrawn"] is None

    done = kept.run("withdraw", second, "--reason", "invented", *by("paula"))
    assert done.stdout.splitlines() == [f"withdrew {second}", f"{PROTOCOL} 1.0.0: in force is {first}"]
    done = kept.run("withdraw", first, "--reason", "drifted", *by("paula"))
    assert done.stdout.splitlines()[-1] == (
        f"{PROTOCOL} 1.0.0: no calibration is in force, and every case escalates"
    )
    assert "withdrawn at " in kept.run("show", first).stdout
    log = run_process(kept.service.data, {}, "audit", "log", "--case", "house", "--json")
    types = [json.loads(line)["type"] for line in log.stdout.splitlines()]
    about = [each.partition(".")[2] for each in reversed(types) if each.startswith("calibration.")]
    assert about == ["proposed", "approved"] * 2 + ["withdrawn"] * 2


@pytest.mark.parametrize(
    ("arguments", "said", "told_of"),
    [
        (("propose", "FILE", *by("paula")), SAID, "policy:author"),
        (("propose", "FILE", *by("ada")), SAID, "policy:author"),
        (("propose", "FILE", *by("otto")), "wrong password here\n", "password"),
        (("propose", "BENT", *by("otto")), SAID, "canonical"),
        (("propose", "/nowhere", *by("otto")), SAID, "/nowhere"),
        (("approve", NOBODYS, *by("otto")), SAID, "policy:approve"),
        (("approve", NOBODYS, *by("ada")), SAID, "policy:approve"),
        (("approve", NOBODYS, *by("paula")), SAID, "no calibration"),
        (("approve", NOBODYS, *by("paula")), "wrong password here\n", "password"),
        (("withdraw", NOBODYS, "--reason", "why", *by("otto")), SAID, "policy:approve"),
        (("withdraw", NOBODYS, "--reason", "why", *by("paula")), SAID, "no calibration"),
        (("withdraw", NOBODYS, "--reason", "  ", *by("paula")), SAID, "reason"),
        (("show", NOBODYS), "", "no calibration"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    kept: Kept, arguments: tuple[str, ...], said: str, told_of: str
) -> None:
    before = kept.steps()
    named = {"FILE": kept.file("first.json"), "BENT": kept.file("bent.json")}
    done = kept.run(*(named.get(word, word) for word in arguments), said=said)
    assert done.returncode == Status.FAILED, done.stderr
    assert told_of in done.stderr
    assert done.stdout == ""
    assert kept.steps() == before


@pytest.mark.parametrize(
    "arguments", [("approve", NOBODYS), ("propose", "x"), ("withdraw", NOBODYS, *by("paula"))]
)
def test_a_person_and_a_reason_are_asked_for(kept: Kept, arguments: tuple[str, ...]) -> None:
    assert kept.run(*arguments).returncode == Status.USAGE


def test_in_production_synthetic_labels_are_refused_by_name(kept: Kept, tmp_path: Path) -> None:
    content = calibration_bytes(asyncio.run(another(kept)))
    (tmp_path / "invented.json").write_bytes(content)
    environ = {"ARBITER_PROTOCOLS": str(kept.protocols), "ARBITER_MODE": "production"}
    done = run_process(
        kept.service.data,
        environ,
        "calibration",
        "propose",
        str(tmp_path / "invented.json"),
        *by("otto"),
        said=SAID,
    )
    assert done.returncode == Status.FAILED
    assert "/labels/synthetic: expected labels of real cases: this is no demonstration" in done.stderr


async def another(kept: Kept) -> Calibration:
    settings = kept.service.settings.model_copy(update={"protocols": kept.protocols})
    async with open_house(settings) as house:
        return fitting(house, labels=LABELS, code_version="3")


def test_an_option_that_nothing_is_certified_of_is_told_so(kept: Kept) -> None:
    made = asyncio.run(another(kept))
    failed = replace(made.strata[0].tested[0], errors=40, bound=made.delta * 5)
    nothing = replace(made.strata[0], certified=None, tested=(failed,))
    lines = list(told(replace(made, strata=(nothing,))))
    assert any(line.startswith("SYNTHETIC: ") for line in lines)
    assert lines[2] == (
        "urgent-review: never decided without a clinician: 5% may be wrong, and no threshold is certified "
        "(of 200 labelled cases above 0.8, 40 wrong)"
    )
    assert lines[3] == "continue-monitoring: never decided without a clinician"


def test_what_came_with_a_bundle_is_told_as_such(kept: Kept, tmp_path: Path) -> None:
    bare = bundle_in(tmp_path, "1.0.1")
    made = asyncio.run(another(replace(kept, protocols=bare)))
    bundled = replace(kept, protocols=bundle_in(tmp_path, "1.0.1", made))
    assert bundled.standings()[made.content_hash] == "in-force-by-bundle"
    shown = bundled.run("show", made.content_hash).stdout
    assert shown.splitlines()[-1] == "standing: in-force-by-bundle"
    assert made.content_hash not in replace(kept, protocols=bare).standings()
