"""The safety net under every case in deliberation: a job that takes it up again should its process die.

The process that takes a case in works on it at once; the job waits some seconds and is dropped in the transaction that
concludes the case. Jobs are procrastinate's, in the same database and in the business transaction, so that a rollback
drops the job as well: a new case's statement calls procrastinate's own SQL function, an amendment's goes by its API.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException

from arbiter.errors import UnavailableError
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.taking_in import NewJob
from arbiter.store.transaction import Transaction, driver_connection
from arbiter.telemetry.catalogue import CASE, LAST_ATTEMPT, TAKE_UP
from arbiter.telemetry.spans import link_to, outgoing_headers, spanned
from arbiter.workflow.standing_work import end_all, to_its_end

log = logging.getLogger(__name__)

GRACE = timedelta(seconds=5)
"""How long the process that took a case in has it to itself."""

ATTEMPTS = 3
RETRY_SECONDS = 2
POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 2.0
STALE_SECONDS = 8.0
SWEEP_SECONDS = 5.0
STOP_SECONDS = 5.0
WAIT_SECONDS = 10.0
ENDING_SECONDS = STOP_SECONDS + WAIT_SECONDS
"""How long a worker may take to end in good order: its jobs first, then its name in the database."""

CONCURRENCY = 64
CONNECTIONS = 4
QUEUE = "cases"
TASK = "take-up"

_PRIORITY = {RiskClass.ROUTINE: 0, RiskClass.URGENT: 10, RiskClass.EMERGENCY: 20}

TakeUp = Callable[[CaseId, bool], Awaitable[None]]
"""Works on a case; the flag says that this is the last attempt, after which the case must be with a human."""


class SafetyNet:
    """The job queue as the use cases see it."""

    def __init__(self, conninfo: str) -> None:
        self._app = App(
            connector=PsycopgConnector(
                conninfo=conninfo,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=WAIT_SECONDS,
                reconnect_timeout=WAIT_SECONDS,
            )
        )
        self._take_up: TakeUp | None = None
        # Bare retries: what an attempt failed with is logged where it failed.
        self._task = self._app.task(
            name=TASK,
            queue=QUEUE,
            pass_context=True,
            retry=RetryStrategy(max_attempts=ATTEMPTS, wait=RETRY_SECONDS),
        )(self._run)

    async def leave(
        self, transaction: Transaction, case: CaseId, risk_class: RiskClass, now: datetime
    ) -> int:
        """Leave a job for the case in this transaction and return its id."""
        with _unavailable_if_cut_off():
            return await self._task.configure(
                schedule_at=now + GRACE,
                priority=_PRIORITY[risk_class],
                connection=await driver_connection(transaction),
            ).defer_async(case=case, trace=_traceparent())

    @staticmethod
    def job(risk_class: RiskClass, now: datetime) -> NewJob:
        """Return the job that a new case's own statement leaves."""
        return NewJob(QUEUE, TASK, _PRIORITY[risk_class], now + GRACE, _traceparent())

    async def work(self, take_up: TakeUp) -> None:
        """Take up what is left over, until cancelled or cut off from the database; may be called again then."""
        self._take_up = take_up
        try:
            await self._app.open_async()
            await self._sweep_beside(
                self._app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=CONCURRENCY,
                    listen_notify=False,
                    fetch_job_polling_interval=POLL_SECONDS,
                    abort_job_polling_interval=SWEEP_SECONDS,
                    install_signal_handlers=False,
                    delete_jobs="successful",
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=STALE_SECONDS,
                    shutdown_graceful_timeout=STOP_SECONDS,
                )
            )
        finally:
            # Also after a failed opening: the library would take the closed pool for an open one the next time.
            await to_its_end(self._app.close_async())

    async def _run(self, context: JobContext, case: str, trace: str = "") -> None:
        """Take a case up in a trace of its own, linked to the request or amendment that left the job."""
        assert self._take_up is not None
        last = context.job.attempts + 1 >= ATTEMPTS
        with spanned(TAKE_UP, {CASE: case, LAST_ATTEMPT: last}, links=link_to(trace)):
            await self._take_up(CaseId(case), last)

    async def _sweep_beside(self, working: Coroutine[Any, Any, None]) -> None:
        """Work and sweep; when either ends, end both and raise what ended it."""
        worker, sweeper = asyncio.create_task(working), asyncio.create_task(self._sweep())
        try:
            await asyncio.wait((worker, sweeper), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await to_its_end(_end(worker, sweeper))
        for came in await asyncio.gather(worker, sweeper, return_exceptions=True):
            if isinstance(came, Exception):
                raise came

    async def _sweep(self) -> None:
        """Hand on the jobs of workers that died: procrastinate keeps them `doing` until somebody does."""
        manager = self._app.job_manager
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for job in await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=STALE_SECONDS):
                await manager.retry_job(job)


async def _end(worker: asyncio.Task[None], sweeper: asyncio.Task[None]) -> None:
    """End both. A second cancellation would cut short how the worker ends: it gets that only where it has lost the first."""
    worker.cancel()
    await end_all([sweeper])
    await asyncio.wait([worker], timeout=ENDING_SECONDS)
    await end_all([worker])


def _traceparent() -> str:
    return outgoing_headers().get("traceparent", "")


@contextmanager
def _unavailable_if_cut_off() -> Iterator[None]:
    try:
        yield
    except ConnectorException as error:
        log.warning("the job queue does not answer: %s", type(error.__cause__).__name__)
        raise UnavailableError("the job queue does not answer") from error
