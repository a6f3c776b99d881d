"""A house with two models that tests turn, and whose canary they run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arbiter.documents.canonical import decode
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.protocols.bundle import EXAMPLES_FILE
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.workflow.canaries import LatestCanary, latest_canaries
from arbiter.workflow.canary.asked_for import run_now
from arbiter.workflow.canary.cases import canary_set
from arbiter.workflow.house import House
from tests.conftest import SettableClock
from tests.houses import PASSWORD, SITE
from tests.panels.model_bundles import protocol_text, shipped_text, write_bundle
from tests.panels.moody_server import Moods

CASES = 6
MIDNIGHT = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


@dataclass
class Ward:
    house: House
    moods: Moods
    clock: SettableClock

    async def run(self) -> dict[str, LatestCanary]:
        await run_now(self.house, "moody")
        return await self.latest()

    async def latest(self) -> dict[str, LatestCanary]:
        return await latest_in(self.house)

    async def documents(self) -> list[dict[str, Any]]:
        found = await load_house_documents_named(self.house.store, HOUSE_CHAIN, "canary")
        return [decode(document.content) for document in found]

    async def person(self, login: str, *roles: Role) -> Principal:
        return await create_account(
            self.house.identities, self.house.clock, self.house.chance, login, login, PASSWORD, frozenset(roles), frozenset({SITE})
        )  # fmt: skip


async def latest_in(house: House) -> dict[str, LatestCanary]:
    return {each.member: each for each in await latest_canaries(house) if each.protocol == "moody"}


def bundle_in(folder: Path, *seats: str, examples: int = CASES) -> None:
    bundle = write_bundle(folder / "protocols" / "moody", protocol_text("moody", *seats, panel_seconds=20))
    lines = [json.loads(line) for line in shipped_text(EXAMPLES_FILE).splitlines()]
    # Told apart by the heart rate, so that a test can turn one of them.
    chosen = {
        line["facts"]["heart_rate"]["value"]: line
        for line in reversed(lines)
        if "heart_rate" in line["facts"]
    }
    kept = [json.dumps(line) for line in list(chosen.values())[-examples:]] if examples else []
    (bundle / EXAMPLES_FILE).write_text("\n".join(kept) + "\n", "utf-8")


def heart_of_the_first(ward: Ward) -> str:
    """What tells the first case from the others."""
    heart = canary_set(ward.house.shelf.in_force("moody")).cases[0].taken.facts.get("heart_rate")
    assert heart is not None
    return str(heart.value)


def turn_one_case(ward: Ward, model: str, option: str) -> None:
    """Let a model answer one case alone otherwise, at every draw."""
    ward.moods.by_case[model, heart_of_the_first(ward)] = option
