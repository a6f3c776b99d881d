"""Work that has to end does so in its own time and to its end, however often it is cancelled and whatever loses that."""

from __future__ import annotations

import asyncio

import pytest

from arbiter.store.database import Database, conninfo
from arbiter.workflow import queue, standing_work
from arbiter.workflow.standing_work import end_all, to_its_end


async def test_a_sweep_that_loses_its_cancellation_keeps_no_dead_worker_from_being_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SWEEP_SECONDS", 0.0)
    sweeping, lost = asyncio.Event(), asyncio.Event()

    async def stalled(*_: object, **__: object) -> list[object]:
        """As the pool of connections does when one is handed over in the same moment."""
        if not sweeping.is_set():
            sweeping.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost.set()
        await asyncio.sleep(0)
        return []

    async def cut_off(*_: object, **__: object) -> None:
        await sweeping.wait()
        raise ConnectionError("the database has gone")

    net = queue.SafetyNet(conninfo(database.app_url))
    monkeypatch.setattr(net._app.job_manager, "get_stalled_jobs", stalled)
    monkeypatch.setattr(net._app, "run_worker_async", cut_off)
    with pytest.raises(ConnectionError, match="has gone"):
        await asyncio.wait_for(net.work(lambda *_: asyncio.sleep(0)), 20)
    assert lost.is_set()


async def test_a_worker_ends_in_its_own_time_however_often_its_house_says_stop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_work, "AGAIN_SECONDS", 0.05)
    working = asyncio.Event()
    became: list[str] = []

    async def a_worker(*_: object, **__: object) -> None:
        working.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await ends_its_job()

    async def ends_its_job() -> None:
        try:
            await asyncio.sleep(0.5)
        except asyncio.CancelledError:
            became.append("cut short")
            raise
        became.append("job ended")

    async def close(*_: object) -> None:
        await asyncio.sleep(0.2)
        became.append("connections closed")

    net = queue.SafetyNet(conninfo(database.app_url))
    monkeypatch.setattr(net._app, "run_worker_async", a_worker)
    monkeypatch.setattr(net._app, "close_async", close)
    task = asyncio.create_task(net.work(lambda *_: asyncio.sleep(0)))
    await asyncio.wait_for(working.wait(), 10)
    await asyncio.wait_for(end_all([task]), 10)
    assert became == ["job ended", "connections closed"]
    assert task.cancelled()


async def test_what_is_seen_to_its_end_raises_what_it_raised_and_then_the_cancellation() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.1)
        done.append("done")

    async def fails() -> None:
        raise KeyError("whatever it was")

    seen = asyncio.create_task(to_its_end(work()))
    for _ in range(3):
        await asyncio.sleep(0.01)
        seen.cancel()
    with pytest.raises(asyncio.CancelledError):
        await seen
    assert done == ["done"]
    with pytest.raises(KeyError, match="whatever it was"):
        await to_its_end(fails())
