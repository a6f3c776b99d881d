"""`arbiter guarantee` by command: what is shown before an audit, after some, under an alarm, and who ends that."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.cli.failing import Status
from arbiter.settings import Settings
from arbiter.wiring import open_house, run_house
from tests.cli.conftest import run_process
from tests.houses import PASSWORD
from tests.system.service import Service
from tests.workflow.calibrations.certified import PROTOCOL, bundle_in, court, fitting
from tests.workflow.watching.ward import Ward, ward

pytestmark = pytest.mark.timeout(600)

OPTION = "continue-monitoring"


@dataclass(frozen=True)
class Kept:
    """An installation whose panel decides alone, and where its protocol lies."""

    service: Service
    protocols: Path

    def run(
        self, *arguments: str, said: str = "", group: str = "guarantee"
    ) -> subprocess.CompletedProcess[str]:
        environ = {"ARBITER_PROTOCOLS": str(self.protocols), "COLUMNS": "300"}
        return run_process(self.service.data, environ, group, *arguments, said=said)

    def shown(self) -> dict[str, object]:
        found = json.loads(self.run("show", PROTOCOL, "--json").stdout)
        assert len(found) == 1
        shown: dict[str, object] = found[0]
        return shown

    def lift(self, login: str, reason: str = "looked into") -> subprocess.CompletedProcess[str]:
        arguments = ("lift", PROTOCOL, "--reason", reason, "--as", login, "--password-stdin")
        return self.run(*arguments, said=f"{PASSWORD}\n")

    @property
    def settings(self) -> Settings:
        return self.service.settings.model_copy(
            update={"protocols": self.protocols, "audit_share": Decimal(1)}
        )


@pytest.fixture(scope="module")
def kept(installation: Service, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(installation, bundle_in(tmp_path_factory.mktemp("guarantee")))


async def furnish(kept: Kept) -> None:
    """Put a calibration in force, let one decision be found right and as many wrong as it takes."""
    async with open_house(kept.settings) as house, run_house(house):
        bench = await court(house)
        people: Ward = await ward(bench, await bench.put_in_force(fitting(house)))
        await people.read(await people.decide("right"), people.anna, agrees=True)
        for number in range(20):
            if house.stops.frozen:
                break
            await people.find_wrong(f"wrong-{number}")
        assert house.stops.frozen == {PROTOCOL}


def test_before_anything_is_certified_everything_escalates(kept: Kept) -> None:
    done = kept.run("show", PROTOCOL)
    assert done.returncode == Status.DONE, done.stderr
    assert "no calibration is in force: every case escalates" in done.stdout


def test_shown_alarmed_told_by_the_doctor_and_lifted(kept: Kept) -> None:
    asyncio.run(furnish(kept))
    done = kept.run("show", PROTOCOL)
    assert done.returncode == Status.FAILED
    for words in (
        "ALARM since ",
        f"option {OPTION}; lift it with `arbiter guarantee lift`",
        "NOTHING IS DECIDED ALONE: an alarm stands",
        f"{PROTOCOL}\t{OPTION}\t5%\t7\t6\t85.7%\t",
        "\t100%\t",
        f"{PROTOCOL}\tmember news2\t15%\t7\t6\t\t\t",
    ):
        assert words in done.stdout, words
    shown = kept.shown()
    assert shown["stop"] == "frozen"

    doctor = json.loads(kept.run("--json", group="doctor").stdout)
    (found,) = [each for each in doctor if each["check"] == "guarantee" and "stopped" in each["found"]]
    assert (found["state"], PROTOCOL in found["found"]) == ("fail", True)

    for nobody in ("otto", "anna"):
        refused = kept.lift(nobody)
        assert refused.returncode != Status.DONE
    assert kept.lift("paula", "  ").returncode != Status.DONE
    assert kept.shown()["stop"] == "frozen"

    done = kept.lift("paula")
    assert done.returncode == Status.DONE, done.stderr
    assert f"lifted: option {OPTION} of calibration " in done.stdout
    assert kept.run("show", PROTOCOL).returncode == Status.DONE
    shown = kept.shown()
    assert (shown["stop"], shown["alarms"]) == (None, [])
    told = json.loads(kept.run("history", PROTOCOL, "--json").stdout)
    assert [
        (step["target"], step["step"], step["by"], step["reason"])
        for step in told
        if step["kind"] == "option"
    ] == [
        (OPTION, "alarmed", "arbiter", None),
        (OPTION, "lifted", "paula", "looked into"),
    ]
    assert kept.run("history", "no-such").stdout == "no alarm was ever raised of protocol no-such\n"
    again = kept.lift("paula")
    assert again.returncode != Status.DONE
    assert "no alarm of protocol" in again.stderr


def test_what_another_share_would_mean_is_told_before_it_is_chosen(kept: Kept) -> None:
    decisions = []
    for share in ("0.1", "0.5"):
        (shown,) = json.loads(kept.run("show", PROTOCOL, "--share", share, "--json").stdout)
        decisions.append([claim["delay"]["decisions"] for claim in shown["claims"]])
    for rare, often in zip(*decisions, strict=True):
        assert rare == pytest.approx(5 * often)


@pytest.mark.parametrize("share", ["0", "-0.1", "1.01", "NaN", "often", ""])
def test_a_share_that_is_none_is_refused(kept: Kept, share: str) -> None:
    done = kept.run("show", "--share", share)
    assert done.returncode == Status.USAGE
    assert "--share" in done.stderr


def test_a_protocol_that_is_none_is_refused(kept: Kept) -> None:
    done = kept.run("show", "no-such-protocol")
    assert done.returncode != Status.DONE
    assert "no protocol of that id" in done.stderr
