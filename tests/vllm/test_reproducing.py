"""Recorded cases before a real vLLM on one thread, asked again with the recorded bytes: the same words, every one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId, MemberStatus
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import SETTLED, wait_until_settled
from arbiter.workflow.reproducing import Outcome, Reproduced, reproduce_case
from tests.fleet.files import fleet_file
from tests.houses import PASSWORD, SITE, a_client, a_house, submission
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.vllm.server import VllmServer, a_vllm

CASES = 12 if os.environ.get("CI") else 50
"""Fifty take a quarter of an hour."""
PANEL_SECONDS = 240
TOKENS = 64

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]


async def recorded(house: House, client: Principal, number: int) -> CaseId:
    """Hand in one of fifty patients, no two with the same heart rate, and wait until the panel is through."""
    case = submission(house.clock.now(), heart_rate=(Decimal(60 + number), "/min"))
    submitted = await submit(house, client, replace(case, protocol="reproduced"), f"key-{number}", b"body")
    view = await wait_until_settled(house, client, submitted.case, PANEL_SECONDS + 30)
    assert view.phase in SETTLED
    return submitted.case


@pytest.fixture
def vllm(vllm_python: Path, models: Path) -> Iterator[VllmServer]:
    """A server whose answers depend on nothing but the request: the others' does not compute alone."""
    with a_vllm(vllm_python, models, batch_invariant=True) as server:
        yield server


async def test_recorded_cases_are_answered_in_the_same_words(
    vllm: VllmServer, database: Database, tmp_path: Path
) -> None:
    seats = [seat(name, name, "cpu") for name in vllm.adapters]
    text = protocol_text("reproduced", *seats, panel_seconds=PANEL_SECONDS)
    # Noise goes on to the limit, and one sequence is computed at a time.
    text = text.replace("max_tokens: 512", f"max_tokens: {TOKENS}")
    write_bundle(tmp_path / "protocols" / "reproduced", text)
    settings = Settings(
        data=tmp_path,
        mode=Mode.DEMONSTRATION,
        workers=False,
        protocols=tmp_path / "protocols",
        fleet=fleet_file(tmp_path, {"cpu": vllm.url}),
    )
    found: list[Reproduced] = []
    async with a_house(tmp_path, database, settings=settings) as house:
        client, _ = await a_client(house)
        auditor = await create_account(
            house.identities, house.clock, house.chance, "ada", "Ada", PASSWORD, [Role.AUDITOR], [SITE]
        )
        for number in range(CASES):
            found += await reproduce_case(house, auditor, await recorded(house, client, number))
    assert [each for each in found if each.outcome is not Outcome.EQUAL] == []
    models = [each for each in found if each.kind == "vllm"]
    assert len(models) == CASES * len(vllm.adapters)
    assert not any(each.changed for each in models)
    statuses = Counter((str(each.member), each.then.status) for each in models)
    assert statuses["voting", MemberStatus.VALID] == CASES
    # The model that writes noise is the one that could differ: else equal words would say little.
    assert statuses["unchanged", MemberStatus.INVALID] > CASES / 2
