"""A log of concluded cases before and after the thermometers were exchanged, and houses that watch it."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbiter.calibrating.drifting import Run, Watched
from arbiter.documents.canonical import decode
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.model import CaseId
from arbiter.ports import Clock
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.drifts import load_states
from arbiter.store.house_chain import HOUSE_CHAIN, load_house_documents_named
from arbiter.workflow.drift.adding import DOCUMENT
from arbiter.workflow.drift.kept import open_watched
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.subjects import SubjectRef
from tests.conftest import SeededChance
from tests.databases import Copies
from tests.houses import PASSWORD, SITE, a_client, a_house, submission

TEMPERATURE = "fact.temperature"
REFERENCE = 40
WINDOW = 25
CALM, TRAINING, MOVED = 60, 6, 45

BEFORE = ("36.1", "36.2", "36.6", "36.8")
"""As the old thermometers read it; no score has a point for any of these."""
AFTER = ("37.5", "37.6", "37.7", "37.8")
"""As the new ones do: nor for any of these, so that no member answers otherwise."""


@dataclass(frozen=True)
class Logs:
    """Databases to copy: sealed before the exchange, and after it."""

    copies: Copies
    folders: Mapping[str, Path]
    calm: str
    moved: str

    @asynccontextmanager
    async def house(self, copy: str, folder: Path, **settings: Any) -> AsyncIterator[House]:
        """Yield a house on a copy of its own, which does nothing by itself."""
        data = folder / "data"
        shutil.copytree(self.folders[copy], data)
        with self.copies.another(copy) as database:
            async with on(database, data, **settings) as house:
                yield seeded(house)


def seeded(house: House, seed: int = 20261127) -> House:
    """The same house, whose theta falls the same in every run."""
    return replace(house, chance=SeededChance(seed))


def settings_in(data: Path, **changes: Any) -> Settings:
    standard: dict[str, Any] = {"drift_delta": Decimal("0.5"), "mode": Mode.DEMONSTRATION}
    return Settings(data=data, secure_cookies=False, workers=False, **(standard | changes))


def on(database: Database, data: Path, clock: Clock | None = None, **settings: Any) -> Any:
    return a_house(data, database, clock, settings=settings_in(data, **settings), running=False)


async def conclude(
    house: House, client: Principal, name: str, *, training: bool = False, **changes: Any
) -> CaseId:
    """Submit a case about a patient of that name, and let its panel conclude."""
    made = replace(
        submission(house.clock.now(), **changes),
        subject=SubjectRef("urn:example:patients", name),
        training=training,
    )
    case = (await submit(house, client, made, name, name.encode())).case
    await house.errands.finish(30)
    return case


async def conclude_many(
    house: House,
    client: Principal,
    label: str,
    number: int,
    temperatures: tuple[str, ...],
    *,
    training: bool = False,
) -> None:
    chance = random.Random(label)
    for at in range(number):
        await conclude(
            house,
            client,
            f"{label}-{at}",
            training=training,
            temperature=(Decimal(chance.choice(temperatures)), "Cel"),
            heart_rate=(Decimal(chance.randint(60, 85)), "/min"),
            age=(Decimal(chance.randint(20, 50)), "a"),
        )
    await seal(house)


async def seal(house: House) -> None:
    await house.errands.finish(30)
    for _ in range(2):
        await house.sealer.round()


async def fill(folder: Path, database: Database, copies: Copies) -> Logs:
    async with on(database, folder) as house:
        client, _ = await a_client(house)
        await conclude_many(house, client, "calm", CALM, BEFORE)
    calm = copies.take()
    before = shutil.copytree(folder, folder.with_name("before"))
    async with on(database, folder) as house:
        client, _ = await a_client(house, "another ward")
        await conclude_many(house, client, "training", TRAINING, AFTER, training=True)
        await conclude_many(house, client, "moved", MOVED, AFTER)
    moved = copies.take()
    return Logs(copies, {calm: before, moved: folder}, calm, moved)


async def watched_in(house: House) -> Watched | None:
    """What is kept of the shipped protocol's version, None before its first case."""
    version = house.shelf.in_force("deterioration").protocol.content_hash
    kept = (await load_states(house.store, [version])).get(version)
    return None if kept is None else open_watched(house.vault, version, kept)


async def temperature_in(house: House) -> Run:
    watched = await watched_in(house)
    assert watched is not None
    run = watched.run(TEMPERATURE)
    assert run is not None
    return run


async def counts_in(house: House) -> dict[str, tuple[int, ...]]:
    """How many cases fell into each bin of each stream: the same, however theta fell."""
    watched = await watched_in(house)
    return {} if watched is None else {run.stream: run.drift.counts for run in watched.runs}


async def cases_in(house: House) -> int:
    watched = await watched_in(house)
    return 0 if watched is None else watched.cases


async def read_so_far(house: House) -> int:
    rows = await house.store.run("SELECT leaves FROM drift_cursor", {})
    return int(rows[0][0]) if rows else 0


async def entered(house: House) -> list[dict[str, Any]]:
    """What the log's entries about drift commit to."""
    found = await load_house_documents_named(house.store, HOUSE_CHAIN, DOCUMENT)
    return [decode(document.content) for document in found]


async def a_person(house: House, login: str, *roles: Role) -> Principal:
    return await create_account(
        house.identities, house.clock, house.chance, login, login.title(), PASSWORD, frozenset(roles), frozenset({SITE})
    )  # fmt: skip
