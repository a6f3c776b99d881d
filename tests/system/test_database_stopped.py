"""The database is stopped and started again, twice, under load: the serving process lives, and each case is there once."""

from __future__ import annotations

import asyncio

from tests.system.service import Service, until
from tests.system.test_kill_nine import (
    CASES,
    NOT_ANSWERED,
    Batch,
    all_have_ended,
    check_each_ended_once,
    check_log,
    taken_in,
)


async def restart_in_flight(service: Service, batch: Batch, how: str) -> None:
    """Post the batch, and have the server stopped and started when a third, and when two thirds of it are in."""
    before = taken_in(service)
    posting = asyncio.create_task(batch.post_all(service, until_answered=True))
    for third in (1, 2):

        async def enough(wanted: int = third * CASES // 3) -> bool:
            return posting.done() or taken_in(service) - before >= wanted

        await until(enough, every=0.01)
        done = await asyncio.to_thread(
            service.database._programs.run,
            "pg_ctl", "restart", "-D", str(service.database.folder), "-m", how, "-w", "-t", "15",
            "-l", str(service.database.folder / "start.log"),
        )  # fmt: skip
        # The service may have started it in between: then it is there, and that is what counts, whether `pg_ctl` saw it or waits for an end of the new one.
        if done.returncode != 0:
            await asyncio.to_thread(service.database.start)
    await asyncio.wait_for(posting, 60)
    await all_have_ended(service, set(batch.cases.values()))


def test_a_database_that_is_stopped_as_an_operator_does_loses_no_case(service: Service) -> None:
    check(service, "fast")


def test_a_database_that_is_stopped_without_a_word_loses_no_case(service: Service) -> None:
    check(service, "immediate")


def check(service: Service, how: str) -> None:
    batch = Batch(f"stopped-{how}")
    before = taken_in(service)
    asyncio.run(restart_in_flight(service, batch, how))
    assert service.alive
    assert batch.statuses[NOT_ANSWERED] == 0, "the service hung up instead of answering"
    cases = set(batch.cases.values())
    assert len(cases) == CASES
    assert taken_in(service) == before + CASES
    check_each_ended_once(service, cases)
    asyncio.run(check_log(service))
    done = service.arbiter("audit", "verify")
    assert done.returncode == 0, done.stderr
    assert "none missing against the kept checkpoint" in done.stdout
