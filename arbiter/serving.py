"""The doors on one HTTP server: REST under `/v1` and `/fhir`, the clinicians' pages at `/`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from arbiter.api.app import create_app
from arbiter.errors import ConfigurationError
from arbiter.settings import Settings
from arbiter.telemetry.requests import observed
from arbiter.workflow.house import House
from arbiter.workflow.standing_work import keep_up
from clinician_ui.downtime import DowntimeFile
from clinician_ui.pages import create_pages

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5
LAST_LIST_SECONDS = 3.0

REST_PATHS = ("/v1/", "/fhir/", "/healthz", "/readyz", "/openapi.json")


def build_app(house: House, downtime: DowntimeFile | None = None) -> ASGIApp:
    """Return the application with every door; `downtime` is the list that somebody keeps writing."""
    rest, pages = create_app(house), create_pages(house, downtime)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        door = rest if scope["path"].startswith(REST_PATHS) else pages
        await door(scope, receive, send)

    return observed(application)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they end the process before the house has put its work away."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def open_doors(house: House, settings: Settings) -> AsyncIterator[asyncio.Event]:
    """Serve while the block runs; the event it yields is set by SIGINT and SIGTERM.

    Raises:
        ConfigurationError: when the address is taken.
    """
    downtime = DowntimeFile(house)
    config = uvicorn.Config(
        build_app(house, downtime),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config)
    stop = stop_on_signals()
    serving = asyncio.create_task(_serve(server))
    try:
        await _until_started(server, serving, settings)
        async with written(downtime):
            yield stop
    finally:
        server.should_exit = True
        await serving


def settle_memory() -> None:
    """Take what this process made at its start out of the garbage collector's rounds, for good.

    What stays as long as the process (modules, schemas, routes) is most of what there is. Looking through it takes
    60 to 140 ms, about once a minute under load, in which every case waits; without it a round takes 5. For a process
    that serves and nothing else.
    """
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def written(downtime: DowntimeFile) -> AsyncIterator[None]:
    """Keep the list for a downtime written while the block runs, and write it once more for the time after."""
    writing = asyncio.create_task(keep_up("writing the downtime list", downtime.keep_writing))
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.wait({writing})
        try:
            await asyncio.wait_for(downtime.write(), LAST_LIST_SECONDS)
        except Exception:
            # The one of a minute ago stays; nothing may keep the doors from closing.
            log.exception("the downtime list was not written a last time")


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _serve(server: _Server) -> None:
    # uvicorn exits the process when it cannot bind; here that is one more error with advice.
    try:
        await server.serve()
    except SystemExit:
        server.should_exit = True


async def _until_started(server: _Server, serving: asyncio.Task[None], settings: Settings) -> None:
    while not server.started:
        if serving.done():
            raise ConfigurationError(
                f"cannot listen on {settings.host}:{settings.port}; is another Arbiter running there? "
                "ARBITER_PORT names another port"
            )
        await asyncio.sleep(0.01)
