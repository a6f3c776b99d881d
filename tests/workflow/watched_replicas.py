"""Houses whose fleet tests watch: three models on one server, at the addresses that a test names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.workflow.fleet_watch import Watch, look_at_fleet
from arbiter.workflow.house import House
from tests.fleet.files import fleet_file
from tests.houses import ShiftableClock, a_house
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.system.service import until

MODELS = ("respiratory", "circulation", "infection")
WAIT_SECONDS = 40.0


def settings_in(folder: Path, urls: Sequence[str], *names: str) -> Settings:
    """Settings of an installation with these models on one server of these replicas."""
    write_bundle(
        folder / "own" / "mine",
        protocol_text(
            "deterioration",
            *(seat(name, name, "specialists") for name in names or MODELS),
            panel_seconds=25,
        ),
    )
    return Settings(
        data=folder / "data",
        mode=Mode.DEMONSTRATION,
        secure_cookies=False,
        workers=False,
        protocols=folder / "own",
        fleet=fleet_file(folder, {"specialists": list(urls)}),
    )


@asynccontextmanager
async def fleet_house(
    folder: Path, database: Database, *urls: str, running: bool = False, names: Sequence[str] = MODELS
) -> AsyncIterator[House]:
    settings = settings_in(folder, urls or ("http://127.0.0.1:9",), *names)
    async with a_house(
        folder / "data", database, ShiftableClock(), running=running, settings=settings
    ) as house:
        yield house


async def seen_when(house: House, condition: Callable[[Watch], bool]) -> Watch:
    """Look until the condition holds, and return what was seen then."""

    async def look() -> Watch | None:
        watch = await look_at_fleet(house)
        return watch if condition(watch) else None

    watch: Watch = await until(look, WAIT_SECONDS)
    return watch
