"""Houses that ask witnesses: real witness processes on loopback, liars, and the file that names them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from arbiter.audit.note import VerifierKey
from arbiter.clock import SystemChance
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.ports import Clock
from arbiter.settings import Mode, Settings
from arbiter.store.database import Database
from arbiter.store.keys import init_keys
from arbiter.witness.store import WitnessStore
from arbiter.workflow.house import House
from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.reading import view_case
from arbiter.workflow.review import claim, commit_opinion, reveal, sign
from tests.cosigning import liars
from tests.houses import a_house, a_reviewer, settle
from tests.witness.processes import WitnessProcess, a_witness
from tests.workflow.post import EXCLUDED, a_case

_numbers = itertools.count(1)
PATIENCE_SECONDS = 15.0


@dataclass
class Someone:
    """A witness as the file names it; `process` where it is a real one."""

    name: str
    key: VerifierKey
    url: str
    process: WitnessProcess | None = None


@contextmanager
def real_witnesses(folder: Path, number: int) -> Iterator[tuple[Someone, ...]]:
    """Start so many witnesses, each a process with a folder of its own."""
    if number == 0:
        yield ()
        return
    place = folder / f"w{number}"
    place.mkdir()
    with a_witness(place, f"witness.example/w{number}") as (process, key):
        one = Someone(f"witness-{number}", key, process.url, process)
        with real_witnesses(folder, number - 1) as others:
            yield (*others, one)


def write_file(path: Path, witnesses: Sequence[Someone], quorum: Mapping[str, int]) -> Path:
    lines = ["witnesses:"]
    for witness in witnesses:
        lines += [f"  - name: {witness.name}", f"    key: {witness.key.encode()}", f"    url: {witness.url}"]
    lines += ["quorum:", *(f"  {name}: {quorum.get(name, 0)}" for name in ("routine", "urgent", "emergency"))]
    path.write_text("\n".join(lines) + "\n")
    return path


def new_keys(folder: Path, witnesses: Sequence[Someone]) -> VerifierKey:
    """Make a log's keys under an origin of its own and have the real witnesses trust it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    keyring = init_keys(folder, f"log.hospital.example/{next(_numbers)}", SystemChance())
    key = keyring.first[0]
    for witness in witnesses:
        if witness.process is not None:
            WitnessStore(witness.process.folder).trust(key.name, key)
    return key


@asynccontextmanager
async def a_witnessed_house(
    folder: Path,
    database: Database,
    witnesses: Sequence[Someone],
    quorum: Mapping[str, int],
    clock: Clock | None = None,
    *,
    running: bool = True,
) -> AsyncIterator[House]:
    """A house whose urgent cases (what tests hand in) need so many of these witnesses."""
    if not (folder / "keys").exists():
        new_keys(folder, witnesses)
    file = write_file(folder / "witnesses.yaml", witnesses, quorum)
    settings = Settings(
        data=folder, mode=Mode.DEMONSTRATION, secure_cookies=False, workers=False, witnesses=file
    )
    async with a_house(folder, database, clock, running=running, settings=settings) as house:
        yield house


def liar(url: str, name: str = "liar") -> Someone:
    return Someone(name, liars.KEY, url)


NOWHERE = Someone("nowhere", liars.KEY, "http://127.0.0.1:9")


async def eventually(
    house: House, client: Principal, case: CaseId, phase: Phase, seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until others have moved the case there."""
    async with asyncio.timeout(seconds):
        while (await view_case(house, client, case)).phase is not phase:  # noqa: ASYNC110 - another task moves it
            await asyncio.sleep(0.05)


async def signed_by_a_reviewer(house: House, client: Principal) -> CaseId:
    anna = await a_reviewer(house)
    case = await a_case(house, client, "reviewed", **EXCLUDED)
    await settle(house)
    await claim(house, anna, case)
    await commit_opinion(house, anna, case, OwnOpinion("urgent-review", 80, (), "as I see it"))
    await reveal(house, anna, case)
    await sign(house, anna, case, "urgent-review", "")
    return case


def seconds(at: datetime) -> int:
    return int(at.timestamp())
