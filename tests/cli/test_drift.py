"""`arbiter guarantee drift` by command: before any case, under an alarm, and once somebody looked into it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from arbiter.cli.failing import Status
from arbiter.cli.guarantee.drift import _evidence
from arbiter.identity.roles import Role
from arbiter.wiring import open_house
from arbiter.workflow.drift import adding
from arbiter.workflow.drift.standings import StreamStanding
from arbiter.workflow.drift.taking import catch_up
from tests.cli.conftest import run_process
from tests.houses import PASSWORD, SITE, a_client
from tests.system.service import Service
from tests.workflow.drift.wards import (
    AFTER,
    BEFORE,
    CALM,
    MOVED,
    REFERENCE,
    TEMPERATURE,
    WINDOW,
    a_person,
    conclude_many,
    seeded,
)

pytestmark = pytest.mark.timeout(600)

WHY = "new thermometers since Monday"


class Kept:
    """An installation, by command."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def run(
        self, *arguments: str, said: str = "", group: str = "guarantee"
    ) -> subprocess.CompletedProcess[str]:
        return run_process(self.service.data, {"COLUMNS": "300"}, group, *arguments, said=said)

    def acknowledge(self, login: str, *said: str, reason: str = WHY) -> subprocess.CompletedProcess[str]:
        named = said or ("deterioration", TEMPERATURE)
        arguments = ("acknowledge-drift", *named, "--reason", reason, "--as", login, "--password-stdin")
        return self.run(*arguments, said=f"{PASSWORD}\n")

    def temperature(self) -> dict[str, Any]:
        (found,) = [
            row for row in json.loads(self.run("drift", "--json").stdout) if row["stream"] == TEMPERATURE
        ]
        return dict(found)

    def doctor(self) -> dict[str, str]:
        (found,) = [
            each for each in json.loads(self.run("--json", group="doctor").stdout) if each["check"] == "drift"
        ]
        return dict(found)


@pytest.fixture(scope="module")
def kept(installation: Service) -> Iterator[Kept]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(adding, "REFERENCE", REFERENCE)
        patched.setattr(adding, "WINDOW", WINDOW)
        yield Kept(installation)


async def furnish(service: Service) -> None:
    """Let cases conclude before and after the thermometers are exchanged, and count them."""
    settings = service.settings.model_copy(update={"drift_delta": Decimal("0.5")})
    async with open_house(settings) as opened:
        house = seeded(opened)
        if SITE not in {site for site, _ in await house.identities.sites()}:
            pytest.fail("the installation has another site")
        client, _ = await a_client(house)
        await conclude_many(house, client, "calm", CALM, BEFORE)
        await conclude_many(house, client, "moved", MOVED, AFTER)
        await catch_up(house)
        await a_person(house, "paula", Role.POLICY_APPROVER)
        await a_person(house, "otto", Role.POLICY_AUTHOR)


def test_before_any_case_there_is_nothing_to_show(kept: Kept) -> None:
    done = kept.run("drift")
    assert (done.returncode, done.stdout) == (Status.DONE, "")
    assert json.loads(kept.run("agreement", "--json").stdout) == []


def test_shown_told_by_the_doctor_and_acknowledged(kept: Kept) -> None:
    asyncio.run(furnish(kept.service))
    shown = kept.run("drift")
    assert shown.returncode == Status.FAILED
    (line,) = [line for line in shown.stdout.splitlines() if TEMPERATURE in line]
    assert "1 in " in line
    row = kept.temperature()
    assert (row["cases"], row["reference"], row["anew"]) == (CALM + MOVED, REFERENCE, 0)
    assert row["one_in"] > 30
    assert row["alarmed"] is not None
    windows = json.loads(kept.run("agreement", "--json").stdout)
    assert {each["window"] for each in windows if each["asks"] == "question"} == set(
        range((CALM + MOVED) // WINDOW)
    )

    found = kept.doctor()
    assert found["state"] == "warn"
    assert f"moved: deterioration {TEMPERATURE} since " in found["found"]

    for refused in (
        kept.acknowledge("otto"),
        kept.acknowledge("paula", reason="  "),
        kept.acknowledge("paula", "deterioration", "fact.heart_rate"),
        kept.run("acknowledge-drift", "deterioration", TEMPERATURE, "--as", "paula"),
    ):
        assert refused.returncode != Status.DONE
    assert kept.temperature() == row

    done = kept.acknowledge("paula")
    assert done.returncode == Status.DONE, done.stderr
    assert f"{TEMPERATURE}: acknowledged the alarm of " in done.stdout
    shown = kept.run("drift")
    assert (shown.returncode, WHY in shown.stdout) == (Status.DONE, False)
    row = kept.temperature()
    assert (row["cases"], row["one_in"], row["alarmed"], row["anew"]) == (0, None, None, 1)
    assert kept.doctor()["state"] == "ok"
    again = kept.acknowledge("paula")
    assert again.returncode != Status.DONE
    assert "there are none" in again.stderr


STANDING = StreamStanding("deterioration", "1.0.0", TEMPERATURE, 0, 620, 500, 41.2, None)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (STANDING, "1 in 41"),
        (replace(STANDING, one_in=1.0), "1 in 1"),
        (replace(STANDING, one_in=1e12), "1 in 1,000,000,000,000"),
        (replace(STANDING, cases=17, one_in=None), "none yet: 17 of its first 500 cases"),
    ],
)
def test_evidence_is_told_in_words(standing: StreamStanding, words: str) -> None:
    assert _evidence(standing) == words
