"""SIGKILL of a process that erases, between each two steps: at the next start the case is erased whole, or was never to be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from arbiter.errors import ErasedError
from arbiter.identity.clients import authenticate_client
from arbiter.lifecycle.states import Erasure
from arbiter.model import CaseId
from arbiter.store.cases.heads import load_case
from arbiter.wiring import open_house, run_house
from arbiter.workflow.auditing import verify_log
from arbiter.workflow.erasure.clearing import erasures_standing
from arbiter.workflow.reading import read_content
from tests.houses import PASSWORD, types_of
from tests.patience import PATIENCE_SECONDS
from tests.system.dying_eraser import POINTS
from tests.system.service import ROOT, Service, a_service, environment, until
from tests.workflow.erasures import an_officer, checkpoint_database, live_files_with
from tests.workflow.post import a_case

LISTED = POINTS.index("listed")


async def furnish(service: Service) -> dict[str, CaseId]:
    async with open_house(service.settings) as house, run_house(house):
        client = await authenticate_client(house.identities, house.clock, service.token)
        cases = {point: await a_case(house, client, point) for point in POINTS}
        await house.errands.finish(20)
        await house.sealer.request()
        await an_officer(house)
        return cases


def erase_and_die(data: Path, case: CaseId, point: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.system.dying_eraser", point, "erase", case, "--as", "olga", "--password-stdin"],
        cwd=ROOT, env=environment(data, ARBITER_RETENTION_DAYS="0"), input=f"{PASSWORD}\n".encode(),
        capture_output=True, check=False, timeout=PATIENCE_SECONDS,
    ).returncode  # fmt: skip


def wrapped_key(service: Service, case: CaseId) -> bytes | None:
    with service.superuser() as connection:
        row = connection.execute("SELECT wrapped FROM case_key WHERE case_id = %s", (case,)).fetchone()
    return None if row is None else bytes(row[0])


async def begin_again(service: Service) -> None:
    """What the next start does, whatever it is for."""
    async with open_house(service.settings):
        pass


async def start_again(service: Service, cases: dict[str, CaseId]) -> None:
    async with open_house(service.settings) as house:
        client = await authenticate_client(house.identities, house.clock, service.token)
        for point, case in cases.items():
            row = await load_case(house.store, case)
            erased = (await types_of(house, case)).count("case.erased")
            assert erased == (POINTS.index(point) >= LISTED), (
                "one entry of an erasure, none of what was never to be"
            )
            if POINTS.index(point) < LISTED:
                assert row.state.erasure is None, point
                await read_content(house, client, case)
                continue
            assert row.state.erasure is Erasure.KEY_DESTROYED, point
            with pytest.raises(ErasedError):
                await read_content(house, client, case)
        listed = house.erasures.read()
        assert listed is not None
        assert listed.done == {case for point, case in cases.items() if POINTS.index(point) >= LISTED}
        assert not listed.intended
        async with run_house(house):
            await until(lambda: all_cleared(house))
        await verify_log(house, service.kept.read_bytes())


async def all_cleared(house: object) -> bool:
    standing = await erasures_standing(house)  # type: ignore[arg-type]
    return all(found.erasure.cleared_at is not None for found in standing)


@pytest.mark.timeout(600)
def test_whoever_is_killed_erasing_leaves_a_case_that_is_whole_or_gone() -> None:
    with a_service() as service:
        cases = asyncio.run(furnish(service))
        keys = {case: wrapped_key(service, case) for case in cases.values()}
        for point in POINTS:
            assert erase_and_die(service.data, cases[point], point) == -9, f"it was not killed at {point}"
            asyncio.run(begin_again(service))
        asyncio.run(start_again(service, cases))
        checkpoint_database(service.database.superuser_url)
        for point, case in cases.items():
            key = keys[case]
            assert key is not None
            gone = POINTS.index(point) >= LISTED
            assert (wrapped_key(service, case) is None) == gone, point
            assert bool(live_files_with(service.database.folder, key)) != gone, point
        with pytest.raises(psycopg.errors.UniqueViolation), service.superuser() as connection:
            # One erasure each.
            connection.execute("INSERT INTO erasure SELECT * FROM erasure")
