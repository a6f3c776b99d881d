"""Running houses for tests: every part real, on the test session's PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from arbiter.audit.entry import Entry
from arbiter.clock import SystemChance, SystemClock
from arbiter.identity.accounts import create_account
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId, FactStatus, FactValue, RiskClass
from arbiter.ports import Clock
from arbiter.protocols.intake import RawFact
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.keys import init_keys, read_keys
from arbiter.store.log.chains import load_entries
from arbiter.wiring import Ports, open_house_on, run_house
from arbiter.workflow import work_list
from arbiter.workflow.house import House
from arbiter.workflow.intake import Submission
from arbiter.workflow.reading import wait_until_settled
from arbiter.workflow.subjects import SubjectRef
from arbiter.workflow.views import CaseView
from arbiter.workflow.work_list import WorkItem

SITE = "north"
PASSWORD = "correct horse battery staple"


class ShiftableClock:
    """The real time plus what a test adds: waits end when the test says so, and leases still run."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def advance(self, by: timedelta) -> None:
        self.shift += by


@asynccontextmanager
async def a_house(
    folder: Path,
    database: Database,
    clock: Clock | None = None,
    *,
    running: bool = True,
    workers: bool = False,
    settings: Settings | None = None,
) -> AsyncIterator[House]:
    """Yield a house with keys in `folder`; `running` seals and sweeps, `workers` adds the safety net's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if not (folder / "keys").exists():
        init_keys(folder, "log.hospital.example/arbiter", SystemChance())
    if settings is None:
        settings = Settings(data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=workers)
    ports = Ports(clock or SystemClock(), SystemChance())
    async with open_house_on(settings, database, read_keys(folder), ports) as house:
        if SITE not in {site for site, _ in await house.identities.sites()}:
            await add_site(house.identities, SITE, "North Hospital")
        if not running:
            yield house
            return
        async with run_house(house):
            yield house


def another_host(data: Path) -> Path:
    """Make another host's data folder inside this one, as an operator does: the keys and the kept checkpoint, copied."""
    other = data / "other"
    other.mkdir(mode=0o700)
    shutil.copytree(data / "keys", other / "keys")
    shutil.copy2(data / "checkpoint", other / "checkpoint")
    return other


async def a_client(house: House, name: str = "ward system") -> tuple[Principal, str]:
    """Register an integration client of `SITE`; return it with its token."""
    return await register_client(
        house.identities,
        house.clock,
        house.chance,
        name,
        frozenset({Role.INTEGRATION_CLIENT}),
        frozenset({SITE}),
    )


async def a_reviewer(house: House, login: str = "anna", role: Role = Role.REVIEWER) -> Principal:
    """Make a reviewer's account with `PASSWORD`."""
    return await create_account(
        house.identities,
        house.clock,
        house.chance,
        login,
        login.capitalize(),
        PASSWORD,
        frozenset({role}),
        frozenset({SITE}),
    )


CALM: dict[str, tuple[FactValue, str | None]] = {
    "age": (Decimal(54), "a"),
    "pregnant": (False, None),
    "treatment_limitation": ("none", None),
    "respiratory_rate": (Decimal(15), "/min"),
    "spo2": (Decimal(97), "%"),
    "supplemental_oxygen": (False, None),
    "systolic_bp": (Decimal(124), "mm[Hg]"),
    "diastolic_bp": (Decimal(78), "mm[Hg]"),
    "heart_rate": (Decimal(72), "/min"),
    "consciousness": ("alert", None),
    "temperature": (Decimal("36.8"), "Cel"),
    "white_cell_count": (Decimal("7.2"), "10*9/L"),
}
"""A patient about whom every voting score agrees: nothing is urgent."""


def facts(now: datetime, **changes: tuple[FactValue, str | None] | None) -> dict[str, RawFact]:
    """Return the calm patient's facts, just observed, with changes; None leaves a fact out."""
    chosen = {**CALM, **changes}
    return {
        name: RawFact(value[0], value[1], now - timedelta(minutes=5), FactStatus.FINAL.value, "test")
        for name, value in chosen.items()
        if value is not None
    }


def submission(now: datetime, **changes: tuple[FactValue, str | None] | None) -> Submission:
    """Return a case about a made-up patient."""
    return Submission(
        protocol="deterioration",
        site=SITE,
        subject=SubjectRef("urn:example:patients", "made-up-1"),
        encounter="visit-1",
        risk_class=RiskClass.URGENT,
        facts=facts(now, **changes),
    )


async def types_of(house: House, case: str) -> list[str]:
    """Return the types of a chain's entries, oldest first."""
    async with house.store.read() as transaction:
        return [Entry.from_bytes(body).type for _, body, _ in await load_entries(transaction, case)]


SETTLING_SECONDS: Final = 60.0
"""How long a house is waited for before it counts as stuck. A slow machine is no fault, and a quick one does not wait."""


async def settled(house: House, client: Principal, case: CaseId) -> CaseView:
    """Return a case as it stands once it has come to rest."""
    return await wait_until_settled(house, client, case, SETTLING_SECONDS)


async def settle(house: House, seconds: float = SETTLING_SECONDS) -> None:
    """Wait until nothing is in hand and everything is sealed and released."""
    async with asyncio.timeout(seconds):
        await house.errands.finish(seconds)
        await house.sealer.request()


async def listed_for(house: House, principal: Principal) -> tuple[WorkItem, ...]:
    """Return the cases that a reviewer holds and those that wait, by urgency."""
    listed = await work_list.look(house, principal)
    return tuple(sorted((*listed.mine, *listed.waiting), key=work_list.by_urgency))
