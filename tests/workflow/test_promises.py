"""What the hazard log promises of a whole house: unseen before the seal, once after a crash, refused after a rollback."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arbiter.audit.entry import Entry
from arbiter.errors import ConfigurationError, ConflictError
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.settings import Settings
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.wiring import open_house
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.errands import Errands
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reading import certificate, decision, follow, receipt, view_case
from arbiter.workflow.releasing import release_sealed
from tests.houses import ShiftableClock, a_client, a_house, settle, settled, submission


class DeadAfterIntake(Errands):
    """A process that is killed once a case is committed: no work on it ever begins."""

    def start(self, case: CaseId, work: Coroutine[Any, Any, None]) -> None:
        work.close()


async def entry_types(house: House, case: CaseId) -> Counter[str]:
    async with house.store.read() as transaction:
        entries = await load_entries(transaction, case)
    return Counter(Entry.from_bytes(body).type for _, body, _ in entries)


async def hand_in(house: House, client: Principal, key: str) -> CaseId:
    return (await submit(house, client, submission(house.clock.now()), key, key.encode())).case


async def test_a_decision_that_is_not_sealed_is_told_to_nobody(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        case = await hand_in(house, client, "key-1")
        await house.errands.finish(10)
        view = await view_case(house, client, case)
        assert (view.phase, view.decided_by) == (Phase.DECIDED, None)
        for look in (decision, certificate, receipt):
            with pytest.raises(ConflictError, match="is decided"):
                await look(house, client, case)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(follow(house, client, case))
        await house.sealer.round()
        assert (await decision(house, client, case)).option == "continue-monitoring"


async def test_a_case_that_a_killed_process_left_is_decided_once_by_another(
    database: Database, tmp_path: Path
) -> None:
    clock = ShiftableClock()
    # The grace of the process that took the case in is over for the queue, which goes by the database's clock.
    clock.advance(timedelta(seconds=-20))
    async with a_house(tmp_path, database, clock, running=False) as house:
        client, _ = await a_client(house)
        case = await hand_in(replace(house, errands=DeadAfterIntake()), client, "key-1")
        assert (await view_case(house, client, case)).phase is Phase.DELIBERATING
    async with a_house(tmp_path, database, clock, workers=True) as house:
        assert (await settled(house, client, case)).phase is Phase.RELEASED
        await settle(house)
        types = await entry_types(house, case)
        assert (types["opinion.recorded"], types["case.decided"], types["case.released"]) == (5, 1, 1)
        assert (await verify_log(house, (tmp_path / "checkpoint").read_bytes())).chains == 1


async def test_two_processes_that_release_at_once_release_each_decision_once(
    database: Database, tmp_path: Path
) -> None:
    async with (
        a_house(tmp_path, database, running=False) as one,
        a_house(tmp_path, database, running=False) as other,
    ):
        client, _ = await a_client(one)
        cases = [await hand_in(one, client, f"key-{number}") for number in range(8)]
        await one.errands.finish(10)
        one.sealer.then(lambda: asyncio.sleep(0))
        await one.sealer.round()
        assert sum(await asyncio.gather(release_sealed(one), release_sealed(other))) == len(cases)
        for case in cases:
            assert (await entry_types(one, case))["case.released"] == 1


async def test_a_database_behind_the_kept_checkpoint_is_refused(
    database: Database, module_database: Database, tmp_path: Path
) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        await hand_in(house, client, "key-1")
        await house.errands.finish(10)
        await house.sealer.round()
    with pytest.raises(ConfigurationError, match="rolled back or is another one"):
        async with a_house(tmp_path, module_database, running=False):
            pass


async def test_a_log_without_its_kept_checkpoint_is_refused(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False) as house:
        client, _ = await a_client(house)
        await hand_in(house, client, "key-1")
        await house.errands.finish(10)
        await house.sealer.round()
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(ConfigurationError, match="is missing; restore that file"):
        async with a_house(tmp_path, database, running=False):
            pass


async def test_a_data_folder_of_another_log_is_refused(database: Database, tmp_path: Path) -> None:
    async with a_house(tmp_path, database, running=False):
        pass
    settings = Settings(data=tmp_path, database_url=database.app_url, origin="log.elsewhere.example/arbiter")
    with pytest.raises(ConfigurationError, match=r"ARBITER_ORIGIN is log\.elsewhere\.example/arbiter"):
        async with open_house(settings):
            pass
